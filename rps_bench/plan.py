"""``python -m rps_bench.plan WORDS``: what ``python -m rps_bench WORDS`` would do, and how long.

Nothing is trained, written or downloaded. Epochs are those that are left to train: levels that
compressions share count for the first run that needs them, levels on disk for none, a training
that was begun with what its last state has left. Times are estimated from the records at hand.

With ``--weights`` it lists, once for each network, which weights are compressed, and what is left
dense and why.

With ``--watch``, or ``--watch SECONDS`` between looks, it shows how far a sweep is that others
do, until all of it is recorded (exit status 0) or Ctrl-C.
"""

import sys
from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from rps_bench.config import RunConfig
from rps_bench.core.console import say, show_table
from rps_bench.core.output import command
from rps_bench.records.schema import Record
from rps_bench.runtime.locks import find_begun_runs
from rps_bench.sweep.command_line import asks_for_information, parse_words, take_watch
from rps_bench.sweep.estimate import estimate_seconds, format_seconds, read_timed_records
from rps_bench.sweep.planning import plan_runs
from rps_bench.sweep.status import IN_PROGRESS, TO_DO, find_state

WEIGHTS_FLAG = "--weights"


@command
def main(words: Sequence[str] | None = None) -> int:
    """Print the plan; returns the exit status."""
    rest, watch_seconds = take_watch(sys.argv[1:] if words is None else words)
    shows_weights = WEIGHTS_FLAG in rest
    arguments = parse_words([word for word in rest if word != WEIGHTS_FLAG])
    if asks_for_information(arguments):
        say(str(__doc__).strip())
        return 0
    plan = plan_runs(arguments.overrides, arguments.multirun, arguments.config_dir)
    for note in plan.notes:
        say(note)
    if shows_weights:
        from rps_bench.sweep.weights import describe_weights  # imports torch

        for lines in describe_weights(plan.configs):
            say(lines)
    if watch_seconds is not None:
        from rps_bench.sweep.watching import watch

        return watch(plan.configs, watch_seconds)
    show_plan(plan.configs)
    return 0


def show_plan(configs: Sequence[RunConfig]) -> None:
    """One line per run with its state and estimate, and one that sums up."""
    folders = {config.files.results_dir for config in configs}
    begun = {folder: find_begun_runs(folder) for folder in folders}
    timed = {folder: read_timed_records(folder) for folder in folders}
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("epochs", no_wrap=True, justify="right")
    table.add_column("estimate", no_wrap=True, justify="right")
    states = [find_state(config, begun[config.files.results_dir]) for config in configs]
    epochs = count_epochs(configs, states, [record for own in timed.values() for record in own])
    seconds: list[float | None] = []
    for config, state, num_epochs in zip(configs, states, epochs, strict=True):
        cells = ["", ""]
        if num_epochs is not None:
            seconds.append(estimate_seconds(config, num_epochs, timed[config.files.results_dir]))
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
    from rps_bench.sweep.workload import Workload  # imports torch

    workload = Workload(records)
    for config, state in zip(configs, states, strict=True):
        if state == IN_PROGRESS:
            workload.add(config)
    pairs = zip(configs, states, strict=True)
    return [workload.add(config) if state in TO_DO else None for config, state in pairs]


def format_epochs(num_epochs: float) -> str:
    """Such as 3, 32.7 or 5,827.9."""
    return f"{num_epochs:,.1f}".removesuffix(".0")


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
