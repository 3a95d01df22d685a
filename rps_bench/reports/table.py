"""The results table: one tidy row per record, flat columns named as the record's own keys.

Options carry the name of their group as a prefix (`method.init_std`, `recipe.epochs`), library
versions too (`versions.torch`). The column `epochs` counts the epochs that were really trained.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rps_bench.atomic import write_text
from rps_bench.records import read_records
from rps_bench.records.schema import CONFIG_OPTION_BLOCKS, COST_KEYS, METRIC_KEYS, SIZE_KEYS

TABLE_NAME = "table.csv"

_TEXT = (
    "run_id", "status", "reason", "label", "dataset", "arch", "method", "recipe",
    "evaluation_split", "precision", "device",
)  # fmt: skip
_INTEGERS = (
    "seed", "epochs", "dense_weights", "stored_weights", "dense_total", "stored_total",
    "stored_bytes", "peak_memory_bytes", "macs", "effective_macs",
)  # fmt: skip
_FLOATS = (
    "compression", "true_compression", *METRIC_KEYS, "validation_accuracy", "train_seconds",
    "images_per_second",
)  # fmt: skip

# Present in every table, in this order; whatever else the records hold follows, sorted by name.
COLUMNS = (
    "run_id", "status", "reason", "dataset", "arch", "method", "label", "compression", "seed",
    "recipe", "evaluation_split", "precision", "device", "epochs", *METRIC_KEYS,
    "validation_accuracy", *SIZE_KEYS, *COST_KEYS, "effective_macs", "started_at", "git_commit",
    "git_dirty", "package_version", "python", "platform", "cpu_model", "cpu_count", "num_threads",
    "gpu_name",
)  # fmt: skip
ROW_ORDER = ["dataset", "arch", "recipe", "method", "label", "compression", "seed", "run_id"]


def build_table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per record in a fixed order of rows and columns; unknown values are null."""
    rows = [flatten_record(record) for record in records]
    extras = sorted({key for row in rows for key in row}.difference(COLUMNS))
    columns = {key: _as_column(key, [row.get(key) for row in rows]) for key in (*COLUMNS, *extras)}
    table = pd.DataFrame(columns)
    return table.sort_values(ROW_ORDER, kind="stable", ignore_index=True)


def flatten_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record's leaves as one flat dict; lists become JSON text."""
    config = dict(record["config"])
    options = {block: config.pop(block, {}) for block in CONFIG_OPTION_BLOCKS}
    row: dict[str, Any] = {key: record.get(key) for key in ("run_id", "status", "reason")}
    row["epochs"] = len(record["history"])
    for block in (config, record["metrics"], record["size"], record["cost"], record["provenance"]):
        for key, value in _leaves(block).items():
            row.setdefault(key, value)
    for block, values in options.items():
        row |= _leaves(values, prefix=block.removesuffix("options").replace("_", "."))
    row["label"] = row.get("label") or row["method"]
    row["evaluation_split"] = row.get("evaluation_split") or "test"
    return row


def write_table(results_dir: str | Path) -> Path:
    """Write `results_dir/table.csv` from all valid records, atomically; return its path."""
    records, _ = read_records(results_dir)
    return save_table(build_table(records), results_dir)


def save_table(table: pd.DataFrame, results_dir: str | Path) -> Path:
    """Write `table` to `results_dir/table.csv`, atomically; return its path."""
    return write_text(
        Path(results_dir) / TABLE_NAME, table.to_csv(index=False, lineterminator="\n")
    )


def _leaves(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested dicts with dotted names."""
    leaves: dict[str, Any] = {}
    for key, value in block.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, prefix=f"{prefix}{key}.")
        else:
            leaves[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return leaves


def _as_column(name: str, values: list[Any]) -> "pd.Series[Any]":
    """Give a column one type whatever is missing: whole numbers stay whole beside a null."""
    known = {type(value) for value in values if value is not None}
    if name in _FLOATS or known in ({float}, {int, float}):
        return pd.Series(values, dtype="float64")
    if name in _INTEGERS or known == {int}:
        return pd.Series(values, dtype="Int64")
    if known == {bool}:
        return pd.Series(values, dtype="boolean")
    return pd.Series(values, dtype="str" if name in _TEXT or known == {str} else "object")
