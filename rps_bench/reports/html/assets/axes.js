// What the plot can show on each axis, and which direction is better.

const SPENT = "all trainings spent";

const X_AXES = {
  compression: {
    name: "compression",
    title: "Compression of the compressible weights",
    isRatio: true,
    isMoreBetter: true,
  },
  true_compression: {
    name: "true compression",
    title: "True compression: all parameters, dense / stored",
    isRatio: true,
    isMoreBetter: true,
  },
  stored_bytes: { name: "stored bytes", title: "Stored bytes" },
  macs: { name: "MACs", title: "MACs of a forward pass, zeros counted" },
  effective_macs: {
    name: "effective MACs",
    title: "MACs of a forward pass, pruned weights left out",
    read: (point) => point.effective_macs ?? point.macs,
  },
  total_epochs: { name: "training cost in epochs", title: `Epochs of ${SPENT}`, isCost: true },
  total_train_seconds: {
    name: "training cost in seconds",
    title: `Seconds of ${SPENT}`,
    isCost: true,
  },
};

const Y_AXES = {
  accuracy: { name: "accuracy, last epoch", title: "accuracy (%)", isMoreBetter: true },
  best: { name: "accuracy, best epoch", title: "accuracy, best epoch (%)", isMoreBetter: true },
  loss: { name: "loss", title: "loss" },
};

function readX(point, key) {
  const axis = X_AXES[key];
  return axis.read ? axis.read(point) : point[key];
}

function titleX(key) {
  const axis = X_AXES[key];
  return axis.isMoreBetter ? axis.title : `${axis.title} (less is better)`;
}

function titleY(key, experiment) {
  const split = experiment.split.charAt(0).toUpperCase() + experiment.split.slice(1);
  return escapeForPlotly(`${split} ${Y_AXES[key].title}`);
}

// 1, 2 and 5 of each decade between two numbers, powers of ten alone where that were too many.
function logTicks(low, high) {
  const decades = Math.log10(high / low);
  const leads = decades < 1 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 3 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    ticks.push(...leads.map((lead) => Number(`${lead}e${power}`)));
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}

// 40000 -> 40k: plotly writes linear axes in the same way.
function formatShort(value) {
  const units = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
  const [size, unit] = units.find(([size]) => value >= size) ?? [1, ""];
  return `${Number((value / size).toPrecision(3))}${unit}`;
}

// The range of an axis that shows all the values with some room, as plotly takes it.
function padRange(values, scale) {
  const place = scale === "log" ? Math.log10 : Number;
  const [low, high] = [Math.min(...values), Math.max(...values)].map(place);
  const pad = (high - low) * 0.06 || (scale === "log" ? 0.2 : Math.abs(low) * 0.3 || 1);
  return [low - pad, high + pad];
}

// The axis of a plot whose values across are `values`, all of them positive on a logarithmic scale.
function layoutX(key, scale, values) {
  const axis = X_AXES[key];
  const title = { text: titleX(key), standoff: 10 };
  if (!values.length) return { title, type: scale };
  const range = padRange(values, scale);
  const layout = { title, type: scale, range };
  if (scale === "linear") {
    return { ...layout, ...(axis.isRatio ? { ticksuffix: "\u00d7" } : { tickformat: "~s" }) };
  }
  const grid = [...new Set(values)].sort((a, b) => a - b);
  const isGrid = axis.isRatio && grid.length <= 8;
  const tickvals = isGrid ? grid : logTicks(10 ** range[0], 10 ** range[1]);
  return { ...layout, tickvals, ticktext: tickvals.map(axis.isRatio ? formatRatio : formatShort) };
}
