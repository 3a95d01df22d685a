"""The results table: one tidy row per record, flat columns named as the record's own keys.

Options have their group as a prefix (`method.init_std`, `recipe.epochs`), and so have library
versions (`versions.torch`). The column `epochs` counts the epochs actually trained, `population`
the largest number of runs that trained at once with this one, itself included: above 1 its times
were measured on a shared device, and `peak_memory_bytes` is the memory of all of them. Where
records count by class, the row has the accuracy of the worst class and of groups. `table.csv`
and `table.parquet` hold the same rows; parquet keeps the types of the columns.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from rps_bench.config import FIXED
from rps_bench.records.schema import (
    CONFIG_OPTION_BLOCKS,
    COST_KEYS,
    FILE_ZSTD,
    METRIC_KEYS,
    SIZE_KEYS,
    TEST,
    UNRETRAINED_BYTES,
    VALIDATION,
    split_of,
)
from rps_bench.reports.analysis.classes import CLASS_MEASURES, measure_classes

_TEXT = (
    "run_id", "status", "reason", "label", "dataset", "arch", "method", "method_kind",
    "recipe", "evaluation_split", "protocol", "precision", "kernels", "device", "started_at",
    "git_commit",
    "package_version", "python", "platform", "cpu_model", "gpu_name",
)  # fmt: skip
_INTEGERS = (
    "seed", "epochs", "dense_weights", "stored_weights", "dense_total", "stored_total",
    "stored_bytes", FILE_ZSTD, UNRETRAINED_BYTES, "peak_memory_bytes", "macs", "effective_macs",
    "num_levels", "num_trainings", "cpu_count", "num_threads", "population",
)  # fmt: skip
_FLOATS = (
    "compression", "true_compression", *METRIC_KEYS, *VALIDATION.keys, "train_seconds",
    "images_per_second", "total_epochs", "total_train_seconds",
    TEST.unretrained_accuracy, VALIDATION.unretrained_accuracy, *CLASS_MEASURES,
)  # fmt: skip
_BOOLEANS = ("git_dirty",)

# These are in every table, in this order; other keys of the records follow, sorted by name.
COLUMNS = (
    "run_id", "status", "reason", "dataset", "arch", "method", "method_kind", "label",
    "compression", "seed", "recipe", "evaluation_split", "protocol", "precision", "kernels",
    "device", "epochs",
    *METRIC_KEYS, *VALIDATION.keys, *SIZE_KEYS, *COST_KEYS, "effective_macs", "num_levels",
    "num_trainings", "total_epochs", "total_train_seconds", "population", "started_at",
    "git_commit", "git_dirty", "package_version", "python", "platform", "cpu_model", "cpu_count",
    "num_threads", "gpu_name",
)  # fmt: skip
ROW_ORDER = ["dataset", "arch", "recipe", "method", "label", "compression", "seed", "run_id"]

_LARGEST_INTEGER = 2**63 - 1


def build_table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per record in a fixed order of rows and columns; unknown values are null."""
    rows = [flatten_record(record) for record in records]
    extras = sorted(set().union(*rows).difference(COLUMNS))
    columns = {key: _as_column(key, [row.get(key) for row in rows]) for key in (*COLUMNS, *extras)}
    table = pd.DataFrame(columns)
    return table.sort_values(ROW_ORDER, kind="stable", ignore_index=True)


def flatten_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record's values as one flat dict; lists become JSON text."""
    config = dict(record["config"])
    options = {block: config.pop(block, {}) for block in CONFIG_OPTION_BLOCKS}
    row: dict[str, Any] = {key: record.get(key) for key in ("run_id", "status", "reason")}
    row["epochs"] = len(record["history"])
    row |= measure_classes(record)
    for block in (config, record["metrics"], record["size"], record["cost"], record["provenance"]):
        for key, value in _leaves(block).items():
            row.setdefault(key, value)
    for block, values in options.items():
        row |= _leaves(values, prefix=block.removesuffix("options").replace("_", "."))
    row["label"] = row.get("label") or row["method"]
    row["evaluation_split"] = split_of(row).name
    row["protocol"] = row.get("protocol") or FIXED
    return row


def _leaves(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested dicts in one dict with dotted names."""
    leaves: dict[str, Any] = {}
    for key, value in block.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, prefix=f"{prefix}{key}.")
        else:
            leaves[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return leaves


def _as_column(name: str, values: list[Any]) -> "pd.Series[Any]":
    """A column with one type, whatever is missing: integers stay integers next to a null.

    The columns of this package have the same type in every table: a value of another type, which
    only a hand-made record can hold, becomes null. In other columns values of several types become
    text.
    """
    if name in _FLOATS or name in _INTEGERS:
        values = [value if _is_number(value) else None for value in values]
    elif name in _BOOLEANS:
        values = [value if isinstance(value, bool) else None for value in values]
    # pandas's own Int64 and boolean can hold nulls; numpy's types would turn them into floats.
    known = {type(value) for value in values if value is not None}
    if name in _BOOLEANS or known == {bool}:
        return pd.Series(values, dtype="boolean")
    if known and known <= {int, float}:
        is_whole = name not in _FLOATS and float not in known and _fits(values)
        return pd.Series(values, dtype="Int64" if is_whole else "float64")
    if known:
        texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        return pd.Series(texts, dtype="str")
    kind = "float64" if name in _FLOATS else "Int64" if name in _INTEGERS else "str"
    return pd.Series(values, dtype=kind)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits(values: list[Any]) -> bool:
    """Whether all whole numbers fit 64 bits."""
    return all(abs(value) <= _LARGEST_INTEGER for value in values if value is not None)
