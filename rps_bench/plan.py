"""``python -m rps_bench.plan WORDS``: what ``python -m rps_bench WORDS`` would do, and how long.

Nothing is trained, written or downloaded. Times are estimated from the records at hand.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from statistics import median

from rich.table import Table

from rps_bench.command_line import asks_for_information, parse_words
from rps_bench.config import RunConfig
from rps_bench.console import say, show_table
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
    plan = plan_runs(arguments.overrides, arguments.multirun)
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
    table.add_column("estimate", no_wrap=True, justify="right")
    counts: Counter[str] = Counter()
    seconds: list[float | None] = []
    for config in configs:
        state = find_state(config, begun[config.results_dir])
        estimate = None
        if state in TO_DO:
            estimate = estimate_seconds(config, timed[config.results_dir])
            seconds.append(estimate)
        counts[state] += 1
        table.add_row(config.run_id, state, format_seconds(estimate) if state in TO_DO else "")
    show_table(table)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    say(f"{len(configs)} runs: {states}; {_sum_up(seconds)}")


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


def estimate_seconds(config: RunConfig, records: Sequence[Record]) -> float | None:
    """Median training time per epoch of the likest earlier runs, times the epochs of this one.

    Likest: same dataset and architecture, then also method, then compression. For a method that
    shares trainings between compressions it is the time of the whole chain. None: no such run.
    """
    wanted: list[tuple[str, object]] = [
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
    rates = [_seconds(record) / _epochs(record) for record in alike]
    return config.recipe.epochs * median(rates) if rates else None


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
    """Epochs of a record's recipe, 0 where it does not say."""
    return _number(record["config"].get("recipe_options", {}).get("epochs"))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _sum_up(seconds: Sequence[float | None]) -> str:
    known = [value for value in seconds if value is not None]
    if not seconds:
        return "nothing to do"
    if not known:
        return f"{len(seconds)} to do, time unknown: no earlier records to estimate from"
    rest = len(seconds) - len(known)
    unknown = f" and {rest} of unknown time" if rest else ""
    return f"{len(seconds)} to do, about {format_seconds(sum(known))} one after the other{unknown}"


if __name__ == "__main__":
    sys.exit(main())
