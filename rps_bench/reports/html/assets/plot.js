// The plot of one experiment, put together from its traces.

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

// Everything that plotly needs to draw the choice, and what could not be drawn.
function buildPlot(choice, theme, width) {
  const experiment = study.experiments[choice.experiment];
  const all = experiment.curves.flatMap((curve) => curve.points.map((index) => study.points[index]));
  const shown = experiment.curves.flatMap((curve) => drawable(curve, choice));
  const xs = all.map((point) => readX(point, choice.x)).filter((x) => canPlace(x, choice.xScale));
  const xaxis = layoutX(choice.x, choice.xScale, xs);
  const curves = experiment.curves.filter((curve) => drawable(curve, choice).length);
  const traces = curves.map((curve) => curveTrace(curve, choice, theme));
  if (curves.length > 1 && paretoFrontier(shown, choice).length > 1) {
    traces.unshift(frontierTrace(shown, choice, theme));
  }
  const diverged = divergedTrace(
    experiment, choice, theme, xaxis.range ? (xaxis.range[1] - xaxis.range[0]) * 0.014 : 0);
  const level = experiment.chance[choice.y];
  const shapes = curves
    .filter((curve) => curve.kind === "dense")
    .map((curve) => levelLine(drawable(curve, choice)[0][choice.y], "solid", theme.quiet));
  if (diverged.x.length) {
    traces.push(diverged);
    if (level !== null) shapes.push(levelLine(level, "dot", theme.quiet));
  }
  const numLost = all.filter((point) => point.n > 0).length - shown.length;
  return { experiment, traces, layout: layoutPlot(choice, theme, width, { experiment, xaxis, shapes, traces }), numLost };
}

function layoutPlot(choice, theme, width, { experiment, xaxis, shapes, traces }) {
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
    hoverlabel: { align: "left", bgcolor: theme.paper, bordercolor: theme.quiet, font: { color: theme.ink, size: 12 } },
    xaxis: { ...axis, ...xaxis },
    yaxis: { ...axis, title: { text: titleY(choice.y, experiment), standoff: 8 }, type: choice.yScale },
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
    uirevision: JSON.stringify(choice),
  };
}

function describePlot({ experiment, numLost, traces }, choice) {
  const ns = experiment.curves.flatMap((curve) => curve.points.map((index) => study.points[index].n)).filter(Boolean);
  const n = ns.length ? `n = ${[...new Set([Math.min(...ns), Math.max(...ns)])].join(" to ")}` : "no completed run";
  const bars = { interval: "Bars: 95% interval of the mean", std: "Bars: one standard deviation", none: "No bars" }[choice.bars];
  const parts = [`${countOf(experiment.num_runs, "run")}, ${n} per point.`];
  if (ns.length) parts.push(Math.max(...ns) > 1 ? `${bars}.` : "One seed per point: no spread to show.");
  if (traces.some((trace) => trace.name === "Pareto frontier")) parts.push("Grey band: Pareto frontier.");
  if (traces.some((trace) => trace.name === "diverged")) {
    parts.push("Crosses: diverged runs, at the level of guessing (dotted).");
  }
  if (numLost) parts.push(`Not drawn for lack of a number: ${countOf(numLost, "point")}.`);
  return parts.join(" ");
}

function drawPareto(choice, width) {
  const plot = buildPlot(choice, readTheme(), width);
  document.getElementById("plot-note").textContent = describePlot(plot, choice);
  return Plotly.react("pareto", plot.traces, plot.layout, CONFIG);
}
