// All runs in one table, and the runs of a chosen point with their own training curves.

const RUN_COLUMNS = [
  ["Seed", (run) => run.seed, (run) => String(run.seed)],
  ["Status", (run) => run.status, (run) => run.status],
  ["Accuracy (%)", (run) => run.accuracy, (run) => formatNumber(run.accuracy, 2)],
  ["Best (%)", (run) => run.best, (run) => formatNumber(run.best, 2)],
  ["Loss", (run) => run.loss, (run) => formatNumber(run.loss, 3)],
  ["Epochs", (run) => run.epochs, (run) => formatNumber(run.epochs, 0)],
  ["Seconds", (run) => run.train_seconds, (run) => formatNumber(run.train_seconds, 0)],
];
const ALL_RUN_COLUMNS = [
  ["Method", (run) => run.point.label, (run) => run.point.label],
  ["Compression", (run) => run.point.compression, (run) => formatRatio(run.point.compression)],
  ...RUN_COLUMNS,
  ["Experiment", (run) => run.point.experiment.title, (run) => run.point.experiment.title],
  ["Record", (run) => run.run_id, (run) => recordLink(run)],
];
const SEED_DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];

function buildRunRow(run) {
  const [method, ...cells] = ALL_RUN_COLUMNS.map(([, , write]) => write(run));
  return element("tr", null,
    elementWith({ scope: "row" }, "th", method), ...cells.map((cell) => element("td", null, cell)));
}

function openRuns() {
  const table = document.getElementById("runs-table");
  const head = ALL_RUN_COLUMNS.map(([title]) => {
    const header = headerCell("");
    header.ariaSort = "none";
    header.append(elementWith({ type: "button" }, "button", title));
    return header;
  });
  table.tHead.append(element("tr", null, ...head));
  openBook(table, {
    items: study.runs,
    build: buildRunRow,
    key: (run, column) => ALL_RUN_COLUMNS[column][1](run),
  });
}

function runsTable(point) {
  const titles = [...RUN_COLUMNS.map(([title]) => title), "Record"];
  const rows = point.runs.map((run) => [...RUN_COLUMNS.map(([, , write]) => write(run)), recordLink(run)]);
  return plainTable(countOf(rows.length, "run"), titles, rows);
}

function collapsedNote(point) {
  const names = [...new Set(point.runs.flatMap((run) => run.collapsed))];
  return names.length ? [element("p", `Layers without a kept weight: ${names.join(", ")}`)] : [];
}

let chosen; // the point whose runs are shown, null for none

// A point is named in links by its first run.
function choosePoint(point) {
  document.getElementById("chosen-run").value = point.runs[0].run_id;
  showPoint(point);
}

function showPoint(point) {
  chosen = point;
  const box = document.getElementById("chosen");
  const old = document.getElementById("curves");
  if (old) Plotly.purge(old);
  if (!point) {
    box.replaceChildren(elementWith({ className: "hint" }, "p", box.dataset.hint));
    return;
  }
  const title = `${point.label} at ${formatRatio(point.compression)}: ${point.experiment.title}`;
  box.replaceChildren(element("h3", title), runsTable(point), ...collapsedNote(point));
  if (!point.runs.some(hasCurve)) return;
  const plot = elementWith({ id: "curves", className: "plot curves" }, "div", null);
  const words = `Accuracy and training loss of each run by epoch. ${describeThinning(point.runs)}`;
  box.append(element("figure", null, plot, elementWith({ className: "small" }, "figcaption", words)));
  drawRunCurves(point, plot.clientWidth);
}

// A line per run, told apart by seed.
function drawRunCurves(point, width) {
  const theme = readTheme();
  const colour = readableColour(point.curve.colour, theme.paper);
  const trace = (run, place, quantity, axis) => ({
    type: "scatter",
    mode: run.history[0].length > 1 ? "lines" : "markers",
    name: `seed ${run.seed}${run.status === "completed" ? "" : `, ${run.status}`}`,
    legendgroup: String(place),
    showlegend: axis === "",
    x: run.history[0],
    y: run.history[quantity],
    xaxis: `x${axis}`,
    yaxis: `y${axis}`,
    line: { color: colour, width: 1.6, dash: SEED_DASHES[place % SEED_DASHES.length] },
    marker: { color: colour },
  });
  const traces = point.runs.filter(hasCurve).flatMap((run, place) => [
    trace(run, place, 1, ""),
    trace(run, place, 2, "2"),
  ]);
  return drawCurves(document.getElementById("curves"), traces, point.experiment, width);
}
