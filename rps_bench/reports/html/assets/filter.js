// Which runs are looked at: up to two selections, A and B, each by search words and by facets.

const FACETS = {
  dataset: { title: "Dataset", read: (run) => run.point.experiment.dataset },
  arch: { title: "Architecture", read: (run) => run.point.experiment.arch },
  recipe: { title: "Recipe", read: (run) => run.point.experiment.recipe },
  protocol: { title: "Protocol", read: (run) => run.point.experiment.protocol },
  split: { title: "Split", read: (run) => run.point.experiment.split },
  options: { title: "Options", read: (run) => run.point.experiment.options },
  method: { title: "Method", read: (run) => run.point.curve.method },
  compression: { title: "Compression", read: (run) => String(run.point.compression) },
  seed: { title: "Seed", read: (run) => String(run.seed) },
  status: { title: "Status", read: (run) => run.status },
};
const SIDES = ["a", "b"];

// The names of B's controls are those of A with a prefix.
function nameOf(side, name) {
  return side === "a" ? name : `b.${name}`;
}

function titleOf(facet, value) {
  if (facet === "compression") return formatRatio(Number(value));
  if (value === "") return "none of its own";
  return (facet === "dataset" || facet === "arch") && study.titles[value] ? study.titles[value] : value;
}

// Compressions are written with a sign that few keyboards have.
function asTyped(text) {
  return text.toLowerCase().replaceAll("\u00d7", "x");
}

function splitWords(text) {
  return asTyped(text).split(/\s+/).filter(Boolean);
}

function searchText(run) {
  run.text ??= asTyped([
    run.run_id, run.point.label, formatRatio(run.point.compression), `seed ${run.seed}`, run.status,
    run.reason ?? "", run.point.experiment.title, run.point.experiment.dataset,
    run.point.experiment.arch, `protocol=${run.point.experiment.protocol}`,
  ].join(" "));
  return run.text;
}

function readFilter(side) {
  const data = new FormData(document.getElementById("view"));
  const chosen = {};
  for (const facet of Object.keys(FACETS)) {
    const values = data.getAll(nameOf(side, facet));
    if (values.length) chosen[facet] = new Set(values);
  }
  return { words: splitWords(data.get(nameOf(side, "words")) ?? ""), chosen };
}

function matches(run, filter, except = null) {
  return (
    Object.entries(filter.chosen).every(
      ([facet, values]) => facet === except || values.has(FACETS[facet].read(run))) &&
    filter.words.every((word) => searchText(run).includes(word))
  );
}

// The runs that match and the points they make up, by index.
function selectRuns(filter) {
  const runs = study.runs.filter((run) => matches(run, filter));
  const own = new Map();
  for (const run of runs) {
    const place = run.point.index;
    if (!own.has(place)) own.set(place, []);
    own.get(place).push(run);
  }
  const points = new Map();
  for (const [place, group] of own) {
    const point = study.points[place];
    points.set(place, group.length === point.runs.length ? point : restrictPoint(point, group));
  }
  return { filter, runs, points };
}

// The selection of one side, and the experiment of it that is drawn: the chosen one, if it has
// runs that match, else the one with most of them.
function selectSide(side) {
  const selection = selectRuns(readFilter(side));
  const counts = new Map();
  for (const { point } of selection.runs) {
    counts.set(point.experiment, (counts.get(point.experiment) ?? 0) + 1);
  }
  const select = document.getElementById(`experiment-${side}`);
  for (const option of select.options) option.disabled = !counts.has(study.experiments[option.index]);
  let experiment = study.experiments[select.selectedIndex];
  if (counts.size && !counts.has(experiment)) {
    [[experiment]] = [...counts].sort((a, b) => b[1] - a[1]);
    select.selectedIndex = experiment.index;
  }
  return { ...selection, side, experiment, numRuns: counts.get(experiment) ?? 0 };
}

// The experiment's points of a curve that are selected.
function pointsOf(selection, curve) {
  return curve.points.filter((index) => selection.points.has(index)).map((index) => selection.points.get(index));
}

function compareValues(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}

function buildFacet(side, facet) {
  const values = [...new Set(study.runs.map(FACETS[facet].read))].sort(compareValues);
  if (values.length < 2) return [];
  const boxes = values.map((value) => {
    const box = elementWith({ type: "checkbox", name: nameOf(side, facet), value }, "input", null);
    const text = element("span", titleOf(facet, value));
    return elementWith({ className: "check" }, "label", null, box, text, element("span", ""));
  });
  const title = FACETS[facet].title;
  const group = element("fieldset", null, elementWith({ className: "unseen" }, "legend", title), ...boxes);
  const summary = element("summary", `${title} `, elementWith({ className: "chosen-values" }, "span", "all"));
  const fold = elementWith({ className: "facet" }, "details", null, summary, group);
  fold.dataset.facet = facet;
  return [fold];
}

function buildSide(side) {
  const box = document.querySelector(`#side-${side} .facets`);
  box.append(...Object.keys(FACETS).flatMap((facet) => buildFacet(side, facet)));
  const largest = study.experiments.reduce((best, one) => (one.num_runs > best.num_runs ? one : best));
  const choices = study.experiments.map(({ title }) => [title, title]);
  fillSelect(document.getElementById(`experiment-${side}`), choices, largest.title);
}

// Tells how many runs each value of a facet would leave, and which are chosen.
function updateFacets({ side, filter }) {
  for (const fold of document.querySelectorAll(`#side-${side} .facet`)) {
    const { facet } = fold.dataset;
    const counts = new Map();
    for (const run of study.runs) {
      if (!matches(run, filter, facet)) continue;
      const value = FACETS[facet].read(run);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    for (const label of fold.querySelectorAll("label")) {
      const count = counts.get(label.firstChild.value) ?? 0;
      label.lastChild.textContent = `(${count})`;
      label.classList.toggle("empty", count === 0);
    }
    const chosen = [...(filter.chosen[facet] ?? [])].map((value) => titleOf(facet, value));
    fold.querySelector(".chosen-values").textContent = chosen.length ? shorten(chosen.join(", "), 28) : "all";
    fold.classList.toggle("active", chosen.length > 0);
  }
  const { length } = study.runs;
  const count = study.runs.filter((run) => matches(run, filter)).length;
  document.querySelector(`#side-${side} output`).textContent =
    count ? `${count} of ${countOf(length, "run")}` : `No run of ${length} matches.`;
}
