// Rows of the report's tables under a filter: which are shown, and which numbers become others.

const SUMMARY_CELLS = {
  true_compression: (point) => [point.true_compression, formatRatio(point.true_compression)],
  accuracy: (point) => [point.accuracy, formatNumber(point.accuracy, 2)],
  accuracy_std: (point) => [point.accuracy_std, formatNumber(point.accuracy_std, 2)],
  interval: (point) => [
    point.accuracy_low,
    point.accuracy_low === null
      ? formatNumber(null)
      : `${formatNumber(point.accuracy_low, 2)} to ${formatNumber(point.accuracy_high, 2)}`,
  ],
  n: (point) => [point.n, String(point.n)],
  num_diverged: (point) => [point.num_diverged, String(point.num_diverged)],
  num_failed: (point) => [point.num_failed, String(point.num_failed)],
  stored_bytes: (point) => writeScaled(point.stored_bytes, 1e3, (value) => formatNumber(value, 1)),
  macs: (point) => writeScaled(point.effective_macs ?? point.macs, 1e6, (value) => String(Number(value.toPrecision(3)))),
  total_epochs: (point) => writeScaled(point.total_epochs, 1, (value) => String(Number(value.toPrecision(4)))),
};

function writeScaled(value, unit, write) {
  return value === null ? [null, formatNumber(null)] : [value / unit, write(value / unit)];
}

// A copy of a point's row with the numbers of the runs that are left of it.
function rewriteRow(row, point) {
  const copy = row.cloneNode(true);
  const headers = document.getElementById("summary-table").tHead.rows[0].cells;
  [...headers].forEach((header, place) => {
    const write = SUMMARY_CELLS[header.dataset.field];
    if (!write) return;
    const [value, text] = write(point);
    const cell = copy.cells[place];
    cell.textContent = text;
    if (value === null) delete cell.dataset.sort;
    else cell.dataset.sort = value;
  });
  copy.querySelector(".seeds").replaceChildren(
    ...point.runs.flatMap((run) => [recordLink(run, String(run.seed)), " "]));
  return copy;
}

// The selected points of each index: the same point may be another one in A and in B.
function selectedPoints(selections, index) {
  const points = selections.map((one) => one.points.get(index)).filter(Boolean);
  return points.length && points.every((point) => point.runs.length === points[0].runs.length)
    ? points.slice(0, 1)
    : points;
}

function summaryRows(book, selections, isMeant) {
  return book.items.flatMap((row) => {
    const index = Number(row.dataset.point);
    if (!isMeant(study.points[index].experiment)) return [];
    return selectedPoints(selections, index).map((point) =>
      point === study.points[index] ? row : rewriteRow(row, point));
  });
}

// Whether any of the runs is what a row speaks of: a claim's methods at its compression, say.
function concerns(row, runs) {
  row.facets ??= Object.entries(JSON.parse(row.dataset.facets))
    .map(([facet, values]) => [FACETS[facet].read, new Set(values.map(String))]);
  return runs.some((run) => row.facets.every(([read, values]) => values.has(read(run))));
}

function followFilter(selections, isMeant) {
  const chosenRuns = new Set(selections.flatMap((one) => one.runs));
  const isWhole = chosenRuns.size === study.runs.length;
  const ids = new Set([...chosenRuns].map((run) => run.run_id));
  const ofPoints = selections.flatMap((one) => [...one.points.values()].map((point) => point.runs[0]));
  const follow = {
    "summary-table": (book) => summaryRows(book, selections, isMeant),
    "runs-table": (book) => book.items.filter((run) => chosenRuns.has(run) && isMeant(run.point.experiment)),
    "troubles-table": (book) => book.items.filter((row) => ids.has(row.dataset.run)),
  };
  const byFacets = (book) =>
    isWhole ? book.items : book.items.filter((row) => row.dataset.facets && concerns(row, ofPoints));
  for (const [name, book] of books) {
    showItems(book, withWords(book, (follow[name] ?? byFacets)(book)));
  }
  for (const fold of document.querySelectorAll("[data-experiment]")) {
    const experiment = study.experiments[Number(fold.dataset.experiment)];
    fold.hidden = !selections.some((one) => one.runs.some((run) => run.point.experiment === experiment));
  }
}
