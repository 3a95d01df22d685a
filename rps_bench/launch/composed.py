"""A run that a launcher plugin starts: Hydra composes it again, in a process of its own."""

from omegaconf import DictConfig

from rps_bench.core.errors import InapplicableError
from rps_bench.core.output import outliving_readers
from rps_bench.launch.jobs import work_through
from rps_bench.runtime.signals import StopSignals
from rps_bench.runtime.waiting import let_threads_sleep
from rps_bench.sweep.freeze import freeze_composed


def run_composed(composed: DictConfig) -> bool:
    """Do a job of a launcher plugin; return what ``work_through`` does."""
    let_threads_sleep()  # Slurm may start it without the command's environment
    try:
        config = freeze_composed(composed)
    except InapplicableError:
        return True  # the plan said so
    with outliving_readers(), StopSignals():
        return work_through([config])
