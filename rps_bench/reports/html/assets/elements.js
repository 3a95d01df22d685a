// Elements of the page. Any text goes in as text, so nothing in a record becomes markup.

function element(name, text, ...children) {
  const node = document.createElement(name);
  if (text !== null) node.textContent = text;
  node.append(...children);
  return node;
}

// An element with properties of its own, such as `className` or `type`.
function elementWith(properties, name, text, ...children) {
  return Object.assign(element(name, text, ...children), properties);
}

function recordLink(run, text = run.run_id) {
  if (run.href === null) return element("span", text);
  return elementWith({ href: run.href }, "a", text);
}

function headerCell(title) {
  return elementWith({ scope: "col" }, "th", title);
}

// A table with a caption, whose first cell in each row is the row's header, in a box that scrolls.
function plainTable(caption, titles, rows) {
  const head = element("tr", null, ...titles.map(headerCell));
  const body = rows.map(([first, ...rest]) => {
    const header = elementWith({ scope: "row" }, "th", null, first);
    return element("tr", null, header, ...rest.map((cell) => element("td", null, cell)));
  });
  const table = element(
    "table", null, element("caption", caption),
    element("thead", null, head), element("tbody", null, ...body));
  const box = elementWith({ className: "scroll", tabIndex: 0 }, "div", null, table);
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", caption);
  return box;
}

function fillSelect(select, choices, usual) {
  const options = choices.map(([value, text]) => {
    const option = elementWith({ value }, "option", text);
    option.defaultSelected = value === usual;
    return option;
  });
  select.replaceChildren(...options);
}
