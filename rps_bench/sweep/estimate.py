"""How long training will take, estimated from the records at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rps_bench.config import RunConfig
from rps_bench.datasets.info import DATASETS
from rps_bench.records.schema import Record
from rps_bench.records.store import read_records


def read_timed_records(results_dir: str) -> list[Record]:
    """Completed records that tell how long they trained."""
    records, _ = read_records(results_dir)
    return [record for record in records if has_times(record)]


def has_times(record: Record) -> bool:
    """Whether a record is of a completed run and tells how long it trained."""
    return record["status"] == "completed" and _seconds(record) > 0 and _epochs(record) > 0


def runs_at_once(record: Record) -> float:
    """How many runs took turns in one process during this one, 1 for a run alone."""
    return max(1.0, _number(record["cost"].get("population")))


def estimate_seconds(
    config: RunConfig, num_epochs: float, records: Sequence[Record]
) -> float | None:
    """Median training time per epoch of the most similar earlier runs, times the epochs to train.

    Most similar: same dataset, image size and architecture, then also width, method and
    compression. Time is proportional to the number of images. None: no such run.
    """
    if num_epochs == 0:
        return 0.0
    wanted: list[tuple[str, object]] = [
        ("arch_options", {"width": config.width}),
        ("method", config.method),
        ("compression", config.compression),
    ]
    setting = config.dataset, config.image_size, config.arch
    alike = [record for record in records if _setting(record["config"]) == setting]
    for key, value in wanted:
        narrower = [record for record in alike if record["config"].get(key) == value]
        alike = narrower or alike
    if not alike:
        return None
    from rps_bench.sweep.workload import count_images  # imports torch

    num_images = _images_of_epoch(count_images(config), asdict(config.recipe))
    rates = [_seconds(record) / _epochs(record) / _images(record) for record in alike]
    return num_epochs * num_images * median(rates)


def _setting(described: Mapping[str, Any]) -> tuple[object, object, object]:
    """What a time per image is of: dataset, image size and architecture."""
    size = described.get("dataset_options", {}).get("image_size")
    return described["dataset"], size, described["arch"]


def format_seconds(seconds: float | None) -> str:
    """Such as 45 s, 12 min or 3.4 h; ``unknown`` for None."""
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _seconds(record: Record) -> float:
    """Seconds of all trainings that a record speaks of, 0 where it does not say.

    Of runs that trained at once each took its share.
    """
    cost = record["cost"]
    seconds = _number(cost.get("total_train_seconds", cost["train_seconds"]))
    return seconds / runs_at_once(record)


def _epochs(record: Record) -> float:
    """Epochs of the same trainings, 0 where it does not say."""
    epochs = record["cost"].get("total_epochs")
    options = record["config"].get("recipe_options", {})
    return _number(options.get("epochs") if epochs is None else epochs)


def _images(record: Record) -> float:
    """Images of each of these epochs."""
    described = record["config"]
    num_train = described.get("dataset_options", {}).get("num_train")
    whole = _number(num_train) or DATASETS[described["dataset"]].num_train
    return _images_of_epoch(whole, described.get("recipe_options", {}))


def _images_of_epoch(num_train: float, recipe: Mapping[str, Any]) -> float:
    """Images of an epoch, which a recipe may cut short."""
    most_steps = _number(recipe.get("max_steps_per_epoch"))
    most = most_steps * _number(recipe.get("batch_size"))
    return min(num_train, most) if most > 0 else num_train


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
