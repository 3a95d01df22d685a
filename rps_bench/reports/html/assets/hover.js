// What a point tells when the mouse rests on it: all its numbers.

function hoverText(point) {
  const spread = (name, unit) => {
    if (point[name] === null) return "\u2013";
    const digits = unit ? 2 : 3;
    const std = point[`${name}_std`];
    const low = point[`${name}_low`];
    const mean = formatNumber(point[name], digits) + (std === null ? "" : ` \u00b1 ${formatNumber(std, digits)}`);
    return low === null
      ? `${mean}${unit}`
      : `${mean}${unit} [${formatNumber(low, digits)}, ${formatNumber(point[`${name}_high`], digits)}]`;
  };
  const macs = formatNumber(point.macs, 0);
  const effective = point.effective_macs === null ? "" : `, effective ${formatNumber(point.effective_macs, 0)}`;
  const seconds = formatNumber(point.total_train_seconds, 0);
  const trainings = point.num_trainings > 1 ? ` in ${formatNumber(point.num_trainings, 0)} trainings` : "";
  const lost = [
    point.num_diverged ? `${point.num_diverged} diverged` : "",
    point.num_failed ? `${point.num_failed} failed` : "",
  ].filter(Boolean);
  return [
    `<b>${escapeForPlotly(shorten(point.label, 60))}</b>`,
    `compression ${formatRatio(point.compression)}, true ${formatRatio(point.true_compression)}`,
    `accuracy ${spread("accuracy", "%")}`,
    `best epoch ${spread("best", "%")}`,
    `loss ${spread("loss", "")}`,
    `n = ${point.n}${lost.length ? `, ${lost.join(", ")}` : ""}`,
    `stored ${formatNumber(point.stored_bytes, 0)} bytes`,
    `MACs ${macs}${effective}`,
    `cost ${formatNumber(point.total_epochs, 1)} epochs, ${seconds} s${trainings}`,
  ].join("<br>");
}

// The box of such a text, in the colours of the page.
function hoverLabel(theme) {
  return { align: "left", bgcolor: theme.paper, bordercolor: theme.quiet, font: { color: theme.ink, size: 12 } };
}
