"""The command line: ``python -m rps_bench``, a Hydra application.

It looks ahead, checks every run, says what is recorded already, and launches the rest. torch is
imported only when a run really starts.
"""

import sys

from hydra.core.utils import env_override

from rps_bench.core.output import command
from rps_bench.runtime.signals import obeying_signals
from rps_bench.sweep.command_line import asks_for_information, parse_words


def main() -> None:
    """Entry point.

    Exits with 0: all recorded, 1: a run failed, 2: bad input, 130: interrupted, 143: terminated.
    """
    sys.exit(_answer())


@command
def _answer() -> int:
    """Do what the words ask for; returns the exit status."""
    return obeying_signals(_obey)


def _obey() -> int:
    arguments = parse_words(sys.argv[1:])
    if asks_for_information(arguments):
        from rps_bench.sweep.information import inform

        inform(arguments)
        return 0
    from rps_bench.sweep.planning import plan_runs

    plan = plan_runs(arguments.overrides, arguments.multirun, arguments.config_dir)
    from rps_bench.launch.whole import run_all

    with env_override(plan.launching.environment):
        return run_all(plan)


if __name__ == "__main__":
    main()
