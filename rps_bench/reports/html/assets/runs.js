// The runs of a chosen point: a table with links to their records, and training curves.

const RUN_COLUMNS = [
  ["Seed", (run) => String(run.seed)],
  ["Status", (run) => run.status],
  ["Accuracy (%)", (run) => formatNumber(run.accuracy, 2)],
  ["Best (%)", (run) => formatNumber(run.best, 2)],
  ["Loss", (run) => formatNumber(run.loss, 3)],
  ["Epochs", (run) => formatNumber(run.epochs, 0)],
  ["Seconds", (run) => formatNumber(run.train_seconds, 0)],
];
const SEED_DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];

function element(name, text, ...children) {
  const node = document.createElement(name);
  if (text !== null) node.textContent = text;
  node.append(...children);
  return node;
}

function recordLink(run) {
  if (run.href === null) return element("span", run.run_id);
  const link = element("a", run.run_id);
  link.href = run.href;
  return link;
}

function runsTable(point) {
  const titles = [...RUN_COLUMNS.map(([title]) => title), "Record"];
  const head = element("tr", null, ...titles.map((title) => element("th", title)));
  const rows = point.runs.map((run) => {
    const cells = RUN_COLUMNS.map(([, write]) => element("td", write(run)));
    return element("tr", null, ...cells, element("td", null, recordLink(run)));
  });
  const table = element("table", null, element("thead", null, head), element("tbody", null, ...rows));
  const box = element("div", null, table);
  box.className = "scroll";
  return box;
}

function collapsedNote(point) {
  const names = [...new Set(point.runs.flatMap((run) => run.collapsed))];
  return names.length ? [element("p", `Layers without a kept weight: ${names.join(", ")}`)] : [];
}

let chosen = null; // the point whose runs are shown

function showPoint(point) {
  chosen = point;
  const box = document.getElementById("chosen");
  const title = `${point.label} at ${formatRatio(point.compression)}: ${point.experiment.title}`;
  const old = document.getElementById("curves");
  if (old) Plotly.purge(old);
  box.replaceChildren(element("h3", title), runsTable(point), ...collapsedNote(point));
  if (study.histories === null) {
    const limit = formatNumber(study.most_runs_with_curves, 0);
    box.append(element("p", `Training curves are left out of reports of more than ${limit} runs; the records hold them.`));
  } else if (point.runs.some(hasCurve)) {
    const plot = element("div", null);
    plot.id = "curves";
    plot.className = "plot curves";
    box.append(plot);
    drawCurves(point, plot.clientWidth);
  }
  return box;
}

// Some records know their epochs and nothing else about them.
function hasCurve(run) {
  const [, accuracies, losses] = run.history;
  return [...accuracies, ...losses].some((value) => value !== null);
}

function drawCurves(point, width) {
  const runs = point.runs.filter(hasCurve);
  const theme = readTheme();
  const isNarrow = width < NARROW;
  const colour = readableColour(point.curve.colour, theme.paper);
  const trace = (run, place, values, axis) => ({
    type: "scatter",
    mode: run.history[0].length > 1 ? "lines" : "markers",
    name: `seed ${run.seed}${run.status === "completed" ? "" : `, ${run.status}`}`,
    legendgroup: String(place),
    showlegend: axis === "",
    x: run.history[0],
    y: values,
    xaxis: `x${axis}`,
    yaxis: `y${axis}`,
    line: { color: colour, width: 1.6, dash: SEED_DASHES[place % SEED_DASHES.length] },
    marker: { color: colour },
  });
  const traces = runs.flatMap((run, place) => [
    trace(run, place, run.history[1], ""),
    trace(run, place, run.history[2], "2"),
  ]);
  const axis = { gridcolor: theme.grid, linecolor: theme.quiet, zeroline: false, automargin: true };
  const numEpochs = Math.max(...runs.map((run) => run.history[0].length));
  const across = { ...axis, title: { text: "Epoch", standoff: 6 }, dtick: numEpochs <= 10 ? 1 : undefined };
  return Plotly.react("curves", traces, {
    width,
    height: isNarrow ? 560 : 340,
    margin: { l: 52, r: 12, t: 24, b: 84 },
    paper_bgcolor: theme.paper,
    plot_bgcolor: theme.paper,
    font: { family: theme.font, color: theme.ink, size: 12 },
    grid: { rows: isNarrow ? 2 : 1, columns: isNarrow ? 1 : 2, pattern: "independent", xgap: 0.16, ygap: 0.3 },
    xaxis: across,
    xaxis2: across,
    yaxis: { ...axis, title: { text: titleY("accuracy", point.experiment) } },
    yaxis2: { ...axis, title: { text: "Training loss" } },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom" },
  }, CONFIG);
}
