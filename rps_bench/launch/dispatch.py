"""The way from a plan to running: in this process, in several, or through a launcher plugin.

Only runs without a record are launched. A plugin lets Hydra compose each job again; this process
and those that it starts use the configs of the plan.
"""

import os
from collections.abc import Sequence

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from rps_bench.launch.composed import run_composed
from rps_bench.launch.jobs import work_through
from rps_bench.launch.screen import Screen
from rps_bench.launch.sharing import choose_sharing, look_at_machine
from rps_bench.launch.sweep_progress import SweepProgress
from rps_bench.sweep.compose import CONFIG_NAME, known_settings
from rps_bench.sweep.hydra_words import PARAMS
from rps_bench.sweep.planning import THIS_PROCESS, Launching, Plan, PlannedRun
from rps_bench.sweep.sources import opened_hydra


def launch(plan: Plan, runs: Sequence[PlannedRun]) -> bool:
    """Do these runs of the plan; returns once each was tried, as ``work_through`` does.

    What is shown of the whole sweep counts all runs of the plan.

    Raises:
        StopError: The command was asked to stop. Runs in processes of this machine are stopped.
    """
    launching = plan.launching
    if launching.launcher != THIS_PROCESS:
        with SweepProgress(plan.configs):
            return _launch_with_plugin(launching, [list(run.overrides) for run in runs])
    configs = [run.config for run in runs]
    sharing = choose_sharing(configs, look_at_machine())
    with Screen() as screen, SweepProgress(plan.configs, screen) as progress:
        if sharing.num_processes == 1:
            return work_through(configs, screen, progress.note_tried)
        from rps_bench.launch.crew import share_out  # imports torch, as what comes before it has

        return share_out(configs, sharing, progress.note_tried)


def _launch_with_plugin(launching: Launching, jobs: Sequence[list[str]]) -> bool:
    """Let the launcher named on the command line run the jobs in its own processes."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    # Each job already holds its values of the sweep. Hydra's own list of swept values would have to
    # hold for all experiments, so it is cleared.
    words = [*launching.plain, f"++{PARAMS}=null"]
    with opened_hydra(launching.sources) as app:
        settings = app.compose_config(
            CONFIG_NAME, words, run_mode=RunMode.MULTIRUN, with_log_configuration=False
        )
        if launching.cache is not None:
            OmegaConf.set_cache(settings, launching.cache)  # so that jobs start with it
        context = HydraContext(config_loader=app.config_loader, callbacks=Callbacks(settings))
        with known_settings(settings):
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=context, task_function=run_composed, config=settings
            )
            return _launch_in_batches(launcher, jobs, launching.batch_size or len(jobs))


def _launch_in_batches(launcher: Launcher, jobs: Sequence[list[str]], size: int) -> bool:
    """Hand the jobs over in batches of ``size``."""
    returned: list[object] = []
    for first in range(0, len(jobs), size):
        batch = list(jobs[first : first + size])
        launched = launcher.launch(batch, initial_job_idx=first)
        returned += [job.return_value for job in launched]  # raises what a job did not catch
    return False not in returned  # a launcher may return nothing
