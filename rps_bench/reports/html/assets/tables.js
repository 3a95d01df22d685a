// Tables: sorted by a click on a header, filtered, and shown a page at a time, so that thousands of
// rows cost no more than fifty. A *book* is such a table with all the rows it could show.

const PAGE_ROWS = 50;
const books = new Map(); // by the table's id

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

// Items are rows, or what `build` makes rows of once they are drawn; `key` tells what to sort by.
function openBook(table, { items, build = (row) => row, key = sortKey }) {
  const book = { table, items, build, key, shown: items, page: 0, order: null, isWhole: false };
  books.set(table.id, book);
  book.pager = buildPager(book);
  table.closest(".scroll").after(book.pager);
  for (const header of table.tHead.rows[0].cells) {
    header.querySelector("button")?.addEventListener("click", () => sortBook(book, header));
  }
  return book;
}

function buildPager(book) {
  const turn = (text, step) => {
    const button = elementWith({ type: "button" }, "button", text);
    button.addEventListener("click", () => {
      book.page += step;
      drawBook(book);
    });
    return button;
  };
  const [back, on] = [turn("Previous rows", -1), turn("Next rows", 1)];
  const pager = elementWith({ className: "pager" }, "nav", null, back, elementWith({ role: "status" }, "span", ""), on);
  const caption = document.getElementById(book.table.getAttribute("aria-labelledby"));
  pager.setAttribute("aria-label", `Pages: ${caption.textContent}`);
  return pager;
}

function drawBook(book) {
  const numPages = Math.max(1, Math.ceil(book.shown.length / PAGE_ROWS));
  book.page = Math.min(Math.max(book.page, 0), numPages - 1);
  const first = book.isWhole ? 0 : book.page * PAGE_ROWS;
  const drawn = book.shown.slice(first, book.isWhole ? undefined : first + PAGE_ROWS);
  book.table.tBodies[0].replaceChildren(...drawn.map(book.build));
  const [back, text, on] = book.pager.children;
  const { length } = book.shown;
  const rest = length === book.items.length ? "" : ` (${book.items.length} in all)`;
  const span = drawn.length < length ? `Rows ${first + 1} to ${first + drawn.length} of ${length}` : countOf(length, "row");
  text.textContent = span + rest;
  // A button that is switched off would drop the focus of whoever pressed it.
  back.ariaDisabled = String(book.page === 0);
  on.ariaDisabled = String(book.page === numPages - 1);
  back.hidden = on.hidden = numPages === 1;
}

function sortBook(book, header) {
  const direction = header.ariaSort === "ascending" ? -1 : 1;
  for (const other of book.table.tHead.rows[0].cells) other.ariaSort = "none";
  header.ariaSort = direction > 0 ? "ascending" : "descending";
  book.order = { column: header.cellIndex, direction };
  showItems(book, book.shown);
}

// Shows these of the items, in the order that was asked for, from the first page on.
function showItems(book, items) {
  book.page = 0;
  book.shown = items;
  if (book.order) {
    const { column, direction } = book.order;
    const keyed = items.map((item) => [book.key(item, column), item]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return direction * compareKeys(a, b);
    });
    book.shown = keyed.map(([, item]) => item);
  }
  drawBook(book);
}

// The rows with all the words that are typed above the table, if there is a box for them.
function withWords(book, rows) {
  const filter = document.querySelector(`[data-filters="${book.table.id}"] input`);
  const words = filter ? splitWords(filter.value) : [];
  if (!words.length) return rows;
  return rows.filter((row) => {
    const text = asTyped(row.textContent);
    return words.every((word) => text.includes(word));
  });
}

// For print: all rows at once, or pages again.
function unfoldBooks(isWhole) {
  for (const book of books.values()) {
    book.isWhole = isWhole;
    drawBook(book);
  }
}
