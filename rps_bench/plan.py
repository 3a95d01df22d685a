"""``python -m rps_bench.plan WORDS``: what ``python -m rps_bench WORDS`` would do, and how long.

Nothing is trained, written or downloaded. Epochs are those that are left to train: levels that
compressions share count for the first run that needs them, levels on disk for none. Times are
estimated from the records at hand.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.table import Table

from rps_bench.command_line import asks_for_information, parse_words
from rps_bench.config import RunConfig
from rps_bench.console import say, show_table
from rps_bench.datasets.info import DATASETS
from rps_bench.done import find_done
from rps_bench.locks import find_begun_runs
from rps_bench.output import command
from rps_bench.records.schema import FINISHED, Record
from rps_bench.records.store import find_record, read_records
from rps_bench.sweep import plan_runs

TO_DO = ("new", "begun", "failed before", "without its file")


@command
def main(words: Sequence[str] | None = None) -> int:
    """Print the plan; returns the exit status."""
    arguments = parse_words(list(sys.argv[1:] if words is None else words))
    if asks_for_information(arguments):
        say(str(__doc__).strip())
        return 0
    plan = plan_runs(arguments.overrides, arguments.multirun, arguments.config_dir)
    for note in plan.notes:
        say(note)
    show_plan(plan.configs)
    return 0


def show_plan(configs: Sequence[RunConfig]) -> None:
    """One line per run with its state and estimate, and one that sums up."""
    folders = {config.results_dir for config in configs}
    begun = {folder: find_begun_runs(folder) for folder in folders}
    timed = {folder: _timed_records(folder) for folder in folders}
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("epochs", no_wrap=True, justify="right")
    table.add_column("estimate", no_wrap=True, justify="right")
    states = [find_state(config, begun[config.results_dir]) for config in configs]
    epochs = count_epochs(configs, states, [record for own in timed.values() for record in own])
    seconds: list[float | None] = []
    for config, state, num_epochs in zip(configs, states, epochs, strict=True):
        cells = ["", ""]
        if num_epochs is not None:
            seconds.append(estimate_seconds(config, num_epochs, timed[config.results_dir]))
            cells = [format_epochs(num_epochs), format_seconds(seconds[-1])]
        table.add_row(config.run_id, state, *cells)
    show_table(table)
    counted = ", ".join(f"{count} {state}" for state, count in Counter(states).items())
    total = sum(number for number in epochs if number is not None)
    say(f"{len(configs)} runs: {counted}; {_sum_up(seconds, total)}")


def count_epochs(
    configs: Sequence[RunConfig], states: Sequence[str], records: Sequence[Record]
) -> list[float | None]:
    """Epochs that each run trains, None for one that is not to do.

    A training that runs share counts for the first of them; what another process is at counts as
    trained by it.
    """
    if not any(state in TO_DO for state in states):
        return [None] * len(configs)
    from rps_bench.workload import Workload  # imports torch

    workload = Workload(records)
    for config, state in zip(configs, states, strict=True):
        if state == "in progress":
            workload.add(config)
    pairs = zip(configs, states, strict=True)
    return [workload.add(config) if state in TO_DO else None for config, state in pairs]


def find_state(config: RunConfig, begun: dict[str, bool]) -> str:
    """Return ``completed``, ``diverged``, ``in progress`` or one of `TO_DO`.

    Args:
        config: The run.
        begun: Run ids with work that has not ended, and whether a process is at it.
    """
    done = find_done(config)
    if done is not None:
        return str(done["status"])
    if config.run_id in begun:
        return "in progress" if begun[config.run_id] else "begun"
    record = find_record(*config.record_place)
    if record is None:
        return "new"
    return "without its file" if record["status"] in FINISHED else "failed before"


def estimate_seconds(
    config: RunConfig, num_epochs: float, records: Sequence[Record]
) -> float | None:
    """Median training time per epoch of the likest earlier runs, times the epochs to train.

    Likest: same dataset and architecture, then also width, method and compression. An epoch is as
    long as its images are many. None: no such run.
    """
    if num_epochs == 0:
        return 0.0
    wanted: list[tuple[str, object]] = [
        ("arch_options", {"width": config.width}),
        ("method", config.method),
        ("compression", config.compression),
    ]
    alike = [
        record
        for record in records
        if (record["config"]["dataset"], record["config"]["arch"]) == (config.dataset, config.arch)
    ]
    for key, value in wanted:
        narrower = [record for record in alike if record["config"].get(key) == value]
        alike = narrower or alike
    if not alike:
        return None
    from rps_bench.workload import count_images  # imports torch

    num_images = _images_of_epoch(count_images(config), asdict(config.recipe))
    rates = [_seconds(record) / _epochs(record) / _images(record) for record in alike]
    return num_epochs * num_images * median(rates)


def format_epochs(num_epochs: float) -> str:
    """Such as 3, 32.7 or 5,827.9."""
    return f"{num_epochs:,.1f}".removesuffix(".0")


def format_seconds(seconds: float | None) -> str:
    """Such as 45 s, 12 min or 3.4 h; ``unknown`` for None."""
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _timed_records(results_dir: str) -> list[Record]:
    """Completed records that tell how long they trained."""
    records, _ = read_records(results_dir)
    return [
        record
        for record in records
        if record["status"] == "completed" and _seconds(record) > 0 and _epochs(record) > 0
    ]


def _seconds(record: Record) -> float:
    """Seconds of all trainings that a record speaks of, 0 where it does not say.

    Of runs that trained at once each took its share.
    """
    cost = record["cost"]
    seconds = _number(cost.get("total_train_seconds", cost["train_seconds"]))
    return seconds / max(1.0, _number(cost.get("population")))


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


def _sum_up(seconds: Sequence[float | None], num_epochs: float) -> str:
    known = [value for value in seconds if value is not None]
    if not seconds:
        return "nothing to do"
    to_do = f"{len(seconds)} to do, {format_epochs(num_epochs)} epochs"
    if not known:
        return f"{to_do}, time unknown: no earlier records to estimate from"
    rest = len(seconds) - len(known)
    unknown = f" and {rest} of unknown time" if rest else ""
    return f"{to_do}, about {format_seconds(sum(known))} one after the other{unknown}"


if __name__ == "__main__":
    sys.exit(main())
