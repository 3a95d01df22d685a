"""The command line: ``python -m rps_bench``, a Hydra application.

It looks ahead, checks every run, says what is recorded already, and launches the rest. torch is
imported only when a run really starts.
"""

import signal
import sys

from hydra.core.utils import env_override

from rps_bench.core.output import command
from rps_bench.runtime.signals import StopError, StopSignals
from rps_bench.sweep.command_line import asks_for_information, parse_words


def main() -> None:
    """Entry point.

    Exits with 0: all recorded, 1: a run failed, 2: bad input, 130: interrupted, 143: terminated.
    """
    sys.exit(_answer())


@command
def _answer() -> int:
    """Do what the words ask for; returns the exit status."""
    with StopSignals() as signals:
        try:
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
        except (Exception, KeyboardInterrupt) as error:
            # A library that a signal cuts may raise an error of its own.
            if signals.asked is None and not isinstance(error, KeyboardInterrupt):
                raise
            print(
                "rps_bench: interrupted; the same command goes on with what is missing",
                file=sys.stderr,
            )
            asked = error.number if isinstance(error, StopError) else signals.asked
            return 128 + (asked or signal.SIGINT)


if __name__ == "__main__":
    main()
