"""What a command does with its plan: it checks, launches what has no record, and sums up."""

import os

from rps_bench.core.console import say
from rps_bench.launch.dispatch import launch
from rps_bench.records.done import find_done
from rps_bench.runtime.signals import undisturbed
from rps_bench.sweep.outcomes import exit_status, find_outcomes, show_outcomes
from rps_bench.sweep.places import require_places, require_writable
from rps_bench.sweep.planning import Plan
from rps_bench.tracking.weights_and_biases.environment import require_one_run


def run_all(plan: Plan) -> int:
    """Do all runs of a plan that are not recorded; returns the exit status."""
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
        tells_all = launch(plan, pending)
    if passing := [config for config in plan.configs if not config.files.keep_checkpoints]:
        from rps_bench.launch.cleanup import discard_checkpoints

        discard_checkpoints(passing)
    if not pending:
        return 0
    outcomes = find_outcomes(plan.configs)
    if plan.is_sweep:
        show_outcomes(outcomes)
    return exit_status(outcomes, tells_all)
