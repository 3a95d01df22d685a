"""``population``: runs that train at once give what each gives alone, and end as each would."""

import re
import signal
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from rps_bench.config import RunConfig
from rps_bench.datasets import load_dataset
from rps_bench.datasets.placed import PlacedData
from rps_bench.launch import jobs
from rps_bench.launch.groups import find_groups
from rps_bench.launch.jobs import work_through
from rps_bench.launch.streams import count_fitting, size_finder
from rps_bench.records import read_records
from rps_bench.runtime.locks import InUseError
from rps_bench.runtime.turns import count_alive
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.loop import Trainer
from tests.alike import TINY, without_times
from tests.conftest import Command

LTR = ("method=ltr", "compression=2,3", "method.level_fraction=0.5", "method.rewind_steps=1")
SWEEP = (
    ("method=stable_rps,mag", "compression=2"),
    LTR,
    ("method=stable_rps", "compression=2", "method.scaling=none", "method.init_std=1e-20"),
    ("method=rand", "compression=2", "seed=7"),  # made to fail
    ("method=mag", "compression=4", "seed=1", "storage=exact,int8"),
)
FAILING_SEED = 7


def plan(folder: Path, population: int, *lists: Sequence[str]) -> list[RunConfig]:
    """Runs of several command lines together."""
    words = (*TINY, "recipe.epochs=2", "keep_model=true", f"population={population}")
    planned = [plan_runs([*words, *more, f"results_dir={folder}"], True) for more in lists]
    return [config for each in planned for config in each.configs]


def outcomes(folder: Path) -> dict[str, tuple[int | None, Any, bytes | None]]:
    """Of each run how many trained at once, its record without times, and its file."""
    records, problems = read_records(folder)
    assert not problems
    models = {path.stem: path.read_bytes() for path in (folder / "models").rglob("*.safetensors")}
    sizes = {record["run_id"]: record["cost"].pop("population", None) for record in records}
    return {
        record["run_id"]: (
            sizes[record["run_id"]],
            without_times(record),
            models.get(record["run_id"]),
        )
        for record in records
    }


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    take_step = Trainer.train_step

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if trainer.training.seed == FAILING_SEED and trainer.step == 2:
            raise RuntimeError("made to fail")
        return take_step(trainer, images, labels)

    monkeypatch.setattr(Trainer, "train_step", step)


@pytest.mark.usefixtures("failing")
def test_runs_at_once_give_what_each_gives_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for population in (1, 3):
        assert work_through(plan(tmp_path / str(population), population, *SWEEP))
    alone, at_once = outcomes(tmp_path / "1"), outcomes(tmp_path / "3")
    assert alone.keys() == at_once.keys()
    for run_id in alone:
        assert alone[run_id][1:] == at_once[run_id][1:], run_id
    statuses = [record["status"] for _, record, _ in at_once.values()]
    assert sorted(statuses) == [*["completed"] * 6, "diverged", "failed"]
    sizes = {(r["config"]["method"], r["status"]): size for size, r, _ in at_once.values()}
    assert sizes["rand", "failed"] is None
    assert sizes["stable_rps", "completed"] == sizes["stable_rps", "diverged"] == 3
    assert {size for size, *_ in alone.values()} == {1, None}
    assert "waiting" not in capfd.readouterr().out


def test_a_signal_keeps_the_state_of_each_and_all_go_on(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = "method=stable_rps,mag,rand"
    words = ("-m", *TINY, methods, "compression=2", "recipe.epochs=3", "keep_model=true")
    take_step = Trainer.train_step
    trained: list[tuple[int, int]] = []

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if len(trained) == 9:  # of 18: amid the second round of epochs
            signal.raise_signal(signal.SIGINT)
        trained.append((id(trainer), trainer.step))
        return take_step(trainer, images, labels)

    assert command(*words, "results_dir=alone") == 0
    monkeypatch.setattr(Trainer, "train_step", step)
    assert command(*words, "population=3") == 130
    states = list(tmp_path.glob("results/checkpoints/*/*.partial.safetensors"))
    assert len(states) == 3
    assert not list(tmp_path.glob("results/records/**/*.json"))
    num_before = len(trained)
    assert command(*words, "population=2") == 0
    assert len(trained) == 18  # no step is trained twice
    assert num_before == 10
    alone, gone_on = outcomes(tmp_path / "alone"), outcomes(tmp_path / "results")
    assert {key: value[1:] for key, value in alone.items()} == {
        key: value[1:] for key, value in gone_on.items()
    }
    assert {size for size, *_ in gone_on.values()} == {3}  # as it was in the first part


def test_memory_that_others_take_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run finds too little memory until it is alone; another even then."""
    take_step = Trainer.train_step

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if trainer.training.seed == 1 and (count_alive() > 1 or len(trainer.model.stored) < 1000):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return take_step(trainer, images, labels)

    monkeypatch.setattr(Trainer, "train_step", step)
    lists = (("method=mag", "compression=2,8", "seed=0,1"),)
    assert work_through(plan(tmp_path, 4, *lists))
    found = outcomes(tmp_path).values()
    assert {
        (r["config"]["seed"], r["config"]["compression"]): r["status"] for _, r, _ in found
    } == {
        (0, 2): "completed",
        (0, 8): "completed",
        (1, 2): "completed",
        (1, 8): "failed",
    }
    out = capsys.readouterr().out
    assert len(re.findall("put off: .*-s1-.* out of memory beside other runs", out)) == 2
    assert len(re.findall("failed: .*-8x-.*-s1-.* out of memory: 2.00 GiB more", out)) == 1


def test_runs_that_another_process_has_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[float, int]] = []
    pauses: list[float] = []

    def run(config: RunConfig, *heard: Any) -> dict[str, Any]:
        tried.append((config.compression, config.compute.population or 0))
        if config.compression > 2 and len(pauses) < 2:
            raise InUseError
        return {}

    monkeypatch.setattr("rps_bench.run.run", run)
    monkeypatch.setattr(jobs, "describe", lambda record: "done")
    monkeypatch.setattr("rps_bench.launch.jobs.time.sleep", pauses.append)
    work_through(plan(tmp_path, 2, ("method=mag", "compression=2,3,4")))
    assert pauses == [1, 2]
    assert tried == [(c, 2) for c in (2, 3, 4, 3, 4, 3, 4, 3, 4)]


def test_a_group_takes_one_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("rps_bench.runtime.devices.resolve_device", torch.device)
    monkeypatch.setattr("rps_bench.launch.concurrent.resolve_device", torch.device)
    taken: list[str] = []
    lanes: list[str] = []

    def make_lane(device: torch.device) -> type[AbstractContextManager[None]]:
        lanes.append(str(device))
        return nullcontext

    def run(config: RunConfig, *heard: Any) -> dict[str, Any]:
        taken.append(config.compute.device)
        return {}

    monkeypatch.setattr("rps_bench.launch.concurrent.make_lane", make_lane)
    monkeypatch.setattr("rps_bench.run.run", run)
    monkeypatch.setattr(jobs, "describe", lambda record: "done")
    work_through(plan(tmp_path, 2, ("method=mag", "compression=2,3,4", "gpus=[5,6]")))
    assert taken == ["cuda:5"] * 3
    assert lanes == ["cuda:5"]


def test_groups_share_all_but_method_compression_and_seed(tmp_path: Path) -> None:
    lists = (
        ("method=mag,rand", "seed=0,1"),
        ("method=mag", "recipe.lr=0.3,0.2"),
        ("method=mag", "arch.width=3"),
        ("method=mag", "compression=2,3", "deterministic=true"),
        ("method=mag", "compression=2,3", "threads=1"),
    )
    groups = find_groups(plan(tmp_path, 4, *lists))
    assert [len(group) for group in groups] == [4, 1, 1, 1, 2, 2]
    kept = plan(tmp_path, 4, lists[0], ("method=mag", "keep_checkpoints=false"))
    assert [len(group) for group in find_groups(kept)] == [5]
    configs = plan(tmp_path, 1, lists[0])
    assert find_groups(configs) == [[config] for config in configs]


@pytest.mark.parametrize(("population", "is_at_once"), [("auto", False), ("1", False), ("2", True)])
def test_on_a_cpu_auto_is_one(
    population: str, is_at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[bool] = []

    def run(config: RunConfig, *heard: Any) -> dict[str, Any]:
        placed.append(heard[-1] is not None)
        return {}

    monkeypatch.setattr("rps_bench.run.run", run)
    monkeypatch.setattr(jobs, "describe", lambda record: "done")
    words = (*TINY, "method=mag", "compression=2,3", f"population={population}")
    work_through(plan_runs([*words, f"results_dir={tmp_path}"], True).configs)
    assert placed == [is_at_once] * 2


@pytest.mark.parametrize(
    ("free", "of_one", "num_runs", "fitting"),
    [
        (1000, 100, 64, 6),  # 5 beside the first: half is for what they take later
        (1000, 100, 4, 4),
        (199, 100, 64, 1),
        (0, 100, 64, 1),
        (10**12, 1, 64, 16),
        (1000, 0, 64, 16),
        (1000, -5, 64, 16),
    ],
)
def test_memory_decides_how_many(free: int, of_one: int, num_runs: int, fitting: int) -> None:
    assert count_fitting(free, of_one, num_runs) == fitting


def test_auto_counts_what_the_first_run_took_beside_the_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reserved = {"now": 50, "peak": 0}
    started: list[bool] = []

    def reset(device: torch.device) -> None:
        assert started, "PyTorch raises where nothing has used the GPU yet"
        reserved["peak"] = reserved["now"]

    monkeypatch.setattr("rps_bench.launch.streams.free_memory", lambda: None)
    monkeypatch.setattr(torch.cuda, "init", lambda: started.append(True))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: reserved["peak"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (500, 10_000))
    find_size = size_finder(None, 12, torch.device("cuda:0"), lambda: 100)
    reserved["peak"] = 250  # before 50, images 100, the run 100
    assert find_size() == 3
    assert size_finder(7, 12, torch.device("cuda:0"), lambda: 100)() == 7


def test_images_are_placed_once_and_gone_with_the_last_run() -> None:
    placed, dataset, cpu = PlacedData(), load_dataset("digits"), torch.device("cpu")
    first = placed.place(dataset, "whole", cpu)
    assert placed.place(dataset, "whole", cpu) is first
    second = placed.place(dataset, "other", cpu)
    assert second is not first
    del first, second
    assert placed.count_bytes() == 0
    third = placed.place(dataset, "whole", cpu)
    images = sum(split.images.numel() for split in (third.train, third.test))
    labels = sum(len(split) for split in (third.train, third.test))
    assert placed.count_bytes() == images + 8 * labels
