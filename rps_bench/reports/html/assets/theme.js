// Colours: the page's own, and those of the methods on it.

// The page's own colours, which differ between light and dark, as the browser resolves them.
function readTheme() {
  const probe = document.body.appendChild(document.createElement("span"));
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const theme = { font: getComputedStyle(document.body).fontFamily };
  for (const name of ["paper", "ink", "quiet", "grid", "frontier"]) theme[name] = read(name);
  probe.remove();
  return theme;
}

// "#0072b2" or "rgb(0, 114, 178)" -> [0, 114, 178]
function parseColour(text) {
  if (text.startsWith("#")) return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  return text.match(/\d+/g).slice(0, 3).map(Number);
}

function luminance(parts) {
  const [red, green, blue] = parts.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

// A method keeps its colour; on a dark page a dark one is mixed with white until it can be seen.
function readableColour(colour, paper) {
  const back = luminance(parseColour(paper));
  if (back > 0.5) return colour;
  let parts = parseColour(colour);
  while ((luminance(parts) + 0.05) / (back + 0.05) < 4) parts = parts.map((part) => part + (255 - part) * 0.1);
  return `rgb(${parts.map(Math.round).join(", ")})`;
}
