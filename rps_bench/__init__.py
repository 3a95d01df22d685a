"""rps_bench: Pareto sweeps of parameter sharing against pruning."""

import sys
from typing import TYPE_CHECKING, Any

from rps_bench.runtime.waiting import is_own_command, let_threads_sleep

if TYPE_CHECKING:
    from rps_bench.plugins import load_plugins

__all__ = ["load_plugins"]

__version__ = "0.1.0"

if is_own_command(sys.argv, sys.orig_argv):  # a program that imports this keeps its own settings
    let_threads_sleep()


def __getattr__(name: str) -> Any:
    """``load_plugins``, imported when it is asked for: every command imports this file."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rps_bench.plugins import load_plugins

    return load_plugins
