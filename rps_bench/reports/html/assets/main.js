// Ties controls, plot and tables together once the page is there.

function fillSelect(id, choices) {
  const select = document.getElementById(id);
  for (const [value, text] of choices) {
    const option = element("option", text);
    option.value = value;
    select.append(option);
  }
  return select;
}

function readChoice() {
  const value = (id) => document.getElementById(id).value;
  return {
    experiment: Number(value("experiment")),
    x: value("x-axis"),
    y: value("y-axis"),
    xScale: value("x-scale"),
    yScale: value("y-scale"),
    bars: value("bars"),
  };
}

function prepareControls() {
  const experiments = study.experiments.map((experiment, index) => [index, experiment.title]);
  const largest = study.experiments.reduce(
    (best, experiment, index, all) => (experiment.num_runs > all[best].num_runs ? index : best), 0);
  fillSelect("experiment", experiments).value = largest;
  fillSelect("x-axis", Object.entries(X_AXES).map(([key, axis]) => [key, axis.name]));
  fillSelect("y-axis", Object.entries(Y_AXES).map(([key, axis]) => [key, axis.name]));
}

const PRINT_WIDTH = 680; // pixels, of a page

// Draws again all there is, at the page's width or at the one given.
function redraw(width) {
  const curves = document.getElementById("curves");
  if (curves) drawCurves(chosen, width ?? curves.clientWidth);
  return drawPareto(readChoice(), width ?? document.getElementById("pareto").clientWidth);
}

function redrawForPrint(isPrinting) {
  document.documentElement.classList.toggle("light", isPrinting);
  redraw(isPrinting ? PRINT_WIDTH : undefined);
}

async function start() {
  prepareControls();
  prepareTables();
  await redraw();
  const box = document.getElementById("pareto");
  document.getElementById("controls").addEventListener("change", () => redraw());
  document.getElementById("experiment").addEventListener("change", filterTables);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  let width = box.clientWidth;
  addEventListener("resize", () => {
    if (box.clientWidth !== width) redraw();
    width = box.clientWidth;
  });
  addEventListener("beforeprint", () => redrawForPrint(true));
  addEventListener("afterprint", () => redrawForPrint(false));
  box.on("plotly_click", (event) => {
    const index = event.points[0].customdata;
    if (index !== undefined) showPoint(study.points[index]);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-point]");
    if (button) showPoint(study.points[Number(button.dataset.point)]).focus();
  });
}

start();
