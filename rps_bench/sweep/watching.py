"""``rps_bench.plan --watch``: a sweep that others do, looked at until all of it is recorded.

Nothing is written into the results folder. On a terminal one picture is drawn again and again;
elsewhere each change is a line.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from time import sleep
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rps_bench.config import RunConfig
from rps_bench.core.console import say
from rps_bench.core.errors import UserError
from rps_bench.records.schema import FINISHED
from rps_bench.runtime.locks import find_processes
from rps_bench.runtime.signals import StopError, StopSignals
from rps_bench.sweep.reckoning import Reckoning
from rps_bench.sweep.standing import FAILED, Place
from rps_bench.sweep.status import FAILED_BEFORE, IN_PROGRESS

ORDER = (IN_PROGRESS, FAILED, FAILED_BEFORE)  # what needs a look comes first, FINISHED last
OTHER_ROWS = 5  # of a picture: titles, what is left out, an empty row, the counts, the cursor


def watch(configs: Sequence[RunConfig], seconds: float) -> int:
    """Show how far the runs are until all are recorded or a signal comes; the exit status.

    Args:
        configs: All runs of the sweep.
        seconds: Between two looks.

    Raises:
        UserError, OSError: A record or a lock cannot be read.
    """
    reckoning = Reckoning(configs)
    with StopSignals():
        try:
            context, show = _choose_view()
            with context:
                while not _is_over(reckoning):
                    reckoning.look()
                    show(reckoning)
                    if not _is_over(reckoning):
                        sleep(seconds)
            return 0
        except StopError as error:
            num_left = len(configs) - reckoning.counts.recorded
            say(f"watched no longer: {num_left} of {len(configs)} runs are not recorded")
            return 128 + error.number


def _is_over(reckoning: Reckoning) -> bool:
    return reckoning.counts.recorded == reckoning.counts.total


def _choose_view() -> tuple[AbstractContextManager[object], Callable[[Reckoning], None]]:
    console = Console()
    if not (sys.stdout.isatty() and console.is_terminal) or console.is_dumb_terminal:
        return nullcontext(), _Lines().show
    live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def show(reckoning: Reckoning) -> None:
        live.update(_draw(reckoning, console.height), refresh=True)
        console.show_cursor(True)  # a command that is killed leaves the terminal as it was

    return live, show


class _Lines:
    """A line for each run whose state has changed, and one of all runs."""

    def __init__(self) -> None:
        self._states: dict[Place, str] | None = None

    def show(self, reckoning: Reckoning) -> None:
        """Write what has changed since the last call."""
        states, before = dict(reckoning.standing.states), self._states
        self._states = states
        if states == before:
            return
        known = {} if before is None else before
        changed = [place for place in states if states[place] != known.get(place)]
        for row in _list_rows(reckoning, changed):
            if before is not None or row.state == IN_PROGRESS:
                say("  ".join(cell for cell in row if cell))
        say(_sum_up(reckoning))


class _Row(NamedTuple):
    """What is told of a run."""

    run_id: str
    state: str
    place: str  # such as epoch 3/10
    process: str


def _draw(reckoning: Reckoning, height: int) -> Group:
    """As many runs as a terminal has rows for, and the counts."""
    states = reckoning.standing.states
    ranked = sorted(states, key=lambda place: _rank(states[place]))
    num_shown = len(ranked)
    if num_shown + OTHER_ROWS - 1 > height:
        num_shown = max(1, height - OTHER_ROWS)
    table = Table(box=None, pad_edge=False)
    rows = _list_rows(reckoning, ranked[:num_shown])
    # Where a terminal is narrow the ids stay whole: they are copied.
    table.add_column("run", no_wrap=True, min_width=max(len(row.run_id) for row in rows))
    for title in ("state", "trained", "process"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    rest = Counter(states[place] for place in ranked[num_shown:])
    more = ", ".join(f"{number} {state}" for state, number in rest.items())
    left_out = [_cut(f"and {more}")] if more else []
    return Group(table, *left_out, Text(), _cut(_sum_up(reckoning)))


def _cut(line: str) -> Text:
    return Text(line, no_wrap=True, overflow="ellipsis")


def _rank(state: str) -> int:
    if state in ORDER:
        return ORDER.index(state)
    return len(ORDER) + (state in FINISHED)


def _sum_up(reckoning: Reckoning) -> str:
    line = reckoning.describe(datetime.now())
    is_idle = not reckoning.counts.running and not _is_over(reckoning)
    return f"{line}; no process is at it" if is_idle else line


def _list_rows(reckoning: Reckoning, places: Sequence[Place]) -> list[_Row]:
    """Where runs are that are under way comes from their checkpoints."""
    standing = reckoning.standing
    running = [place for place in places if standing.states[place] == IN_PROGRESS]
    processes = {folder: find_processes(folder) for folder in {place[0] for place in running}}
    rows = []
    for place in places:
        state, trained, process = standing.states[place], "", ""
        if place in running:
            trained = _describe_place(reckoning, standing.configs[place])
            own = processes[place[0]]
            ids = standing.find_lock_ids(place)
            number = next((own[run_id] for run_id in ids if run_id in own), None)
            process = "" if number is None else f"process {number}"
        rows.append(_Row(place[3], state, trained, process))
    return rows


def _describe_place(reckoning: Reckoning, config: RunConfig) -> str:
    """Such as ``level 2/7 epoch 3/30``, or nothing where it cannot be told."""
    from rps_bench.sweep.workload import Workload  # imports torch

    try:
        place = Workload(list(reckoning.standing.done.values())).find_place(config)
    except UserError:  # such as a device that this machine lacks
        return ""
    level = f"level {place.level}/{place.last_level}  " if place.last_level else ""
    return f"{level}epoch {place.epoch:.1f}/{place.num_epochs}".replace(".0/", "/")
