"""Whether runs gave the same: their records and files without what no run repeats."""

from pathlib import Path
from typing import Any

from rps_bench.records import read_records

# Settings of a run that takes a fraction of a second: two steps of 32 images.
TINY = (
    "recipe=smoke", "recipe.epochs=1", "recipe.max_steps_per_epoch=2", "recipe.batch_size=32",
    "arch.width=2", "device=cpu", "precision=fp32",
)  # fmt: skip

# What no run repeats: when it was, and what the machine did meanwhile.
NEVER_THE_SAME = {
    "started_at",
    "train_seconds",
    "total_train_seconds",
    "images_per_second",
    "peak_memory_bytes",
    "waiting",  # of threads: a command sets it for itself, a test that calls one in its process not
}


def without_times(value: Any) -> Any:
    """A record's value without what no run repeats."""
    if isinstance(value, dict):
        kept = {key: child for key, child in value.items() if key not in NEVER_THE_SAME}
        return {key: without_times(child) for key, child in kept.items()}
    return [without_times(child) for child in value] if isinstance(value, list) else value


def results_of(folder: Path) -> dict[str, Any]:
    """Each run's record without times, and the bytes of its model's file."""
    records, problems = read_records(folder)
    assert not problems
    models = {path.stem: path.read_bytes() for path in (folder / "models").rglob("*.safetensors")}
    return {
        record["run_id"]: (without_times(record), models[record["run_id"]]) for record in records
    }
