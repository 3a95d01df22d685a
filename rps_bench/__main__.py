"""The command line: ``python -m rps_bench``, a Hydra application.

It looks ahead, checks every run, says what is recorded already, and launches the rest. torch is
imported only when a run really starts.
"""

import argparse
import os
import signal
import sys

from hydra._internal.utils import get_args_parser
from hydra.core.utils import env_override

from rps_bench.core.console import say
from rps_bench.core.output import command
from rps_bench.launch.dispatch import launch
from rps_bench.records.done import find_done
from rps_bench.runtime.signals import StopError, StopSignals, undisturbed
from rps_bench.sweep.command_line import asks_for_information, parse_words
from rps_bench.sweep.compose import CONFIG_NAME
from rps_bench.sweep.expansion import parse
from rps_bench.sweep.hydra_errors import explained
from rps_bench.sweep.outcomes import exit_status, find_outcomes, show_outcomes
from rps_bench.sweep.places import require_places, require_writable
from rps_bench.sweep.planning import Plan, add_plugins, plan_runs
from rps_bench.sweep.sources import find_sources, opened_hydra
from rps_bench.tracking.weights_and_biases.environment import require_one_run


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
                _inform(arguments)
                return 0
            plan = plan_runs(arguments.overrides, arguments.multirun, arguments.config_dir)
            with env_override(plan.launching.environment):
                return _run_all(plan, signals)
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


def _run_all(plan: Plan, signals: StopSignals) -> int:
    """Check, launch, sum up; returns the exit status."""
    trackers = [str(config.files.tracking["name"]) for config in plan.configs]
    require_one_run(trackers, os.environ)
    for note in plan.notes:
        say(note)
    pending, tells_all = [], True
    for run in plan.runs:
        config = run.config
        if find_done(config) is None:
            pending.append(run)
        else:
            say(f"already recorded, skipped: {config.run_id}")
    if pending:
        with undisturbed():  # C++ that a signal would end is imported
            from rps_bench.sweep.preflight import check_buildable
        check_buildable([run.config for run in pending])
        for folder in sorted({run.config.files.results_dir for run in pending}):
            require_writable(folder)
        require_places(run.config for run in pending)
        tells_all = launch(plan, pending, signals)
    if passing := [config for config in plan.configs if not config.files.keep_checkpoints]:
        from rps_bench.launch.cleanup import discard_checkpoints

        discard_checkpoints(passing)
    if not pending:
        return 0
    outcomes = find_outcomes(plan.configs)
    if plan.is_sweep:
        show_outcomes(outcomes)
    return exit_status(outcomes, tells_all)


def _inform(arguments: argparse.Namespace) -> None:
    """Let Hydra answer a flag such as --help, with the choices of plugins among the others."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    with explained():
        words = parse(arguments.overrides)
        sources = find_sources(arguments.config_dir, words)
        overrides, sources = add_plugins(arguments.overrides, words, sources)
        arguments.overrides = list(overrides)
        with opened_hydra(sources) as app:
            if arguments.help:
                app.app_help(CONFIG_NAME, get_args_parser(), arguments)
            elif arguments.hydra_help:
                app.hydra_help(CONFIG_NAME, get_args_parser(), arguments)
            elif arguments.cfg:
                options = {"package": arguments.package, "resolve": arguments.resolve}
                app.show_cfg(CONFIG_NAME, arguments.overrides, arguments.cfg, **options)
            elif arguments.shell_completion:
                app.shell_completion(CONFIG_NAME, arguments.overrides)
            else:
                app.show_info(arguments.info, CONFIG_NAME, arguments.overrides)


if __name__ == "__main__":
    main()
