"""How the threads of one process wait for each other: they soon sleep. OpenMP on a CPU.

PyTorch divides each operation between threads, which meet at its end. The first to arrive spins, as
that notices the end soonest: 300,000 times, for milliseconds, in libgomp, the OpenMP library of
PyTorch for Linux. If other processes want the same cores, a spinning thread takes the time that the
thread it waits for needs, hundreds of times per step. The number of spins set here is so low that
others lose little, and sleeping after it costs nothing on an idle machine.

libgomp reads its environment once, when torch is imported. Results do not depend on it.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

NUM_SPINS = 2000
# Variables by which users choose; the last two are read by OpenMP libraries other than libgomp.
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
SCRIPT = "rps-bench"


def let_threads_sleep() -> None:
    """Let waiting threads sleep soon, here and in child processes, if torch is not imported yet."""
    if "torch" not in sys.modules:
        os.environ.update(choose_waiting(os.environ))


def choose_waiting(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to an environment; none if it already says how threads wait."""
    return {} if stated_waiting(environment) else {"GOMP_SPINCOUNT": str(NUM_SPINS)}


def stated_waiting(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that say how threads wait."""
    return {name: environment[name] for name in VARIABLES if name in environment}


def is_own_command(argv: Sequence[str], orig_argv: Sequence[str]) -> bool:
    """Whether a process is a command of this package: `rps-bench` or `python -m rps_bench...`.

    Args:
        argv: `sys.argv`. It starts with -m as long as Python, on its way to the module to run,
            imports the packages around it.
        orig_argv: `sys.orig_argv`, where the module's name stands before the module's own
            arguments.
    """
    if argv[:1] != ["-m"]:
        return bool(argv) and Path(argv[0]).stem == SCRIPT
    module = orig_argv[len(orig_argv) - len(argv)].removeprefix("-m")
    return module.split(".")[0] == __name__.split(".")[0]
