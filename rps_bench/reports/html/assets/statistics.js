// Means and spreads over runs: those of the report, computed again where a filter takes runs away.

const METRICS = ["accuracy", "best", "loss"];
const SIZES = ["true_compression", "stored_bytes", "macs", "effective_macs"];
const COSTS = ["total_epochs", "total_train_seconds", "num_trainings"];

function known(values) {
  return values.filter((value) => value !== null);
}

function meanOf(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

// Sample standard deviation; null for fewer than two values.
function deviationOf(values) {
  if (values.length < 2) return null;
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

// Half the width of the 95% t interval of the mean of n values.
function marginOf(deviation, n) {
  return n < 2 ? null : (study.quantiles[n] * deviation) / Math.sqrt(n);
}

function summarise(values) {
  const [mean, std] = [meanOf(values), deviationOf(values)];
  const margin = marginOf(std, values.length);
  return {
    n: values.length,
    mean,
    std,
    low: margin === null ? null : mean - margin,
    high: margin === null ? null : mean + margin,
  };
}

// The point as if it had these of its runs alone, by the rules of the report's own means.
function restrictPoint(point, runs) {
  const completed = known(runs.map((run) => run.accuracy));
  const means = (names, counted) =>
    Object.fromEntries(names.map((name) => [name, meanOf(known(counted.map((run) => run[name])))]));
  // What diverged stopped early: it tells no cost where another run was completed.
  const whole = completed.length ? runs.filter((run) => run.status !== "diverged") : runs;
  const restricted = { ...point, runs, ...means(SIZES, runs), ...means(COSTS, whole) };
  for (const name of METRICS) {
    const { mean, std, low, high } = summarise(known(runs.map((run) => run[name])));
    Object.assign(restricted, {
      [name]: mean, [`${name}_std`]: std, [`${name}_low`]: low, [`${name}_high`]: high,
    });
  }
  restricted.n = completed.length;
  restricted.num_diverged = runs.filter((run) => run.status === "diverged").length;
  restricted.num_failed = runs.filter((run) => run.status === "failed").length;
  return restricted;
}
