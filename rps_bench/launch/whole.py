"""What the commands that train do with a plan: check, launch what has no record, sum up."""

import os
from collections.abc import Sequence

from rps_bench.config import RunConfig
from rps_bench.core.console import say
from rps_bench.launch.dispatch import launch
from rps_bench.records.done import find_done
from rps_bench.runtime.signals import undisturbed
from rps_bench.sweep.outcomes import exit_status, find_outcomes, show_outcomes
from rps_bench.sweep.places import require_places, require_writable
from rps_bench.sweep.planning import Plan, PlannedRun
from rps_bench.tracking.weights_and_biases.environment import require_one_run


def run_all(plan: Plan) -> int:
    """Do all runs of a plan that are not recorded; returns the exit status."""
    for note in plan.notes:
        say(note)
    pending = []
    for run in plan.runs:
        if find_done(run.config) is None:
            pending.append(run)
        else:
            say(f"already recorded, skipped: {run.config.run_id}")
    tells_all = do_runs(plan, pending)
    discard_passing_checkpoints(plan.configs)
    if not pending:
        return 0
    outcomes = find_outcomes(plan.configs)
    if plan.is_sweep:
        show_outcomes(outcomes)
    return exit_status(outcomes, tells_all)


def do_runs(plan: Plan, runs: Sequence[PlannedRun]) -> bool:
    """Check these runs, which have no record, and do them; returns what ``launch`` does.

    Args:
        plan: Of the command that they are part of.
        runs: Those to do; there may be none.

    Raises:
        UserError: One cannot be built, or its files cannot be written: none is trained then.
    """
    require_one_run([str(config.files.tracking["name"]) for config in plan.configs], os.environ)
    if not runs:
        return True
    with undisturbed():  # C++ that a signal would end is imported
        from rps_bench.sweep.preflight import check_buildable
    check_buildable([run.config for run in runs])
    for folder in sorted({run.config.files.results_dir for run in runs}):
        require_writable(folder)
    require_places(run.config for run in runs)
    return launch(plan, runs)


def discard_passing_checkpoints(configs: Sequence[RunConfig]) -> None:
    """Delete the levels that these runs share and that nobody wants to keep."""
    if passing := [config for config in configs if not config.files.keep_checkpoints]:
        from rps_bench.launch.cleanup import discard_checkpoints

        discard_checkpoints(passing)
