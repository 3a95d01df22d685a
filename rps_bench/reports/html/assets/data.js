"use strict";
// The study as objects, and how its numbers are written.

const study = readStudy();

// A run knows its point, a point its runs, its curve and its experiment.
function readStudy() {
  const raw = JSON.parse(document.getElementById("study-data").textContent);
  const unpack = (fields, rows) =>
    rows.map((row) => Object.fromEntries(fields.map((field, place) => [field, row[place]])));
  const points = unpack(raw.point_fields, raw.points);
  points.forEach((point, index) => Object.assign(point, { index, runs: [] }));
  const runs = unpack(raw.run_fields, raw.runs);
  runs.forEach((run, index) => {
    run.history = raw.histories[index];
    run.point = points[run.point];
    run.point.runs.push(run);
  });
  raw.experiments.forEach((experiment, index) => {
    experiment.index = index;
    for (const curve of experiment.curves) {
      for (const place of curve.points) Object.assign(points[place], { curve, experiment });
    }
  });
  return { ...raw, points, runs };
}

function formatNumber(value, digits) {
  if (value === null) return "\u2013";
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function formatSigned(value, digits) {
  if (value === null) return "\u2013";
  return `${value > 0 ? "+" : ""}${formatNumber(value, digits)}`;
}

function formatRatio(value) {
  if (value === null) return "\u2013";
  return `${value < 999.5 ? Number(value.toPrecision(3)) : Math.round(value)}\u00d7`;
}

function countOf(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

// [1, 3, 2] -> "1 to 3", [2] -> "2"
function spanOf(numbers) {
  return [...new Set([Math.min(...numbers), Math.max(...numbers)])].join(" to ");
}

function shorten(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}\u2026` : text;
}

// plotly reads tags and entities in its texts: this makes any text stand for itself.
function escapeForPlotly(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
