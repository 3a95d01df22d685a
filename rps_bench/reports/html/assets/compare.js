// A and B in numbers: what both have, method by method, and the difference within equal seeds.

function pointPairs([a, b]) {
  const others = new Map(b.experiment.curves.flatMap((curve) => pointsOf(b, curve))
    .map((point) => [JSON.stringify([point.label, point.compression]), point]));
  return a.experiment.curves.flatMap((curve) => pointsOf(a, curve))
    .map((point) => [point, others.get(JSON.stringify([point.label, point.compression]))])
    .filter(([, other]) => other);
}

// B minus A over the seeds that both completed: a seed has the same start and order on both sides.
function pairSeeds(one, other, metric) {
  const bySeed = new Map(one.runs.map((run) => [run.seed, run[metric]]));
  return summarise(other.runs
    .filter((run) => run[metric] !== null && (bySeed.get(run.seed) ?? null) !== null)
    .map((run) => run[metric] - bySeed.get(run.seed)));
}

function compareRow([one, other], metric) {
  const digits = metric === "loss" ? 3 : 2;
  const side = (point) => {
    const std = point[`${metric}_std`];
    return `${formatNumber(point[metric], digits)}${std === null ? "" : ` \u00b1 ${formatNumber(std, digits)}`} (n=${point.n})`;
  };
  const { n, mean, low, high } = pairSeeds(one, other, metric);
  const interval = low === null ? formatNumber(null) : `${formatSigned(low, digits)} to ${formatSigned(high, digits)}`;
  return [one.label, formatRatio(one.compression), side(one), side(other), formatSigned(mean, digits), interval, String(n)];
}

function drawComparison(selections, choice) {
  const box = document.getElementById("differences");
  if (selections.length < 2) {
    box.replaceChildren();
    return;
  }
  const [a, b] = selections;
  const pairs = pointPairs(selections);
  const words = `A: ${a.experiment.title}. B: ${b.experiment.title}. Difference: mean of B minus A over the`
    + " seeds that both completed, with the plain 95% t interval of that mean, not corrected for how many rows there are.";
  const titles = ["Method", "Compression", "A", "B", "B \u2212 A", "95% interval", "Pairs"];
  const metric = Y_AXES[choice.y].name;
  box.replaceChildren(element("h3", "A against B"), element("p", words), pairs.length
    ? plainTable(`Mean \u00b1 standard deviation of ${metric}`, titles, pairs.map((pair) => compareRow(pair, choice.y)))
    : element("p", "No method has runs at the same compression in both."));
}
