"""Check for memory leaks: many tiny runs in one process, some of them diverged or failed.

    python scripts/leak.py [number of runs, default 200]

Prints resident memory during the runs, its growth per run after a warm-up (the slope of a straight
line through all later runs), and the number of networks and tensors still alive. Every fifth run
diverges, and every seventh asks for more memory than the process may have.
"""

import contextlib
import gc
import io
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rps_bench.launch.jobs import work_through
from rps_bench.methods import METHODS
from rps_bench.sweep.planning import plan_runs

WARM_UP = 50  # runs: libraries fill their caches, one entry per shape
SPACE_BYTES = 4 << 30  # of address space beyond that in use: far more than a tiny run takes
TINY = [
    "recipe=smoke", "recipe.epochs=1", "recipe.max_steps_per_epoch=2", "recipe.batch_size=32",
    "arch.width=2", "device=cpu", "precision=fp32",
]  # fmt: skip
DIVERGING = ["recipe.lr=1e30"]
TOO_LARGE = ["arch.width=60000"]  # one of its layers takes 130 GB


def main(num_runs: int) -> None:
    """Do the runs and print the memory that remains in use."""
    limit_address_space()
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(num_runs):
            do_run(number, folder)
            memory.append(resident_megabytes())
            if number % 20 == 19:
                alive = f"{count_alive(nn.Module)} networks and layers, {count_alive(torch.Tensor)}"
                print(f"{number + 1} runs: {memory[-1]:.1f} MB resident, {alive} tensors alive")
    after = memory[WARM_UP:]
    if len(after) > 1:
        slope = np.polyfit(np.arange(len(after)), after, 1)[0]
        print(f"after {WARM_UP} runs {after[0]:.1f} MB, after {num_runs} {after[-1]:.1f} MB: "
              f"{1e3 * slope:+.1f} kB per run")  # fmt: skip


def do_run(number: int, results_dir: str) -> None:
    """Do one run with a seed of its own; its output is not shown."""
    method = list(METHODS)[number % len(METHODS)]
    changes = DIVERGING if number % 5 == 4 else TOO_LARGE if number % 7 == 6 else []
    compression = "null" if method == "dense" else "2"
    words = [*TINY, f"method={method}", f"compression={compression}", *changes]
    words += [f"seed={number}", f"results_dir={results_dir}"]
    with contextlib.redirect_stdout(io.StringIO()):
        work_through(plan_runs(words, is_sweep=False).configs)


def limit_address_space() -> None:
    """Limit this process's memory, so that a too large run fails instead of filling the machine."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPACE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def resident_megabytes() -> float:
    """Main memory that this process uses now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def count_alive(kind: type) -> int:
    """The number of objects of a type that are still referenced."""
    gc.collect()
    return sum(issubclass(type(thing), kind) for thing in gc.get_objects())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
