"""Inference times of trained networks: measured times joined to points of accuracy.

`python -m rps_bench.inference` measures; here its table is read and matched. A time belongs to a
point if both are of the same network: architecture and multiply-adds agree (which tells widths and
image sizes apart), and the point's kind of method was measured at exactly the point's compression.
Nothing is interpolated.
"""

import json
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

INFERENCE_NAME = "inference"
LATENCY = "latency_ms"
BATCH, DEVICE = 1, "cpu"  # the setting of the times shown with accuracies
SAME_MACS = 1e-3  # relative; other numbers of classes change the last layer by less than this

# The way in which a method's kind is run here: sharing recovers its weights once, pruning keeps
# its zeros. Both run the dense network from then on.
_WAYS = {
    "dense": "dense", "sharing": "recover_once", "pruning": "pruned_dense", "narrower": "small",
}  # fmt: skip
_COLUMNS = {"arch", "way", "compression", "macs", "batch", "device", "median_ms", "threads"}


class Measured(NamedTuple):
    """The table of a measurement and its provenance."""

    table: pd.DataFrame
    provenance: dict[str, Any]


def read_latency(results_dir: Path) -> Measured | None:
    """The measurement in a results folder, None if there is none that can be read."""
    csv = results_dir / f"{INFERENCE_NAME}.csv"
    try:
        table = pd.read_csv(StringIO(csv.read_text()))
        provenance = json.loads(csv.with_suffix(".json").read_text())["provenance"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not set(table) >= _COLUMNS or not isinstance(provenance, dict):
        return None
    return Measured(table, provenance)


def add_latency(points: pd.DataFrame, measured: Measured) -> pd.DataFrame:
    """The points with a column `latency_ms`, null if the network was not measured.

    Several ways of running may run the same network. They share one time, the median over all of
    them, as the differences between their times are noise.
    """
    table = measured.table
    shown = (table["batch"] == BATCH) & (table["device"] == DEVICE)
    own = table[shown & table["way"].isin(_WAYS.values())]
    return points.assign(**{LATENCY: [_find_time(own, point) for _, point in points.iterrows()]})


def _find_time(times: pd.DataFrame, point: "pd.Series[Any]") -> float:
    """The milliseconds that a point's network takes, null if it was not measured."""
    same = times[
        (times["arch"] == point["arch"])
        & ((times["macs"] - point["macs"]).abs() <= SAME_MACS * times["macs"])
    ]
    way = _WAYS.get(point["method_kind"])
    is_known = same["way"] == way
    if way != "small":  # a narrow network is identified by its multiply-adds alone
        is_known &= same["compression"] == point["compression"]
    return float(same["median_ms"].median()) if is_known.any() else float("nan")


def describe_latency(measured: Measured) -> str:
    """The small print of accuracy against time: how networks were run, then the hardware."""
    return (
        f"time of {BATCH} image in fp32: sharing with weights recovered once and pruning with its"
        f" zeros run the dense network; measured on {describe_hardware(measured)}"
    )


def describe_hardware(measured: Measured) -> str:
    """The hardware, library version and date of a measurement."""
    origin = measured.provenance
    threads = sorted(set(measured.table["threads"]))
    count = " and ".join(f"{n:g} thread{'' if n == 1 else 's'}" for n in threads)
    parts = [f"{origin.get('cpu_model') or 'an unknown processor'} ({count})"]
    if (measured.table["device"] != DEVICE).any():
        parts.append(str(origin.get("gpu_name")))
    versions = origin.get("versions")
    if isinstance(versions, dict) and versions.get("torch"):
        parts.append(f"torch {versions['torch']}")
    return ", ".join([*parts, str(origin.get("started_at", ""))[:10]])
