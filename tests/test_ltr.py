"""Lottery ticket rewinding from the command line: shared, side by side, killed and gone on.

Other processes are forks of this one, so they start at once; one test starts Python anew. Where
the command line is not the question, runs go the same way without it.
"""

import functools
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

import rps_bench.run
from rps_bench.config import RunConfig
from rps_bench.datasets import load_dataset
from rps_bench.launch.jobs import work_through
from rps_bench.methods import METHODS, load_compressed
from rps_bench.methods.base import Method
from rps_bench.methods.compressed import CompressedModel
from rps_bench.records import Record, read_records, write_record
from rps_bench.records.build import describe_training
from rps_bench.records.done import find_done
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.chain import Chain
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.loop import Trainer
from tests.conftest import Command
from tests.patience import PATIENCE_SECONDS, wait_until

# Python from 3.12 on warns of forks beside threads; the forks here train with one thread.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

TINY = (
    *("recipe=smoke", "recipe.batch_size=16"),  # six steps
    *("arch.width=2", "device=cpu", "precision=fp32"),
    "checkpoint_seconds=null",  # so that writes can be counted, however long an epoch takes
)
LTR = (*TINY, "method=ltr", "method.level_fraction=0.5", "method.rewind_steps=2")
N = 4350  # weights of a ResNet-20 two channels wide
# Levels, epochs 1 and 2 of each: one chain to 10x and a last level of 3.16x.
CHAIN = ((0, N), (1, N // 2), (2, N // 4), (3, N // 8), (4, N // 10))
LEAF = (2, int(N / 3.16))
ALL_EPOCHS = {(*level, epoch): 1 for level in (*CHAIN, LEAF) for epoch in (1, 2)}
UNLIKE = {
    *("provenance", "train_seconds", "total_train_seconds", "images_per_second"),
    "peak_memory_bytes",
}
_FORKS = multiprocessing.get_context("fork")
_alone: dict[float, Any] = {}
_load = functools.cache(load_dataset)


def same_part(value: Any) -> Any:
    """A record without its times, memory and provenance."""
    if isinstance(value, dict):
        return {key: same_part(child) for key, child in value.items() if key not in UNLIKE}
    return [same_part(child) for child in value] if isinstance(value, list) else value


def records_in(folder: Path) -> dict[float, Any]:
    """Records by compression, without what no two runs have in common."""
    records, problems = read_records(folder)
    assert not problems
    return {record["config"]["compression"]: same_part(record) for record in records}


def epochs_in(text: str) -> Counter[tuple[int, int, int]]:
    """How often (level, its weights, epoch) was trained, from the lines of a command."""
    pattern = r"^\S+  (?:level (\d+)/\d+ \(([\d,]+) weights\)  )?epoch (\d+)/2 "
    return Counter(
        (int(level or 0), int(weights.replace(",", "") or N), int(epoch))
        for level, weights, epoch in re.findall(pattern, text, re.MULTILINE)
    )


def chain_folder(results: Path) -> Path:
    (folder,) = (path for path in (results / "checkpoints").iterdir() if path.is_dir())
    return folder


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".tmp"}


@functools.cache
def plan(*words: str) -> tuple[RunConfig, ...]:
    """The runs of a command line."""
    return tuple(plan_runs(words, is_sweep=True).configs)


def train_all(results: Path, *words: str) -> None:
    """``python -m rps_bench -m WORDS`` without its door; returns when all runs are recorded."""
    planned = plan(*words)
    files = replace(planned[0].files, results_dir=str(results))
    work_through([replace(config, files=files) for config in planned])


def start(log: Path, results: Path, *words: str, deadly: int | None = None) -> BaseProcess:
    """``train_all`` in a fork, its lines in a file; it may end at a write, counted from 1."""
    plan(*words)

    def work() -> None:
        sys.stdout = sys.stderr = open(log, "a", buffering=1)  # noqa: SIM115
        if deadly is not None:
            die_before_write(deadly)
        train_all(results, *words)
        os._exit(0)

    process = _FORKS.Process(target=work)
    process.start()
    return process


def die_before_write(number: int) -> None:
    """SIGKILL to this process amid a write: all of the file is there under a passing name."""
    rename, count = os.replace, 0

    def deadly(source: Any, target: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    os.replace = deadly  # type: ignore[assignment]  # this process ends with it


def finish(*processes: BaseProcess, exitcode: int = 0) -> None:
    for process in processes:
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == exitcode


@pytest.fixture(autouse=True)
def decode_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digits are read once for all runs, also for those of forks."""
    _load("digits", None)
    monkeypatch.setattr(rps_bench.run, "load_dataset", _load)


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Any]:
    """The records at 1, 3.16 and 10, each from nothing; made once."""
    for compression in () if _alone else (1, 3.16, 10):
        folder = tmp_path_factory.mktemp("alone")
        train_all(folder, *LTR, f"compression={compression}")
        _alone.update(records_in(folder))
    return _alone


def test_what_a_record_says(alone: dict[float, Any]) -> None:
    """Levels after the first train four of six steps: 4/3 of two epochs."""
    assert {c: record["size"]["stored_weights"] for c, record in alone.items()} == {
        1: N,
        3.16: LEAF[1],
        10: N // 10,
    }
    costs = {
        c: [record["cost"][key] for key in ("num_levels", "num_trainings", "total_epochs")]
        for c, record in alone.items()
    }
    assert costs == {1: [0, 1, 2], 3.16: [2, 3, 4.6667], 10: [4, 5, 7.3333]}
    for record in alone.values():
        assert (record["status"], record["reason"]) == ("completed", None)
        assert record["history"][-1]["test_accuracy"] == record["metrics"]["test_accuracy"]
        assert [epoch["epoch"] for epoch in record["history"]] == [1, 2]
    report = alone[10]["method_report"]
    assert report["rewind_step"] == 2
    assert [(entry["level"], entry["num_kept"]) for entry in report["levels"]] == list(CHAIN)
    assert [entry["epochs"] for entry in report["levels"]] == [2, *[1.3333] * 4]
    assert report["levels"][-1]["test_accuracy"] == alone[10]["metrics"]["test_accuracy"]
    assert report["levels"][0]["test_accuracy"] == alone[1]["metrics"]["test_accuracy"]
    assert sum(report["layer_densities"].values()) > 0
    assert "levels" not in alone[1]["method_report"]


def test_compression_1_is_the_dense_run_exactly(alone: dict[float, Any], tmp_path: Path) -> None:
    train_all(tmp_path, *TINY, "method=dense")
    (dense,) = records_in(tmp_path).values()
    for key in ("stored_bytes", "stored_bytes_zstd"):
        sizes = [dense["size"][key], alone[1]["size"][key]]
        dense["size"][key] = sizes[1]
        assert abs(sizes[0] - sizes[1]) < 100  # headers name the run, one of them the rewinding
    for block in ("metrics", "history", "size", "cost"):
        assert dense[block] == alone[1][block]


def test_a_sweep_is_one_chain(
    alone: dict[float, Any],
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("-m", *LTR, "compression=10,1,3.16") == 0
    out = capsys.readouterr().out
    assert epochs_in(out) == ALL_EPOCHS
    assert records_in(tmp_path / "results") == alone
    shared = {
        f"level-{number:02}-{kept}{suffix}"
        for number, kept in CHAIN[:-1]
        for suffix in (".safetensors", ".json", ".lock")
    }
    folder = chain_folder(tmp_path / "results")
    assert names_in(folder) == shared | {"rewind.safetensors"}
    kept = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    name = folder.relative_to(tmp_path)
    assert f"levels kept for other compressions: {kept:.1f} MB in {name}" in out


def test_processes_side_by_side_train_each_level_once(
    alone: dict[float, Any], tmp_path: Path
) -> None:
    log, results = tmp_path / "log", tmp_path / "results"
    finish(*(start(log, results, *LTR, f"compression={c}") for c in (10, 3.16, 1)))
    assert epochs_in(log.read_text()) == ALL_EPOCHS, log.read_text()
    assert records_in(results) == alone
    assert not list(chain_folder(results).glob("run-*"))


def test_two_processes_at_the_same_run_train_it_once(
    alone: dict[float, Any], tmp_path: Path
) -> None:
    log, results = tmp_path / "log", tmp_path / "results"
    finish(*(start(log, results, *LTR, "compression=3.16") for _ in range(2)))
    levels = (*CHAIN[:2], LEAF)
    expected = {(*level, epoch): 1 for level in levels for epoch in (1, 2)}
    assert epochs_in(log.read_text()) == expected, log.read_text()
    assert records_in(results) == {3.16: alone[3.16]}


def test_a_run_recorded_meanwhile_is_not_trained(tmp_path: Path) -> None:
    log, results, elsewhere = (tmp_path / name for name in ("log", "results", "elsewhere"))
    words = (*TINY, "method=mag", "engine=plain")
    train_all(elsewhere, *words)
    (record,) = read_records(elsewhere)[0]
    (config,) = plan(*words)
    name = config.checkpoint_name(False, "fp32", "plain", 1437)
    with Checkpoints(results, name, print).in_use(config.run_id):
        process = start(log, results, *words)
        wait_for_line(log, f"waiting for other processes: {config.run_id}")
        write_record(results, record)
    finish(process)
    assert epochs_in(log.read_text()) == {}
    assert names_in(results / "checkpoints") == {".lock"}


@pytest.mark.parametrize("storage", ["exact", "int8"])
def test_a_run_recorded_just_before_it_is_taken_is_not_done_nor_said_to_be(
    storage: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its record may be written between the first look and taking its lock."""
    words = (*TINY, "method=mag", f"storage={storage}", "keep_model=true")
    train_all(tmp_path, *words)
    out = capsys.readouterr().out
    assert epochs_in(out).total() == 2
    before = read_records(tmp_path)
    assert out.count("completed: ") == len(before[0]) == (1 if storage == "exact" else 2)

    looks: list[Record | None] = [None] * len(before[0])  # the first look at each run
    monkeypatch.setattr(
        "rps_bench.launch.jobs.find_done",
        lambda config: looks.pop() if looks else find_done(config),
    )
    train_all(tmp_path, *words)
    assert looks == []
    out = capsys.readouterr().out
    assert epochs_in(out).total() == 0
    assert "completed: " not in out
    assert read_records(tmp_path) == before


def wait_for_line(log: Path, text: str, count: int = 1) -> None:
    wait_until(lambda: log.is_file() and log.read_text().count(text) >= count, repr(text))


def test_a_sweep_killed_again_and_again_gives_the_same_records(
    alone: dict[float, Any], tmp_path: Path
) -> None:
    """Every state, network, outcome and record is a write; the kills fall on all kinds."""
    log, results = tmp_path / "log", tmp_path / "results"
    words = (*LTR, "compression=3.16,10,1")
    kills = (1, 2, 2, 3, 2, 4, 5)
    for number in kills:
        finish(start(log, results, *words, deadly=number), exitcode=-signal.SIGKILL)
    before = epochs_in(log.read_text())
    finish(start(log, results, *words))
    trained = epochs_in(log.read_text())
    assert before.total() > 4
    assert (trained - before).total() > 4, "the kills came too late to matter"
    assert set(trained) == set(ALL_EPOCHS)
    assert trained.total() <= len(ALL_EPOCHS) + len(kills)
    assert records_in(results) == alone
    folder = chain_folder(results)
    assert not [name for name in names_in(folder) if "partial" in name or "run-" in name]


def test_a_real_process_killed_at_a_random_moment_goes_on(
    alone: dict[float, Any], tmp_path: Path
) -> None:
    log, words = tmp_path / "log", (*LTR, "compression=10,3.16")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    with open(log, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "rps_bench", "-m", *words],
            cwd=tmp_path,
            env=environment,
            stdout=file,
            stderr=file,
        )
        wait_for_line(log, "accuracy", count=random.randint(1, 6))
        time.sleep(random.uniform(0, 0.2))
        process.kill()
        process.wait(PATIENCE_SECONDS)
    finish(start(log, tmp_path / "results", *words))
    assert epochs_in(log.read_text()).total() <= len(ALL_EPOCHS) + 1
    expected = {compression: alone[compression] for compression in (3.16, 10)}
    assert records_in(tmp_path / "results") == expected


@pytest.mark.parametrize(("deadly", "trained"), [(1, [1, 2]), (2, [2])])
def test_an_ordinary_run_goes_on_after_its_last_whole_epoch(
    deadly: int, trained: list[int], tmp_path: Path
) -> None:
    """Its writes: the state after epoch 1, the record."""
    words, results, elsewhere = (*TINY, "method=stable_rps"), tmp_path / "a", tmp_path / "b"
    train_all(elsewhere, *words)
    assert names_in(elsewhere / "checkpoints") == {".lock"}
    finish(start(tmp_path / "first", results, *words, deadly=deadly), exitcode=-signal.SIGKILL)
    finish(start(tmp_path / "second", results, *words))
    lines = epochs_in((tmp_path / "second").read_text())
    assert [epoch for _, _, epoch in lines.elements()] == trained
    assert records_in(results) == records_in(elsewhere)
    assert names_in(results / "checkpoints") == {".lock"}


def test_levels_are_deleted_once_nothing_planned_can_need_them(
    alone: dict[float, Any],
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that failed keeps them; the same command then trains nothing again."""

    def crash(config: RunConfig, chain: Chain, *arguments: Any) -> Any:
        if len(chain.levels) == 3:
            raise RuntimeError("mine")
        return describe_training(config, chain, *arguments)

    words = ("-m", *LTR, "compression=3.16,1", "keep_checkpoints=false")
    with monkeypatch.context() as patch:
        patch.setattr("rps_bench.run.describe_training", crash)
        assert command(*words) == 1
    results = tmp_path / "results"
    assert "rewind.safetensors" in names_in(chain_folder(results))
    assert epochs_in(capsys.readouterr().out).total() == 6
    assert command(*words) == 0
    assert epochs_in(capsys.readouterr().out).total() == 1  # the last one of the level
    assert records_in(results) == {c: alone[c] for c in (1, 3.16)}
    assert names_in(results / "checkpoints") == {".lock"}


def test_a_command_whose_runs_are_all_recorded_deletes_their_levels(
    command: Command, tmp_path: Path
) -> None:
    assert command(*LTR, "compression=1") == 0
    assert command(*LTR, "compression=1", "keep_checkpoints=false") == 0
    assert names_in(tmp_path / "results" / "checkpoints") == {".lock"}


def test_a_chain_that_another_process_uses_is_not_deleted(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*LTR, "compression=1") == 0
    folder = chain_folder(tmp_path / "results")
    with Checkpoints(tmp_path / "results", folder.name, print).in_use("another-run"):
        assert command(*LTR, "compression=2", "keep_checkpoints=false") == 0
        assert f"level-00-{N}.json" in names_in(folder)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"kept, as another process uses it: results/checkpoints/{folder.name}"


def test_divergence_of_the_first_level_is_recorded_for_every_compression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_all(tmp_path, *LTR, "compression=10,1,3.16", "recipe.lr=1e30")
    assert epochs_in(capsys.readouterr().out).total() == 0
    records = records_in(tmp_path)
    assert {c: record["size"]["stored_weights"] for c, record in records.items()} == {
        1: N,
        3.16: LEAF[1],
        10: N // 10,
    }
    reason = records[1]["reason"]
    cause = "usual cause: the learning rate, recipe.lr=1e+30"
    assert reason == f"training loss not finite by step 3, epoch 1; {cause}"
    assert records[10]["reason"] == f"level 0 of 4: {reason}"
    assert records[3.16]["reason"] == f"level 0 of 2: {reason}"
    for record in records.values():
        assert (record["status"], record["history"]) == ("diverged", [])
        assert record["metrics"]["test_accuracy"] is None
        assert (record["cost"]["num_levels"], record["cost"]["num_trainings"]) == (0, 1)


def test_divergence_of_a_later_level_spares_the_compressions_before_it(
    alone: dict[float, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_step, trained = Trainer.train_step, list[int]()

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = train_step(trainer, images, labels)
        trained.append(trainer.model.stored.numel())
        return loss * float("nan") if trained[-1] == N // 4 else loss

    monkeypatch.setattr(Trainer, "train_step", step)
    train_all(tmp_path, *LTR, "compression=10,8,3.16")
    records = records_in(tmp_path)
    assert records[3.16] == alone[3.16]
    for compression, last in ((10, 4), (8, 3)):
        record = records[compression]
        assert record["status"] == "diverged"
        reason = f"level 2 of {last}: training loss not finite by step 3, epoch 1"
        assert record["reason"].startswith(f"{reason}; usual cause: ")
        assert record["size"]["stored_weights"] == N // compression
        assert (record["cost"]["num_levels"], record["cost"]["num_trainings"]) == (2, 3)
        assert [entry["test_accuracy"] is None for entry in record["method_report"]["levels"]] == [
            *(False, False, True)
        ]
    assert Counter(trained) == {N: 6, N // 2: 4, N // 4: 1, LEAF[1]: 4}


def test_fine_tuning_shares_its_own_chain(alone: dict[float, Any], tmp_path: Path) -> None:
    words = (*TINY, "method=mag_trained", "method.level_fraction=0.5", "method.rewind_steps=2")
    train_all(tmp_path, *words, "compression=3.16,1")
    records = records_in(tmp_path)
    assert records[1]["history"] == alone[1]["history"]
    assert records[3.16]["history"] != alone[3.16]["history"]
    assert records[3.16]["cost"]["total_epochs"] == alone[3.16]["cost"]["total_epochs"]
    dense, own = sorted(path for path in (tmp_path / "checkpoints").iterdir() if path.is_dir())
    assert "-dense-chain-" in dense.name
    assert "-mag_trained-chain-" in own.name
    assert {name.partition(".")[0] for name in names_in(dense)} == {f"level-00-{N}"}
    assert {name.partition(".")[0] for name in names_in(own)} == {f"level-01-{N // 2}"}


def test_the_methods_own_score_decides_which_trained_weights_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here those of the highest position: of each half that is pruned, the first."""

    def place(method: Method, model: CompressedModel) -> torch.Tensor:
        return torch.arange(model.stored.numel())

    monkeypatch.setattr(METHODS["ltr"], "score_trained", place)
    train_all(tmp_path, *LTR, "compression=4", "keep_model=true")
    (path,) = (tmp_path / "models").rglob("*.safetensors")
    slots = load_compressed(path).weight_map.slots()
    assert (slots >= 0).nonzero().view(-1).tolist() == list(range(N - N // 4, N))
