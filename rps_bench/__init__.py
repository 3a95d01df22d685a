"""rps_bench: Pareto sweeps of parameter sharing against pruning."""

import sys

from rps_bench.plugins import load_plugins
from rps_bench.runtime.waiting import is_own_command, let_threads_sleep

__all__ = ["load_plugins"]

__version__ = "0.1.0"

if is_own_command(sys.argv, sys.orig_argv):  # a program that imports this keeps its own settings
    let_threads_sleep()
