"""The gain and the cost of letting waiting threads sleep soon (rps_bench.runtime.waiting).

The plain kernels train in fp32 in two ways that take turns: threads wait as the OpenMP library lets
them, or as in a run. This is done once on the machine as it is, which should be idle, and once
while other processes want the same cores. Neither uses the user's own environment variables on
waiting.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from rps_bench.runtime.waiting import choose_waiting
from scripts.bench.busy import busy_processes
from scripts.bench.cells import compare_speeds, say, start_sides, summarise, take_turns
from scripts.bench.subject import BATCH_SIZE, METHOD, Job

LIBRARY, RUN = "as the library has it", "as in a run"
NUM_BUSY = (0, 2)  # other busy processes
# Many short rounds, so that other load of the machine affects both sides alike.
NUM_STEPS, ROUNDS_EACH = 1, {0: 10, 2: 3}


def list_jobs(job: Job) -> dict[str, Job]:
    """Both sides of one network and compression by name; `job` is a plain one in fp32."""
    own = job._replace(num_steps=NUM_STEPS)
    return {LIBRARY: own._replace(waiting={}), RUN: own._replace(waiting=choose_waiting({}))}


def measure_waiting(job: Job, num_rounds: int) -> list[dict[str, Any]]:
    """A cell for each number of busy processes, with `num_rounds` times ROUNDS_EACH rounds."""
    jobs = list_jobs(job)
    with ExitStack() as stack:
        children = start_sides(jobs, stack)
        cells = []
        for num_busy in NUM_BUSY:
            say(f"waiting threads, {num_busy} busy processes")
            with busy_processes(num_busy):
                rounds = take_turns(jobs, children, num_rounds * ROUNDS_EACH[num_busy])
            cells.append(describe_cell(jobs, rounds, num_busy))
    return cells


def describe_cell(
    jobs: Mapping[str, Job], rounds: Mapping[str, Sequence[Mapping[str, Any]]], num_busy: int
) -> dict[str, Any]:
    """The numbers of both sides while `num_busy` other processes are busy."""
    job = jobs[LIBRARY]
    speeds = {
        name: [own.num_steps * BATCH_SIZE / round_["seconds"] for round_ in rounds[name]]
        for name, own in jobs.items()
    }
    sides = {
        name: {
            "environment": dict(own.waiting),
            "images_per_second": summarise(speeds[name]),
            "ratio": compare_speeds(speeds[name], speeds[LIBRARY]),
        }
        for name, own in jobs.items()
    }
    return {
        "arch": job.arch,
        "method": METHOD,
        "compression": job.compression,
        "busy_processes": num_busy,
        "num_threads": job.num_threads,
        "steps": job.num_steps,
        "sides": sides,
    }
