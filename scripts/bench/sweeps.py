"""Whole sweeps by the command line, from its start to its end: the way before, and today's."""

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rps_bench.core.errors import ExplainedError
from rps_bench.records import read_records
from scripts.bench.cells import compare_speeds, say, summarise
from scripts.commands import run_python

BEFORE, NOW = "before", "now"
COMMANDS = {
    BEFORE: ("engine=plain", "processes=1"),  # one process of all cores, PyTorch's own kernels
    NOW: ("engine=native",),
}
NUM_RUNS = 8
# Short runs, so that starting and recording them counts.
RUNS = (
    "arch=resnet20",
    "dataset=digits",
    "method=stable_rps",
    "compression=10",
    "recipe=quick",
    "recipe.epochs=2",
    "device=cpu",
)
LIMIT_SECONDS = 1800  # of a sweep, on a slow machine


class Sweep(NamedTuple):
    """A sweep that is done."""

    seconds: float  # of the whole command
    records: Sequence[Mapping[str, Any]]


def measure_sweeps(num_rounds: int, width: int | None = None) -> dict[str, Any] | None:
    """The seconds of both commands, which take turns; None without rounds.

    Args:
        num_rounds: Timed rounds; before them each command does one run, to warm up.
        width: Channels of the first convolution; None for the architecture's own.

    Raises:
        ExplainedError: A command failed.
    """
    if num_rounds == 0:
        return None
    words = RUNS if width is None else (*RUNS, f"arch.width={width}")
    for own in COMMANDS.values():
        say(f"sweep, {' '.join(own)}: warm-up")
        run_sweep((*words, *own), 1)
    rounds: dict[str, list[Sweep]] = {name: [] for name in COMMANDS}
    for number in range(1, num_rounds + 1):
        for name, own in COMMANDS.items():
            rounds[name].append(run_sweep((*words, *own), NUM_RUNS))
            seconds = rounds[name][-1].seconds
            say(f"sweep, {' '.join(own)}: round {number} of {num_rounds}, {seconds:.1f} s")
    return describe_sweeps(rounds, words)


def run_sweep(words: Sequence[str], num_runs: int) -> Sweep:
    """Sweep over so many seeds in a folder of its own.

    Raises:
        ExplainedError: The command failed, or a run is missing.
    """
    seeds = f"seed={','.join(map(str, range(num_runs)))}"
    with tempfile.TemporaryDirectory() as folder:
        command = ["rps_bench", "-m", *words, seeds, f"results_dir={folder}"]
        done = run_python(command, LIMIT_SECONDS)
        records = read_records(folder)[0]
    if len(records) != num_runs:
        raise ExplainedError(f"a sweep of {num_runs} runs left {len(records)} records")
    return Sweep(done.seconds, records)


def describe_sweeps(rounds: Mapping[str, Sequence[Sweep]], words: Sequence[str]) -> dict[str, Any]:
    """The numbers of both commands, JSON-ready."""
    speeds = {name: [1 / sweep.seconds for sweep in own] for name, own in rounds.items()}
    sides = {}
    for name, own in rounds.items():
        records = [record for sweep in own for record in sweep.records]
        sides[name] = {
            "words": list(COMMANDS[name]),
            "kernels": sorted({record["config"]["kernels"] for record in records}),
            "seconds": summarise([sweep.seconds for sweep in own]),
            "ratio": compare_speeds(speeds[name], speeds[BEFORE]),
            "peak_memory_bytes": max(record["cost"]["peak_memory_bytes"] for record in records),
        }
    return {"words": list(words), "num_runs": NUM_RUNS, "sides": sides}
