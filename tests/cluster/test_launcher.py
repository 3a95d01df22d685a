"""The Slurm launcher against commands that only look like Slurm's: no cluster, no training."""

import inspect
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from rps_bench.core.conf_folder import config_folder
from rps_bench.core.errors import UserError
from rps_bench.sweep.sources import hydra_version_base

pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra slurm")

from hydra_plugins import rps_bench_slurm
from hydra_plugins.rps_bench_slurm import SlurmLauncher

YAML = config_folder() / "hydra" / "launcher" / "slurm.yaml"
RUNS = [["method=mag", "seed=0"], ["method=rand", "seed=0"], ["method=snip", "seed=0"]]

# Takes every job, and keeps the script that it was given.
SBATCH = 'cp "$1" {folder}/script.sh; echo Submitted batch job 7'
# The n-th call says what the n-th line of the file `answers` says, later ones what the last says.
SQUEUE = """echo "$@" >> {folder}/asked; n=$(wc -l < {folder}/asked)
line=$(sed -n "${{n}}p" {folder}/answers); [ -n "$line" ] || line=$(tail -n 1 {folder}/answers)
case "$line" in
forgotten) echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1 ;;
away) echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1 ;;
none) ;;
*) for job in $line; do echo "$job"; done ;;
esac"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose commands stand in for Slurm's; nobody waits between two looks."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(rps_bench_slurm, "SHORTEST_POLL_SECONDS", 0.0)
    monkeypatch.setattr(rps_bench_slurm, "LONGEST_POLL_SECONDS", 0.0)
    pretend(tmp_path, "srun", "exit 1")
    pretend(tmp_path, "sbatch", SBATCH)
    pretend(tmp_path, "squeue", SQUEUE)
    pretend(tmp_path, "scontrol", 'echo "JobId=$3 JobState=OUT_OF_MEMORY Reason=None"')
    return tmp_path


def pretend(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body.format(folder=folder)}\n")
    path.chmod(0o755)


def answers(folder: Path, *lines: str) -> None:
    (folder / "answers").write_text("\n".join(lines) + "\n")


def launcher_in(folder: Path, *overrides: str) -> SlurmLauncher:
    with initialize_config_dir(str(config_folder()), job_name="test", **hydra_version_base()):
        words = ["hydra/launcher=slurm", f"hydra.sweep.dir={folder}/sweep", *overrides]
        config = compose("config", words, return_hydra_config=True)
    parameters: Any = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    assert parameters.pop("_target_") == "hydra_plugins.rps_bench_slurm.SlurmLauncher"
    launcher = SlurmLauncher(**parameters)
    launcher.config = OmegaConf.create({"hydra": {"sweep": {"dir": f"{folder}/sweep"}}})
    return launcher


def leave(folder: Path, job: str, result: tuple[str, Any], out: str = "", err: str = "") -> None:
    """What a job that came to its end leaves behind."""
    place = folder / "sweep" / ".submitit" / job
    place.mkdir(parents=True)
    (place / f"{job}_0_result.pkl").write_bytes(pickle.dumps(result))
    (place / f"{job}_0_log.out").write_text(
        f"submitit INFO - Starting\n{out}\nsubmitit INFO - ok\n"
    )
    (place / f"{job}_0_log.err").write_text(err)


def done() -> tuple[str, Any]:
    return "success", JobReturn(status=JobStatus.COMPLETED)


def test_a_job_that_slurm_ends_hides_no_other(
    slurm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(slurm, "7_0", done(), out="epoch 1\ncompleted: mag")
    leave(slurm, "7_2", done(), out="completed: snip")
    answers(slurm, "7_0 7_1 7_2", "7_1", "none")
    results = launcher_in(slurm).launch(RUNS, 0)
    said = capsys.readouterr().out.splitlines()
    log = slurm / "sweep" / ".submitit" / "7_1" / "7_1_0_log.err"
    assert said == [
        f"Slurm job 7: 3 runs, what they print is in {slurm}/sweep/.submitit",
        "completed: mag  (method=mag)",
        "completed: snip  (method=snip)",
        f"Slurm ended job 7_1: OUT_OF_MEMORY; see {log}  (method=rand)",
    ]
    assert [result.overrides for result in results] == RUNS
    assert [result.return_value for result in results] == [None] * 3  # Hydra goes on
    assert (slurm / "asked").read_text().splitlines() == [
        "--noheader --array --format=%i --jobs=7"
    ] * 5


@pytest.mark.parametrize(
    ("lines", "num_looks"),
    [
        (("none",), 3),
        (("forgotten",), 3),
        (("none", "none", "7_0", "none"), 6),  # a requeue: it was away, and comes back
        (("none", "away", "away", "none", "none"), 5),  # no answer tells nothing
    ],
)
def test_a_job_is_gone_after_three_looks_without_it(
    slurm: Path, lines: tuple[str, ...], num_looks: int
) -> None:
    leave(slurm, "7_1", done())
    leave(slurm, "7_2", done())
    answers(slurm, *lines)
    launcher_in(slurm).launch(RUNS, 0)
    assert len((slurm / "asked").read_text().splitlines()) == num_looks


def test_what_a_run_said_last_tells_its_end(
    slurm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(slurm, "7_0", ("error", "Traceback: no module"), out="epoch 1")
    leave(slurm, "7_1", done(), err="a warning\nrps_bench: error: no such data\n")
    leave(slurm, "7_2", done())
    answers(slurm, "none")
    launcher_in(slurm).launch(RUNS, 0)
    _, broken, unusable, idle = capsys.readouterr().out.splitlines()
    assert broken.startswith("job 7_0 broke down; see ")
    assert unusable == "rps_bench: error: no such data  (method=rand)"
    assert idle == "job 7_2: nothing to do  (method=snip)"


def test_an_interrupted_wait_tells_how_to_end_the_jobs(
    slurm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    answers(slurm, "7_0 7_1 7_2")
    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=interrupt)
    monkeypatch.setattr(rps_bench_slurm, "time", clock)
    with pytest.raises(KeyboardInterrupt):
        launcher_in(slurm).launch(RUNS, 0)
    assert capsys.readouterr().out.splitlines()[-1] == "the jobs go on; scancel 7 ends them"


def test_the_yaml_reaches_slurm(slurm: Path) -> None:
    for job in ("7_0", "7_1", "7_2"):
        leave(slurm, job, done())
    answers(slurm, "none")
    words = ("array_parallelism=2", "cpus_per_task=3", "timeout_min=90", "partition=gpu")
    launcher_in(slurm, *(f"hydra.launcher.{word}" for word in words)).launch(RUNS, 0)
    script = (slurm / "script.sh").read_text().splitlines()
    for line in (
        "#SBATCH --array=0-2%2",
        "#SBATCH --cpus-per-task=3",
        "#SBATCH --time=90",
        "#SBATCH --signal=USR2@120",
        "#SBATCH --mem=4GB",
        "#SBATCH --partition=gpu",
        "#SBATCH --job-name=rps_bench",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK",
        "export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK",
    ):
        assert line in script
    assert not [line for line in script if "None" in line or "gpus" in line or "account" in line]


def test_a_job_carries_what_a_requeue_needs(slurm: Path) -> None:
    for job in ("7_0", "7_1", "7_2"):
        leave(slurm, job, done())
    answers(slurm, "none")
    launcher_in(slurm, "hydra.launcher.max_num_timeout=4").launch(RUNS, 5)
    pickled = (slurm / "sweep" / ".submitit" / "7_1" / "7_1_submitted.pkl").read_bytes()
    job = pickle.loads(pickled)
    assert (job._timeout_min, job._timeout_countdown) == (120, 4)
    assert (job.args[0], job.args[2]) == (RUNS[1], 6)
    assert job._checkpoint_function().args == job.args


def test_what_a_job_starts_outlives_the_signal_that_ends_the_job(
    slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`scontrol requeue`, called by the job, is one of the processes that Slurm then ends."""

    def requeue(_: object, *arguments: str) -> JobReturn:
        program = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
        subprocess.run([sys.executable, "-S", "-c", program], check=True)
        return JobReturn(list(arguments), status=JobStatus.COMPLETED)

    launcher = launcher_in(slurm)
    monkeypatch.setattr(SlurmLauncher.__bases__[0], "__call__", requeue)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert launcher("a", "b").overrides == ["a", "b"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_refusal_is_one_line(slurm: Path) -> None:
    pretend(slurm, "sbatch", 'echo "sbatch: error: invalid partition specified: x" >&2; exit 1')
    with pytest.raises(UserError, match=r"^Slurm took no job: sbatch: error: invalid partition"):
        launcher_in(slurm).launch(RUNS, 0)


def test_a_machine_without_slurm_is_told_so(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(slurm / "empty"))
    with pytest.raises(UserError, match="needs Slurm's commands"):
        launcher_in(slurm).launch(RUNS, 0)


def test_hydra_passes_the_launcher_over_where_its_plugin_is_missing() -> None:
    program = (
        "import inspect, sys\n"
        "sys.modules['hydra_plugins.hydra_submitit_launcher'] = None\n"
        "from hydra_plugins.rps_bench_slurm import SlurmLauncher\n"
        "assert inspect.isabstract(SlurmLauncher)\n"
        "assert not {'torch', 'submitit', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, env=dict(os.environ))
    assert not inspect.isabstract(SlurmLauncher)


def test_the_yaml_opens_with_its_command_and_explains_every_value() -> None:
    lines = YAML.read_text().splitlines()
    assert lines[0].startswith("# python -m rps_bench -m hydra/launcher=slurm ")
    values = [line for line in lines if line and line[0] != "#" and line.strip() != "- _self_"]
    assert [line for line in values if "#" not in line] == ["defaults:"]
