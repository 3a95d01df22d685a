// What plotly draws: a curve per method, the frontier, the runs that diverged.

function canPlace(value, scale) {
  return value !== null && (scale !== "log" || value > 0);
}

// Mean points with the number `y` of the choice; the other completed ones cannot be drawn.
function drawable(selection, curve, choice) {
  return pointsOf(selection, curve)
    .filter((p) => canPlace(readX(p, choice.x), choice.xScale) && canPlace(p[choice.y], choice.yScale));
}

function paretoFrontier(points, choice) {
  const signX = X_AXES[choice.x].isMoreBetter ? 1 : -1;
  const signY = Y_AXES[choice.y].isMoreBetter ? 1 : -1;
  const places = points.map((point) => [readX(point, choice.x), point[choice.y]]);
  places.sort((a, b) => signX * (b[0] - a[0]) || signY * (b[1] - a[1]));
  const frontier = [];
  for (const place of places) {
    const last = frontier[frontier.length - 1];
    if (!last || signY * (place[1] - last[1]) > 0) frontier.push(place);
  }
  return frontier;
}

function errorBars(points, choice, colour) {
  if (choice.bars === "none") return { visible: false };
  const reach = (point, sign) => {
    if (choice.bars === "std") return point[`${choice.y}_std`] ?? 0;
    const end = point[`${choice.y}_${sign > 0 ? "high" : "low"}`];
    return end === null ? 0 : sign * (end - point[choice.y]);
  };
  return {
    type: "data",
    symmetric: false,
    array: points.map((point) => reach(point, 1)),
    arrayminus: points.map((point) => reach(point, -1)),
    color: colour,
    thickness: 1,
    width: 3,
  };
}

// A line only where it follows the compression: not between costs, not up and down one place.
function lineMode(points, choice) {
  const xs = points.map((point) => readX(point, choice.x));
  const rises = xs.slice(1).map((x, place) => Math.sign(x - xs[place]));
  const isMonotone = rises.every((rise) => rise !== 0 && rise === rises[0]);
  return isMonotone && !X_AXES[choice.x].isCost ? "lines+markers" : "markers";
}

// Methods with other options than usual, and marks without an inside.
function hasHollowMarks(curve) {
  return curve.variant > 0 || curve.symbol === "line-ew";
}

function symbolOf(curve) {
  return curve.symbol + (hasHollowMarks(curve) ? "-open" : "");
}

function curveTrace(selection, curve, choice, theme) {
  const points = drawable(selection, curve, choice);
  const colour = readableColour(curve.colour, theme.paper);
  const isHollow = hasHollowMarks(curve);
  return {
    type: "scatter",
    name: escapeForPlotly(shorten(curve.label, 44)),
    mode: lineMode(points, choice),
    x: points.map((point) => readX(point, choice.x)),
    y: points.map((point) => point[choice.y]),
    error_y: errorBars(points, choice, colour),
    customdata: points.map((point) => point.index),
    hoverinfo: "text",
    hovertext: points.map(hoverText),
    line: { color: colour, dash: curve.dash, width: 1.8 },
    marker: {
      color: colour,
      symbol: symbolOf(curve),
      size: 9,
      line: { color: isHollow ? colour : theme.paper, width: isHollow ? 2 : 0.8 },
    },
  };
}

// One cross per point with diverged runs, at the level of guessing; those of one place side by side.
function divergedTrace(selection, choice, theme, spread) {
  const { experiment } = selection;
  const level = experiment.chance[choice.y] ?? 0;
  const points = experiment.curves
    .flatMap((curve) => pointsOf(selection, curve))
    .filter((point) => point.num_diverged > 0 && canPlace(readX(point, choice.x), choice.xScale));
  const seen = new Map();
  const shifts = points.map((point) => {
    const x = readX(point, choice.x);
    seen.set(x, (seen.get(x) ?? -1) + 1);
    return { x, place: seen.get(x) };
  });
  const shift = ({ x, place }) => {
    const steps = (place - seen.get(x) / 2) * spread;
    return choice.xScale === "log" ? x * 10 ** steps : x + steps;
  };
  return {
    type: "scatter",
    name: "diverged",
    mode: "markers",
    x: shifts.map(shift),
    y: points.map(() => level),
    customdata: points.map((point) => point.index),
    hoverinfo: "text",
    hovertext: points.map(hoverText),
    cliponaxis: false,
    marker: {
      symbol: "x-thin",
      size: 8,
      line: { width: 2.2, color: points.map((p) => readableColour(p.curve.colour, theme.paper)) },
    },
  };
}

function frontierTrace(points, choice, theme) {
  const frontier = paretoFrontier(points, choice);
  return {
    type: "scatter",
    name: "Pareto frontier",
    mode: "lines",
    x: frontier.map((place) => place[0]),
    y: frontier.map((place) => place[1]),
    hoverinfo: "skip",
    line: { color: theme.frontier, width: 11 },
  };
}
