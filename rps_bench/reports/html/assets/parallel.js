// Parallel coordinates: what was set for each completed run, and what came of it, as one line.

const PARALLEL_AXES = [
  { title: "compression", read: (run) => run.point.compression, write: formatRatio },
  { title: "learning rate", read: (run) => run.lr },
  { title: "weight decay", read: (run) => run.weight_decay },
  { title: "epochs", read: (run) => run.epochs },
  { title: "accuracy (%)", read: (run) => run.accuracy, isLinear: true },
  { title: "best epoch (%)", read: (run) => run.best, isLinear: true },
  { title: "loss, low on top", read: (run) => run.loss, isLinear: true, isReversed: true },
  { title: "stored bytes", read: (run) => run.stored_bytes, write: formatShort },
  { title: "MACs, zeros left out", read: (run) => run.effective_macs ?? run.macs, write: formatShort },
  { title: "training seconds", read: (run) => run.total_train_seconds, write: formatShort },
];

// 0.1 -> "0.1", 0.0005 -> "0.0005", 93.333 -> "93.3"
function formatPlain(value) {
  return String(Number(value.toPrecision(3)));
}

// Round numbers between two others, about four of them.
function linearTicks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((lead) => lead * power).find((one) => one >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, place) => (first + place) * step);
}

// An axis whose numbers differ among the runs, with the place of a number on it from 0 to 1.
function spanAxis(axis, runs) {
  const values = known(runs.map(axis.read));
  const distinct = [...new Set(values)].sort((a, b) => a - b);
  const write = axis.write ?? formatPlain;
  if (distinct.length < 2) return { ...axis, write, distinct, isShown: false };
  const isLog = !axis.isLinear && distinct[0] > 0;
  const scale = isLog ? Math.log10 : Number;
  const [low, high] = [distinct[0], distinct.at(-1)];
  const share = (value) => (scale(value) - scale(low)) / (scale(high) - scale(low));
  const place = axis.isReversed ? (value) => 1 - share(value) : share;
  const round = isLog ? logTicks(low, high) : linearTicks(low, high);
  const ticks = distinct.length <= 7 ? distinct : round.length > 1 ? round : [low, high];
  return { ...axis, write, distinct, isShown: true, place, ticks };
}

// Ticks may lie close together: one that is too near to the one before has no words.
function tickWords({ place, ticks, write }, gap) {
  let last = -Infinity;
  return ticks.flatMap((tick) => {
    const at = place(tick);
    if (Math.abs(at - last) < gap) return [];
    last = at;
    return [{ at, text: write(tick) }];
  });
}

function lineTexts(run, axes) {
  const name = escapeForPlotly(run.run_id);
  return axes.map((axis) => {
    const value = axis.read(run);
    return `${name}<br>${axis.title}: ${value === null ? "\u2013" : axis.write(value)}`;
  });
}

// One trace for each method; a gap ends each run's line.
function parallelTraces(runs, axes, theme, isNarrow) {
  const byMethod = new Map();
  for (const run of runs) {
    const { method } = run.point.curve;
    if (!byMethod.has(method)) byMethod.set(method, []);
    byMethod.get(method).push(run);
  }
  const order = [...new Set(study.experiments.flatMap(({ curves }) => curves.map(({ method }) => method)))];
  return order.filter((method) => byMethod.has(method)).map((method) => {
    const own = byMethod.get(method);
    const { colour, dash } = own[0].point.curve;
    const along = own.flatMap(() => [...axes.keys(), null]);
    const across = own.flatMap((run) => [
      ...axes.map((axis) => (axis.read(run) === null ? null : axis.place(axis.read(run)))), null]);
    return {
      type: "scatter",
      mode: "lines+markers",
      name: `${escapeForPlotly(method)} (${own.length})`,
      x: isNarrow ? across : along,
      y: isNarrow ? along : across,
      text: own.flatMap((run) => [...lineTexts(run, axes), ""]),
      customdata: own.flatMap((run) => Array(axes.length + 1).fill(run.point.index)),
      hovertemplate: "%{text}<extra></extra>",
      opacity: own.length > 60 ? 0.35 : 0.7,
      line: { color: readableColour(colour, theme.paper), width: 1.2, dash },
      marker: { color: readableColour(colour, theme.paper), size: 4 },
    };
  });
}

// Axes stand upright side by side; where it is narrow they lie below one another.
function layoutParallel(axes, theme, width, numTraces, isNarrow) {
  const titles = axes.map((axis) => axis.title);
  const isTight = width / axes.length < 95;
  const words = axes.flatMap((axis, number) => tickWords(axis, isNarrow ? 0.14 : 0.045).map(({ at, text }) => ({
    x: isNarrow ? at : number,
    y: isNarrow ? number : at,
    xanchor: isNarrow ? "center" : "left",
    yanchor: isNarrow ? "top" : "middle",
    xshift: isNarrow ? 0 : 4,
    yshift: isNarrow ? -3 : 0,
    text,
    showarrow: false,
    bgcolor: theme.paper,
    opacity: 0.85,
    font: { size: 10, color: theme.ink },
  })));
  const shapes = axes.map((_, number) => ({
    type: "line",
    layer: "below",
    line: { color: theme.quiet, width: 1 },
    ...(isNarrow ? { x0: 0, x1: 1, y0: number, y1: number } : { x0: number, x1: number, y0: 0, y1: 1 }),
  }));
  const named = {
    tickvals: [...axes.keys()],
    ticktext: isNarrow || !isTight ? titles : titles.map((title) => title.replaceAll(" ", "<br>")),
    showgrid: false,
    zeroline: false,
    automargin: true,
    fixedrange: true,
    range: [-0.3, axes.length - 0.5],
  };
  const plain = { visible: false, range: [-0.05, 1.05], fixedrange: true };
  const rows = Math.ceil(numTraces / (isNarrow ? 2 : 6));
  return {
    width,
    height: (isNarrow ? 80 + 55 * axes.length : 380) + 20 * rows,
    margin: { l: 30, r: 20, t: isNarrow ? 16 : 48, b: 30 + 20 * rows },
    paper_bgcolor: theme.paper,
    plot_bgcolor: theme.paper,
    font: { family: theme.font, color: theme.ink, size: 12 },
    hovermode: "closest",
    hoverlabel: hoverLabel(theme),
    xaxis: isNarrow ? plain : { ...named, side: "top" },
    yaxis: isNarrow ? { ...named, range: [axes.length - 0.5, -0.5] } : plain,
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom" },
    showlegend: true,
    shapes,
    annotations: words,
  };
}

function describeParallel(runs, spans) {
  if (!runs.length) return "No completed run that matches: nothing to draw.";
  const same = spans
    .filter(({ isShown, distinct }) => !isShown && distinct.length === 1)
    .map(({ title, distinct: [value], write }) => `${title} ${write(value)}`);
  const parts = [`${countOf(runs.length, "completed run")}, a line each; a click shows the runs of its point.`];
  if (same.length) parts.push(`The same for all: ${same.join(", ")}.`);
  return `${parts.join(" ")} The table of runs holds the numbers.`;
}

async function drawParallel(selection, selected, width) {
  const box = document.getElementById(`parallel-${selection.side}`);
  const runs = selected.filter((run) => run.status === "completed");
  const spans = PARALLEL_AXES.map((axis) => spanAxis(axis, runs));
  const axes = spans.filter(({ isShown }) => isShown);
  box.closest("figure").querySelector("figcaption").textContent = describeParallel(runs, spans);
  if (!axes.length) {
    Plotly.purge(box);
    return;
  }
  const theme = readTheme();
  const isNarrow = width < NARROW;
  const traces = parallelTraces(runs, axes, theme, isNarrow);
  const isFirst = box.on === undefined;
  await Plotly.react(box, traces, layoutParallel(axes, theme, width, traces.length, isNarrow), CONFIG);
  hideDrawing(box);
  if (isFirst) box.on("plotly_click", ({ points: [{ customdata }] }) => showChosen(customdata));
}
