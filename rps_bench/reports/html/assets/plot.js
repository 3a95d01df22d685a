// The plot of one selection's experiment, put together from its traces.

// The buttons are named one by one: by default there is one that sends the plot to a server.
const CONFIG = {
  displaylogo: false,
  plotlyServerURL: "",
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]],
};
const NARROW = 700; // pixels: below, the legend goes under the plot

function levelLine(level, dash, colour) {
  return {
    type: "line",
    layer: "below",
    xref: "paper",
    x0: 0,
    x1: 1,
    y0: level,
    y1: level,
    line: { color: colour, width: 1, dash },
  };
}

function drawnPoints(selection, choice) {
  return selection.experiment.curves.flatMap((curve) => drawable(selection, curve, choice));
}

// The axes of plots that are to be compared: each number lies at the same place in all of them.
function layoutAxes(selections, choice) {
  const all = selections.flatMap((one) => one.experiment.curves.flatMap((curve) => pointsOf(one, curve)));
  const xs = all.map((point) => readX(point, choice.x)).filter((x) => canPlace(x, choice.xScale));
  const xaxis = layoutX(choice.x, choice.xScale, xs);
  if (selections.length === 1) return { xaxis, yaxis: {} };
  const points = selections.flatMap((one) => drawnPoints(one, choice));
  const { array, arrayminus } = errorBars(points, choice, "");
  const levels = selections.filter((one) => divergedTrace(one, choice, readTheme(), 0).x.length)
    .map((one) => one.experiment.chance[choice.y] ?? 0);
  const ends = points.flatMap((point, place) => [
    point[choice.y] + (array?.[place] ?? 0), point[choice.y] - (arrayminus?.[place] ?? 0)]);
  const ys = [...ends, ...levels].filter((y) => canPlace(y, choice.yScale));
  return { xaxis, yaxis: ys.length ? { range: padRange(ys, choice.yScale) } : {} };
}

// Everything that plotly needs to draw the choice, and what could not be drawn.
function buildPlot(selection, choice, theme, width, axes) {
  const { experiment } = selection;
  const all = experiment.curves.flatMap((curve) => pointsOf(selection, curve));
  const shown = drawnPoints(selection, choice);
  const curves = experiment.curves.filter((curve) => drawable(selection, curve, choice).length);
  const traces = curves.map((curve) => curveTrace(selection, curve, choice, theme));
  if (curves.length > 1 && paretoFrontier(shown, choice).length > 1) {
    traces.unshift(frontierTrace(shown, choice, theme));
  }
  const { range } = axes.xaxis;
  const diverged = divergedTrace(selection, choice, theme, range ? (range[1] - range[0]) * 0.014 : 0);
  const level = experiment.chance[choice.y];
  const shapes = curves
    .filter((curve) => curve.kind === "dense")
    .map((curve) => levelLine(drawable(selection, curve, choice)[0][choice.y], "solid", theme.quiet));
  if (diverged.x.length) {
    traces.push(diverged);
    if (level !== null) shapes.push(levelLine(level, "dot", theme.quiet));
  }
  const numLost = all.filter((point) => point.n > 0).length - shown.length;
  return {
    all, traces, numLost,
    layout: layoutPlot(choice, theme, width, { experiment, axes, shapes, traces }),
  };
}

function layoutPlot(choice, theme, width, { experiment, axes, shapes, traces }) {
  const isNarrow = width < NARROW;
  const isLong = traces.some((trace) => trace.name.length > 16);
  const rows = isLong ? traces.length : Math.ceil(traces.length / 2);
  const axis = { gridcolor: theme.grid, linecolor: theme.quiet, zeroline: false, ticks: "outside", automargin: true };
  return {
    width,
    height: isNarrow ? 390 + rows * 19 : Math.max(500, 60 + traces.length * 21),
    margin: { l: 56, r: 12, t: 16, b: 56 },
    paper_bgcolor: theme.paper,
    plot_bgcolor: theme.paper,
    font: { family: theme.font, color: theme.ink, size: isNarrow ? 11 : 13 },
    hovermode: "closest",
    hoverlabel: hoverLabel(theme),
    xaxis: { ...axis, ...axes.xaxis },
    yaxis: { ...axis, title: { text: titleY(choice.y, experiment), standoff: 8 }, type: choice.yScale, ...axes.yaxis },
    showlegend: true,
    legend: isNarrow
      ? {
          orientation: "h",
          yref: "container",
          y: 0,
          yanchor: "bottom",
          entrywidthmode: "fraction",
          entrywidth: isLong ? 0.95 : 0.47,
          maxheight: rows * 19 + 20,
        }
      : { x: 1.02, y: 1 },
    shapes,
    uirevision: JSON.stringify([choice, experiment.title]),
  };
}

// The method that leads at each compression, in words: what one sees at first sight.
function describeLeaders(points, choice) {
  const sign = Y_AXES[choice.y].isMoreBetter ? 1 : -1;
  const leaders = new Map();
  for (const point of points) {
    const best = leaders.get(point.compression);
    if (!best || sign * (point[choice.y] - best[choice.y]) > 0) leaders.set(point.compression, point);
  }
  return [...leaders].sort(([a], [b]) => a - b).slice(0, 12).map(([compression, point]) =>
    `${formatRatio(compression)} ${point.label} ${formatNumber(point[choice.y], choice.y === "loss" ? 3 : 2)}`);
}

function describePlot(selection, { all, numLost, traces }, choice) {
  if (!all.length) return "No run matches the filter: nothing to draw.";
  const ns = all.map((point) => point.n).filter(Boolean);
  const n = ns.length ? `n = ${spanOf(ns)}` : "no completed run";
  const bars = { interval: "Bars: 95% interval of the mean", std: "Bars: one standard deviation", none: "No bars" }[choice.bars];
  const parts = [`${selection.experiment.title}: ${countOf(selection.numRuns, "run")}, ${n} per point.`];
  if (ns.length) parts.push(Math.max(...ns) > 1 ? `${bars}.` : "One seed per point: no spread to show.");
  if (traces.some((trace) => trace.name === "Pareto frontier")) parts.push("Grey band: Pareto frontier.");
  if (traces.some((trace) => trace.name === "diverged")) {
    parts.push("Crosses: diverged runs, at the level of guessing (dotted).");
  }
  if (numLost) parts.push(`Not drawn for lack of a number: ${countOf(numLost, "point")}.`);
  return parts.join(" ");
}

// plotly's drawing is letters in no order to whoever hears the page: words and tables stand for it.
function hideDrawing(box) {
  for (const drawing of box.querySelectorAll("svg.main-svg")) drawing.setAttribute("aria-hidden", "true");
}

async function drawPareto(selection, choice, width, axes) {
  const box = document.getElementById(`pareto-${selection.side}`);
  const plot = buildPlot(selection, choice, readTheme(), width, axes);
  const caption = box.closest("figure").querySelector("figcaption");
  const leaders = describeLeaders(drawnPoints(selection, choice), choice);
  caption.replaceChildren(
    element("span", describePlot(selection, plot, choice)),
    elementWith({ className: "unseen" }, "span",
      leaders.length ? ` Best ${Y_AXES[choice.y].name} at each compression: ${leaders.join("; ")}. The summary table holds all numbers.` : ""));
  const isFirst = box.on === undefined;
  await Plotly.react(box, plot.traces, plot.layout, CONFIG);
  hideDrawing(box);
  if (isFirst) box.on("plotly_click", ({ points: [{ customdata }] }) => customdata !== undefined && showChosen(customdata));
}
