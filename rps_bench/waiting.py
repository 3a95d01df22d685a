"""How the threads of one process wait for each other: they soon sleep. OpenMP on a CPU.

PyTorch divides each operation between threads, which meet at its end. The one that is there first
turns in a loop, as that notices the end soonest: 300,000 turns, milliseconds, in the library that
PyTorch for Linux brings (libgomp). Where others want the same cores, it thereby takes the time that
the thread it waits for would need, hundreds of times in a step. So few turns that sleeping costs
nothing on a machine at rest are enough.

The library reads its environment once, as torch is imported. Results do not depend on it.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

NUM_SPINS = 2000
# What users say it with; the last two are read by other OpenMP libraries than libgomp.
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
SCRIPT = "rps-bench"


def let_threads_sleep() -> None:
    """Set this process and those it starts up so, if torch is not there yet."""
    if "torch" not in sys.modules:
        os.environ.update(choose_waiting(os.environ))


def choose_waiting(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to an environment; nothing to one that says itself how threads wait."""
    return {} if stated_waiting(environment) else {"GOMP_SPINCOUNT": str(NUM_SPINS)}


def stated_waiting(environment: Mapping[str, str]) -> dict[str, str]:
    """What an environment says on it."""
    return {name: environment[name] for name in VARIABLES if name in environment}


def is_own_command(argv: Sequence[str], orig_argv: Sequence[str]) -> bool:
    """Whether a process is a command of this package: `rps-bench` or `python -m rps_bench...`.

    Args:
        argv: `sys.argv`. It starts with -m while Python looks for the module that it shall run, and
            for that imports the packages around it.
        orig_argv: `sys.orig_argv`, where the module's name stands before the module's own words.
    """
    if argv[:1] != ["-m"]:
        return bool(argv) and Path(argv[0]).stem == SCRIPT
    module = orig_argv[len(orig_argv) - len(argv)].removeprefix("-m")
    return module.split(".")[0] == __name__.split(".")[0]
