// Ties controls, plots and tables together once the page is there.

const PRINT_WIDTH = 680; // pixels, of a page
let isPrinting = false;

function isComparing() {
  return document.getElementById("compare").checked;
}

function readChoice() {
  const value = (id) => document.getElementById(id).value;
  return {
    x: value("x-axis"),
    y: value("y-axis"),
    xScale: value("x-scale"),
    yScale: value("y-scale"),
    bars: value("bars"),
  };
}

function prepareControls() {
  SIDES.forEach(buildSide);
  const axes = (kinds) => Object.entries(kinds).map(([key, axis]) => [key, axis.name]);
  fillSelect(document.getElementById("x-axis"), axes(X_AXES), "compression");
  fillSelect(document.getElementById("y-axis"), axes(Y_AXES), "accuracy");
  const compressions = [...new Set(study.points.map((point) => point.compression))].sort((a, b) => a - b);
  fillSelect(document.getElementById("curves-at"), [
    ["", "that with most curves"],
    ...compressions.map((value) => [String(value), formatRatio(value)]),
  ], "");
}

function widthOf(box) {
  return isPrinting ? PRINT_WIDTH : box.clientWidth;
}

function showSides() {
  const both = isComparing();
  document.documentElement.classList.toggle("comparing", both);
  document.getElementById("side-b").disabled = !both;
  for (const node of document.querySelectorAll(".of-b")) node.hidden = !both;
}

// The point that a link or a click chose, as far as it is selected.
function findChosen(selections) {
  const id = document.getElementById("chosen-run").value;
  const run = id && study.runs.find((one) => one.run_id === id);
  if (!run) return null;
  return selections.map((one) => one.points.get(run.point.index)).find(Boolean) ?? null;
}

let selections = []; // what is shown: A, or A and B

function drawPlots() {
  const choice = readChoice();
  const axes = layoutAxes(selections, choice);
  return Promise.all(selections.map((one) =>
    drawPareto(one, choice, widthOf(document.getElementById(`pareto-${one.side}`)), axes)));
}

function drawAllCurves() {
  const box = document.getElementById("curves");
  if (chosen && box) drawRunCurves(chosen, widthOf(box));
  return drawTraining(selections, chooseCompressions(selections), readChoice().bars, widthOf);
}

// As in the tables: of the experiment that is drawn, or of all.
function isListed(run, { experiment }) {
  return document.getElementById("all-experiments").checked || run.point.experiment === experiment;
}

function drawSideBySide() {
  return Promise.all(selections.map((one) =>
    drawParallel(one, one.runs.filter((run) => isListed(run, one)), widthOf(document.getElementById(`parallel-${one.side}`)))));
}

function drawFigures() {
  return Promise.all([drawPlots(), drawAllCurves(), drawSideBySide()]);
}

// Selects anew; the tables follow.
function select() {
  showSides();
  selections = (isComparing() ? SIDES : ["a"]).map(selectSide);
  selections.forEach(updateFacets);
  const drawn = new Set(selections.map((one) => one.experiment));
  const isWide = document.getElementById("all-experiments").checked;
  followFilter(selections, (experiment) => isWide || drawn.has(experiment));
  drawComparison(selections, readChoice());
  const point = findChosen(selections);
  if (point !== chosen) showPoint(point);
}

function update() {
  select();
  return drawFigures();
}

function drawForPrint(begins) {
  isPrinting = begins;
  document.documentElement.classList.toggle("light", begins);
  unfoldBooks(begins);
  drawFigures();
}

function openBooks() {
  for (const table of document.querySelectorAll("table.sortable")) {
    openBook(table, { items: [...table.tBodies[0].rows] });
  }
  openRuns();
}

function listenToControls() {
  const form = document.getElementById("view");
  form.addEventListener("submit", (event) => event.preventDefault());
  const change = (event) => {
    if (event.target.form !== form) return;
    update();
    keepView();
  };
  document.addEventListener("input", (event) => {
    const table = event.target.closest("[data-filters]");
    if (table) update();
    else change(event);
  });
  document.getElementById("clear").addEventListener("click", () => {
    form.reset();
    section = "";
    say("All choices are cleared.");
    update();
    keepView();
  });
  document.getElementById("copy").addEventListener("click", copyLink);
}

function closeFacets(except) {
  for (const fold of document.querySelectorAll(".facet[open]")) if (fold !== except) fold.open = false;
}

function listenToPage() {
  document.addEventListener("click", (event) => {
    closeFacets(event.target.closest(".facet"));
    const button = event.target.closest("button[data-point]");
    if (!button) return;
    showChosen(Number(button.dataset.point));
    document.getElementById("chosen").focus();
  });
  document.addEventListener("keydown", (event) => {
    const fold = event.target.closest?.(".facet[open]");
    if (event.key !== "Escape" || !fold) return;
    fold.open = false;
    fold.querySelector("summary").focus();
  });
  addEventListener("hashchange", () => {
    readView();
    update();
    keepView();
  });
}

function showChosen(index) {
  const point = selections.map((one) => one.points.get(index)).find(Boolean);
  if (!point) return;
  choosePoint(point);
  keepView();
}

function listenToDevice() {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawFigures());
  let width = document.documentElement.clientWidth;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth !== width) drawFigures();
    width = document.documentElement.clientWidth;
  });
  addEventListener("beforeprint", () => drawForPrint(true));
  addEventListener("afterprint", () => drawForPrint(false));
}

async function start() {
  prepareControls();
  openBooks();
  readView();
  select();
  await drawPlots();
  await new Promise((resolve) => setTimeout(resolve)); // the reader sees the plot before all else is there
  await drawAllCurves();
  await drawSideBySide();
  listenToControls();
  listenToPage();
  listenToDevice();
  if (section) document.getElementById(section)?.scrollIntoView();
  document.documentElement.dataset.isReady = "true";
}

start();
