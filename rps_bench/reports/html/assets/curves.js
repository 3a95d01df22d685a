// Training curves: one per method at a compression, the mean of its completed runs with their spread.

const MOST_MARKED = 12; // epochs; with more, a marker per epoch would hide the line

// Some records know their epochs and nothing else about them.
function hasCurve(run) {
  const [, accuracies, losses] = run.history;
  return [...accuracies, ...losses].some((value) => value !== null);
}

// Which epochs a report with very many of them holds.
function describeThinning(runs) {
  const step = study.epoch_step;
  if (step === 1 || !runs.length) return "";
  return `The first, the last and each epoch that ${step} divides; the records hold all of them.`;
}

// Mean and spread at the epochs that all of the runs have a number for: n is the same everywhere.
function averageCurve(runs, quantity, bars) {
  const curves = runs.map((run) => new Map(run.history[0].map((epoch, place) => [epoch, run.history[quantity][place]])));
  const epochs = [...curves[0].keys()].filter((epoch) => curves.every((curve) => (curve.get(epoch) ?? null) !== null));
  return epochs.map((epoch) => {
    const { mean, std, low, high } = summarise(curves.map((curve) => curve.get(epoch)));
    if (bars === "none" || std === null) return { epoch, mean, low: null, high: null };
    return bars === "std" ? { epoch, mean, low: mean - std, high: mean + std } : { epoch, mean, low, high };
  });
}

// What there is to draw at a compression: points with completed runs that have curves; the dense
// network, which has no compression, goes with each.
function curvePoints(selection, compression) {
  const all = selection.experiment.curves.flatMap((curve) => pointsOf(selection, curve));
  return all
    .filter((point) => point.compression === compression || point.curve.kind === "dense")
    .map((point) => ({ point, runs: point.runs.filter((run) => run.status === "completed" && hasCurve(run)) }))
    .filter(({ runs }) => runs.length);
}

// The compressions at which completed runs have curves, the one with most of them first.
function curveCompressions(selections) {
  const counts = new Map();
  const points = selections.flatMap((one) => one.experiment.curves.flatMap((curve) => pointsOf(one, curve)));
  for (const { compression, runs } of points) {
    const has = runs.some((run) => run.status === "completed" && hasCurve(run));
    if (has) counts.set(compression, (counts.get(compression) ?? 0) + 1);
  }
  return [...counts].sort(([a, many], [b, more]) => more - many || b - a).map(([compression]) => compression);
}

// The compression of each selection: the one that is asked for, or else the one with most curves, of
// both together if it can be; the others can be chosen.
function chooseCompressions(selections) {
  const select = document.getElementById("curves-at");
  const compressions = curveCompressions(selections);
  for (const option of select.options) {
    option.disabled = option.value !== "" && !compressions.includes(Number(option.value));
  }
  return selections.map((one) => {
    if (select.value !== "") return Number(select.value);
    const own = curveCompressions([one]);
    return compressions.find((compression) => own.includes(compression)) ?? null;
  });
}

function bandColour(colour) {
  return `rgba(${parseColour(colour).join(", ")}, 0.18)`;
}

function curveTraces({ point, runs }, quantity, axis, bars, theme) {
  const colour = readableColour(point.curve.colour, theme.paper);
  const entries = averageCurve(runs, quantity, bars);
  const name = `${escapeForPlotly(shorten(point.label, 36))} (n=${runs.length})`;
  const shared = {
    type: "scatter",
    xaxis: `x${axis}`,
    yaxis: `y${axis}`,
    legendgroup: String(point.index),
    name,
  };
  const line = {
    ...shared,
    mode: entries.length > MOST_MARKED ? "lines" : "lines+markers",
    x: entries.map(({ epoch }) => epoch),
    y: entries.map(({ mean }) => mean),
    showlegend: axis === "",
    line: { color: colour, width: 1.8, dash: point.curve.dash },
    marker: { color: colour, symbol: symbolOf(point.curve), size: 7 },
  };
  const banded = entries.filter(({ low }) => low !== null);
  if (!banded.length) return [line];
  const back = [...banded].reverse();
  const band = {
    ...shared,
    mode: "lines",
    x: [...banded, ...back].map(({ epoch }) => epoch),
    y: [...banded.map(({ high }) => high), ...back.map(({ low }) => low)],
    fill: "toself",
    fillcolor: bandColour(colour),
    line: { width: 0 },
    hoverinfo: "skip",
    showlegend: false,
  };
  return [band, line];
}

// Accuracy on the left, training loss on the right; one above the other where it is narrow.
async function drawCurves(box, traces, experiment, width, ranges = {}) {
  const theme = readTheme();
  const isNarrow = width < NARROW;
  const axis = { gridcolor: theme.grid, linecolor: theme.quiet, zeroline: false, automargin: true };
  const numEpochs = Math.max(...traces.map((trace) => new Set(trace.x).size));
  const across = { ...axis, title: { text: "Epoch", standoff: 6 }, dtick: numEpochs <= 10 ? 1 : undefined };
  const rows = Math.ceil(traces.filter((trace) => trace.showlegend).length / (isNarrow ? 2 : 5));
  await Plotly.react(box, traces, {
    width,
    height: (isNarrow ? 520 : 310) + 20 * rows,
    margin: { l: 52, r: 12, t: 24, b: 64 + 20 * rows },
    paper_bgcolor: theme.paper,
    plot_bgcolor: theme.paper,
    font: { family: theme.font, color: theme.ink, size: 12 },
    hovermode: "closest",
    grid: { rows: isNarrow ? 2 : 1, columns: isNarrow ? 1 : 2, pattern: "independent", xgap: 0.16, ygap: 0.3 },
    xaxis: across,
    xaxis2: across,
    yaxis: { ...axis, title: { text: titleY("accuracy", experiment) }, ...ranges.accuracy },
    yaxis2: { ...axis, title: { text: "Training loss" }, ...ranges.loss },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom" },
  }, CONFIG);
  hideDrawing(box);
}

function describeCurves(shown, compression, bars) {
  if (!shown.length) return "No completed run that matches has a training curve.";
  const ns = shown.map(({ runs }) => runs.length);
  const spread = { interval: "95% interval of the mean", std: "one standard deviation on each side" }[bars];
  const words = [`At ${formatRatio(compression)}: lines are means over completed runs, n = ${spanOf(ns)}.`];
  if (spread && Math.max(...ns) > 1) words.push(`Bands: ${spread}, where n is above 1.`);
  return [...words, describeThinning(shown[0].runs)].join(" ");
}

// The last epoch of each curve, for whoever cannot see the drawing or wants its numbers.
function curvesTable(shown) {
  const last = (runs, quantity, digits) => {
    const entry = averageCurve(runs, quantity, "std").at(-1);
    if (!entry) return formatNumber(null);
    const spread = entry.high === null ? "" : ` \u00b1 ${formatNumber(entry.high - entry.mean, digits)}`;
    return `${formatNumber(entry.mean, digits)}${spread}`;
  };
  const rows = shown.map(({ point, runs }) => [
    point.label, String(runs.length), last(runs, 1, 2), last(runs, 2, 3),
  ]);
  const titles = ["Method", "n", "Accuracy (%)", "Training loss"];
  return element("details", null, element("summary", "The last epoch in numbers"),
    plainTable("Mean and standard deviation after the last epoch", titles, rows));
}

// One range for both sides, so that they can be compared.
function curveRanges(drawn) {
  if (drawn.length < 2) return {};
  const range = (axis) => {
    const values = drawn.flat().filter((trace) => trace.yaxis === axis).flatMap((trace) => trace.y);
    return values.length ? { range: padRange(values, "linear") } : {};
  };
  return { accuracy: range("y"), loss: range("y2") };
}

function drawTraining(selections, compressions, bars, widthOf) {
  const theme = readTheme();
  const shown = selections.map((one, place) => curvePoints(one, compressions[place]));
  const drawn = shown.map((points) => points.flatMap((one) => [
    ...curveTraces(one, 1, "", bars, theme), ...curveTraces(one, 2, "2", bars, theme)]));
  const ranges = curveRanges(drawn);
  return Promise.all(selections.map((selection, place) => {
    const box = document.getElementById(`training-${selection.side}`);
    const words = element("span", describeCurves(shown[place], compressions[place], bars));
    box.closest("figure").querySelector("figcaption").replaceChildren(
      words, ...(shown[place].length ? [curvesTable(shown[place])] : []));
    if (shown[place].length) return drawCurves(box, drawn[place], selection.experiment, widthOf(box), ranges);
    Plotly.purge(box);
    return null;
  }));
}
