// Tables: sorted by a click on a header, filtered by words.

// A number where the cell states one, else its text; missing values stay last in both directions.
function sortKey(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
  const text = cell.textContent.trim();
  return text === "" || text === "\u2013" ? null : text;
}

function compareKeys(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortTable(table, header) {
  const direction = header.ariaSort === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
  header.ariaSort = direction > 0 ? "ascending" : "descending";
  const keyed = [...table.tBodies[0].rows].map((row) => [sortKey(row, header.cellIndex), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return direction * compareKeys(a, b);
  });
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

// Compressions are written with a sign that few keyboards have.
function asTyped(text) {
  return text.toLowerCase().replaceAll("\u00d7", "x");
}

// Shows the rows with all the words, of the plot's experiment where the box asks for it.
function filterTable(filter) {
  const rows = [...document.getElementById(filter.dataset.filters).tBodies[0].rows];
  const words = asTyped(filter.querySelector("input[type=search]").value).split(/\s+/).filter(Boolean);
  const check = filter.querySelector("input[type=checkbox]");
  const experiment = check && check.checked ? document.getElementById("experiment").value : null;
  let numShown = 0;
  for (const row of rows) {
    const text = asTyped(row.textContent);
    const isMeant = experiment === null || row.dataset.experiment === experiment;
    row.hidden = !isMeant || !words.every((word) => text.includes(word));
    numShown += row.hidden ? 0 : 1;
  }
  filter.querySelector("output").textContent = `${numShown} of ${rows.length} rows`;
}

function filterTables() {
  document.querySelectorAll("[data-filters]").forEach(filterTable);
}

function prepareTables() {
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const header of table.tHead.rows[0].cells) {
      header.querySelector("button").addEventListener("click", () => sortTable(table, header));
    }
  }
  for (const filter of document.querySelectorAll("[data-filters]")) {
    filter.addEventListener("input", () => filterTable(filter));
  }
  filterTables();
}
