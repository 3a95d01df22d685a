"""A Hydra launcher for Slurm: hands a sweep to submitit as a job array and waits for all its runs.

It stands on hydra-submitit-launcher, whose jobs requeue themselves. That plugin itself stops
waiting at the first job that Slurm ended early (killed, out of memory), whatever the others do, and
notices none without Slurm's accounting. This one waits for every job, asks the queue only, and
says a line as each one ends. What a run gave is told by its record.

Hydra imports this file at every start, so it is light, and still where submitit is missing.
"""

import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides

try:
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
except ImportError:  # an abstract base: Hydra then passes this launcher over
    from hydra.plugins.launcher import Launcher as BaseSubmititLauncher

if TYPE_CHECKING:
    from submitit import AutoExecutor
    from submitit.core.core import Job

SHORTEST_POLL_SECONDS, LONGEST_POLL_SECONDS = 1.0, 10.0
MISSED_LOOKS = 3  # a job is gone after so many looks without it or its result: files may come late
COMMAND_SECONDS = 60  # for Slurm's commands to answer
UNKNOWN_JOB = "Invalid job id"  # Slurm has forgotten the job: it ended


class SlurmLauncher(BaseSubmititLauncher):  # type: ignore[misc]
    """One job array for all runs; takes the parameters of the plugin's ``submitit_slurm``."""

    def __call__(self, *arguments: Any) -> JobReturn:
        """Run one of them, inside its Slurm job."""
        # A job that is to stop puts itself back with `scontrol requeue`, and Slurm then ends all
        # its processes, that command among them: cut off, it would look like a failed run.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # commands that the job starts inherit this
        result: JobReturn = super().__call__(*arguments)
        return result

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Submit the runs and wait until none is in the queue.

        Returns:
            One result per run, all without an error: the next batch goes on, records tell the rest.

        Raises:
            UserError: Slurm is not there, or takes no job.
        """
        from rps_bench.core.console import say
        from rps_bench.core.permissions import make_folder

        assert self.config is not None
        folder = Path(str(self.config.hydra.sweep.dir)).absolute()
        make_folder(folder / ".submitit")  # submitit's own: the jobs of all who share the results
        jobs = _submit(self, job_overrides, initial_job_idx)
        number = jobs[0].job_id.partition("_")[0]
        say(f"Slurm job {number}: {len(jobs)} runs, what they print is in {folder}/.submitit")
        names = dict(zip([job.job_id for job in jobs], _name_runs(job_overrides), strict=True))
        try:
            for job in _as_they_end(jobs, number):
                say(f"{_describe_end(job)}  ({names[job.job_id]})")
        except KeyboardInterrupt:
            say(f"the jobs go on; scancel {number} ends them")
            raise
        return [JobReturn(list(words), status=JobStatus.COMPLETED) for words in job_overrides]


def _name_runs(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Each run's own words; those that all runs have in common are left out."""
    words = [filter_overrides(overrides) for overrides in job_overrides]
    shared = set(words[0]).intersection(*words) if len(words) > 1 else set()
    return [" ".join(word for word in run if word not in shared) for run in words]


def _submit(
    launcher: SlurmLauncher, job_overrides: Sequence[Sequence[str]], first: int
) -> list["Job[JobReturn]"]:
    """Hand the runs to Slurm: one job array, or one job for a single run."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    from rps_bench.core.errors import UserError

    executor = _build_executor(launcher.params)
    state = Singleton.get_state()
    calls = [
        (list(overrides), "hydra.sweep.dir", index, f"job_id_for_{index}", state)
        for index, overrides in enumerate(job_overrides, first)
    ]
    try:
        return executor.map_array(launcher, *zip(*calls, strict=True))
    except (FailedJobError, FailedSubmissionError) as error:
        lines = [line.strip() for line in str(error).splitlines() if "error" in line]
        raise UserError(f"Slurm took no job: {'; '.join(lines) or error}") from error


def _build_executor(parameters: Mapping[str, Any]) -> "AutoExecutor":
    """submitit's executor; a parameter that is None is left to the cluster."""
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from submitit import AutoExecutor, SlurmExecutor

    from rps_bench.core.errors import UserError

    if SlurmExecutor.affinity() < 0:
        raise UserError("hydra/launcher=slurm needs Slurm's commands (sbatch, srun) here")
    given = {key: value for key, value in parameters.items() if value is not None}
    folder, retries = given.pop("submitit_folder"), given.pop("max_num_timeout")
    executor = AutoExecutor(folder, "slurm", slurm_max_num_timeout=retries)
    shared = {field.name for field in fields(BaseQueueConf)}  # Slurm's own words get a prefix
    executor.update_parameters(
        **{key if key in shared else f"slurm_{key}": value for key, value in given.items()}
    )
    return executor


def _as_they_end(jobs: Sequence["Job[JobReturn]"], number: str) -> Iterator["Job[JobReturn]"]:
    """Every job once, when it has left its result, or left the queue without one."""
    missed = {job.job_id: 0 for job in jobs}
    waiting, start = list(jobs), time.monotonic()
    while waiting:
        queued = _queued_jobs(number)  # before the look at the files, which come first
        for job in list(waiting):
            if queued is not None:
                missed[job.job_id] = 0 if job.job_id in queued else missed[job.job_id] + 1
            if job.paths.result_pickle.exists() or missed[job.job_id] >= MISSED_LOOKS:
                waiting.remove(job)
                yield job
        pause = (time.monotonic() - start) / 10
        time.sleep(min(LONGEST_POLL_SECONDS, max(SHORTEST_POLL_SECONDS, pause)) if waiting else 0)


def _queued_jobs(number: str) -> set[str] | None:
    """Ids of the array's jobs that wait, run or end; None if Slurm does not say."""
    answer = _ask("squeue", "--noheader", "--array", "--format=%i", f"--jobs={number}")
    if answer is None or answer.returncode == 0:
        return None if answer is None else set(answer.stdout.split())
    return set() if UNKNOWN_JOB in answer.stderr else None


def _describe_end(job: "Job[JobReturn]") -> str:
    """How a job ended: what its run said last, or why there is no result."""
    if not job.paths.result_pickle.exists():
        return f"Slurm ended job {job.job_id}: {_state(job.job_id)}; see {job.paths.stderr}"
    error = job.exception()
    if error is not None:
        return f"job {job.job_id} broke down; see {job.paths.stderr}"
    said = [*_lines(job.stderr())[-1:], *_lines(job.stdout())]
    return said[-1] if said else f"job {job.job_id}: nothing to do"


def _lines(log: str | None) -> list[str]:
    """What a run itself printed."""
    lines = (log or "").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("submitit ")]


def _state(job_id: str) -> str:
    """A job's state in Slurm's words, while Slurm remembers it."""
    answer = _ask("scontrol", "show", "job", job_id)
    found = None if answer is None else re.search(r"JobState=(\w+)", answer.stdout)
    return found[1] if found else "it is in the queue no more"


def _ask(*words: str) -> subprocess.CompletedProcess[str] | None:
    """What one of Slurm's commands answers; None if it cannot be asked now."""
    try:
        return subprocess.run(
            words, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
