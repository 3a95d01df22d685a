"""From a plan to running: in this process, or handed to one of Hydra's launcher plugins.

Only runs that are not recorded are launched: Hydra composes each job again, which a plugin needs
and this process does not.
"""

import os
from collections.abc import Sequence

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode

from rps_bench.compose import CONFIG_NAME
from rps_bench.interrupts import StopSignals
from rps_bench.jobs import run_composed, work_through
from rps_bench.sweep import THIS_PROCESS, Plan, PlannedRun, config_folder
from rps_bench.workers import JobsUntilStopped, stopping_workers

LOCAL_LAUNCHERS = ("processes", "joblib")  # those whose processes are children of this one


def launch(plan: Plan, runs: Sequence[PlannedRun], signals: StopSignals) -> bool:
    """Do these runs of the plan; returns when each was tried, as ``work_through`` does.

    Raises:
        StopError: The command was asked to stop. Runs of this machine's processes are stopped.
    """
    jobs = [list(run.overrides) for run in runs]
    if plan.launcher == THIS_PROCESS:
        return work_through([run.config for run in runs], signals.undisturbed)
    if plan.launcher in LOCAL_LAUNCHERS:
        with stopping_workers(signals):
            return _launch_with_plugin(plan.plain, JobsUntilStopped(jobs, signals))
    return _launch_with_plugin(plan.plain, jobs)


def _launch_with_plugin(plain: Sequence[str], jobs: list[list[str]]) -> bool:
    """Let the launcher that the command line names run the jobs in processes of its own."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    GlobalHydra.instance().clear()
    search_path = create_config_search_path(str(config_folder()))
    app = Hydra.create_main_hydra2("rps_bench", search_path)
    try:
        settings = app.compose_config(
            CONFIG_NAME, list(plain), run_mode=RunMode.MULTIRUN, with_log_configuration=False
        )
        context = HydraContext(config_loader=app.config_loader, callbacks=Callbacks(settings))
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=run_composed, config=settings
        )
        launched = launcher.launch(jobs, initial_job_idx=0)
        returned = [job.return_value for job in launched]  # raises what a job did not catch
        return False not in returned  # a launcher may return nothing
    finally:
        GlobalHydra.instance().clear()
