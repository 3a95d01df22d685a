"""The files of unfinished work: who may use them when, what stays, and what cannot be used."""

import multiprocessing
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from torch import nn

from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.levels import Level
from rps_bench.methods.selection import store_everything
from rps_bench.runtime.locks import InUseError, find_begun_runs, gate
from rps_bench.training import checkpoints
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.state import EpochResult, Outcome, TrainingState
from tests.patience import PATIENCE_SECONDS

LEVEL = Level(3, 24, is_shared=True)
OUTCOME = Outcome([EpochResult(1, 0.1, 1 / 3, 2.0, 12.5, 0.25)], None, 0.25, 37)
STATE = TrainingState(5, {"stored": torch.arange(3.0)}, {"stored": torch.ones(3)}, OUTCOME)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def files(tmp_path: Path, said: list[str]) -> Checkpoints:
    return Checkpoints(tmp_path, "chain", said.append)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 2), nn.BatchNorm2d(2), nn.Flatten())  # n = 24


def in_folder(files: Checkpoints) -> list[str]:
    return sorted(path.name for path in files.folder.iterdir())


def test_one_process_at_a_time_does_a_run(files: Checkpoints) -> None:
    with files.in_use("run-a"):
        with pytest.raises(InUseError, match="another process trains run-a"), files.in_use("run-a"):
            pass
        assert in_folder(files) == ["run-run-a.lock"]
    with files.in_use("run-a"):
        pass
    assert not files.folder.exists()


def test_one_process_at_a_time_trains_a_shared_level(files: Checkpoints) -> None:
    with files.in_use("run-a"):
        with (
            files.at_work_on(LEVEL),
            files.at_work_on(Level(2, 24, is_shared=True)),
            pytest.raises(InUseError, match="trains level 3"),
            files.at_work_on(LEVEL),
        ):
            pass
        with files.at_work_on(LEVEL):
            pass
        own = Level(4, 20, is_shared=False)
        with files.at_work_on(own), files.at_work_on(own):  # the run's lock guards it
            assert "level-04-20.lock" not in in_folder(files)


def test_different_runs_use_a_folder_together(files: Checkpoints, said: list[str]) -> None:
    with files.in_use("run-a"):
        with files.in_use("run-b"):
            assert in_folder(files) == ["run-run-a.lock", "run-run-b.lock"]
        assert in_folder(files) == ["run-run-a.lock"], "the folder of a run at work was deleted"
    assert not files.folder.exists()
    assert said == []


def test_a_crash_lets_go_of_all_locks(files: Checkpoints, said: list[str]) -> None:
    for _ in range(2):
        with (
            pytest.raises(RuntimeError, match="mine"),
            files.in_use("run-a"),
            files.at_work_on(LEVEL),
        ):
            raise RuntimeError("mine")
    assert said == []
    assert not files.folder.exists()


def test_a_run_that_did_not_end_stays_known_as_begun(files: Checkpoints) -> None:
    files.keep_partial(LEVEL, STATE)
    with pytest.raises(RuntimeError, match="mine"), files.in_use("run-a"):
        raise RuntimeError("mine")
    assert in_folder(files) == ["level-03-24.partial.safetensors", "run-run-a.lock"]
    with files.in_use("run-a"):
        pass
    assert in_folder(files) == ["level-03-24.partial.safetensors"]


def test_looking_at_a_run_that_ends_meanwhile_begins_it_not_again(
    files: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.keep_partial(LEVEL, STATE)
    with pytest.raises(RuntimeError, match="mine"), files.in_use("run-a"):
        raise RuntimeError("mine")
    assert find_begun_runs(tmp_path) == {"run-a": False}

    def late_gate(root: Path) -> FileLock:
        assert files.discard_all()
        return gate(root)

    monkeypatch.setattr("rps_bench.runtime.locks.gate", late_gate)
    assert find_begun_runs(tmp_path) == {}
    assert not files.folder.exists()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of Python from 3.12 on
def test_a_killed_process_lets_go_of_its_locks(files: Checkpoints, said: list[str]) -> None:
    forks = multiprocessing.get_context("fork")
    holds = forks.Event()

    def work() -> None:
        with files.in_use("run-a"), files.at_work_on(LEVEL):
            holds.set()
            signal.pause()

    process = forks.Process(target=work)
    process.start()
    assert holds.wait(PATIENCE_SECONDS)
    assert not files.discard_all()
    assert said == [f"kept, as another process uses it: {files.folder}"]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert in_folder(files) == ["level-03-24.lock", "run-run-a.lock"]
    with files.in_use("run-a"), files.at_work_on(LEVEL):
        pass
    assert len(said) == 1
    assert not files.folder.exists()


def test_a_folder_with_something_to_go_on_from_stays(files: Checkpoints) -> None:
    with files.in_use("run-a"):
        files.keep_partial(LEVEL, STATE)
    assert in_folder(files) == ["level-03-24.partial.safetensors"]
    with files.in_use("run-a"), files.at_work_on(LEVEL):
        files.keep_rewind_state(STATE)
    assert "rewind.safetensors" in in_folder(files)
    assert not [name for name in in_folder(files) if name.startswith("run-")]


def test_a_folder_in_use_is_not_deleted(files: Checkpoints) -> None:
    assert files.discard_all()  # there is none
    with files.in_use("run-a"):
        files.keep_partial(LEVEL, STATE)
        assert not files.discard_all()
        assert files.partial(LEVEL) is not None
    assert files.discard_all()
    assert not files.folder.exists()
    assert files.root.is_dir()


def test_a_folder_that_is_no_longer_used_is_deleted_with_all_it_holds(files: Checkpoints) -> None:
    files.folder.mkdir(parents=True)
    for name in ("run-b.lock", "level-00-24.lock", "rewind.safetensors", ".123.tmp"):
        (files.folder / name).write_bytes(b"")
    assert files.discard_all()
    assert not files.folder.exists()


def test_a_finished_level_comes_back(files: Checkpoints, said: list[str]) -> None:
    dense = network()
    model = store_everything(dense)
    with torch.no_grad():
        model.stored.mul_(3)
        model.skeleton.get_buffer("1.num_batches_tracked").fill_(7)
    assert files.finished(LEVEL) is None
    assert files.model(LEVEL, dense) is None
    files.keep_partial(LEVEL, STATE)
    files.finish(LEVEL, model, OUTCOME)
    assert in_folder(files) == ["level-03-24.json", "level-03-24.safetensors"]
    assert files.finished(LEVEL) == OUTCOME
    found = files.model(LEVEL, dense)
    assert isinstance(found, CompressedModel)
    expected = model.state_dict()
    assert found.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[k]) for k, tensor in found.state_dict().items())
    for other in (Level(2, 24, is_shared=True), Level(3, 23, is_shared=True)):
        assert files.finished(other) is None
    assert said == []


def test_states_come_back(files: Checkpoints) -> None:
    assert files.partial(LEVEL) is None
    assert files.rewind_state() is None
    files.keep_rewind_state(STATE)
    assert files.partial(LEVEL) is None
    files.keep_partial(LEVEL, TrainingState(9, STATE.tensors, {}))
    partial, rewind = files.partial(LEVEL), files.rewind_state()
    assert partial is not None
    assert rewind is not None
    assert (partial.step, rewind.step) == (9, 5)
    assert (partial.momentum, rewind.outcome) == ({}, OUTCOME)


def test_a_finished_level_keeps_no_partial_state(files: Checkpoints) -> None:
    for level in (LEVEL, Level(2, 24, is_shared=True)):
        files.keep_partial(level, STATE)
    files.finish(LEVEL, store_everything(network()), OUTCOME)
    assert in_folder(files) == [
        *("level-02-24.partial.safetensors", "level-03-24.json", "level-03-24.safetensors"),
    ]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b"[1]", b"\xff\xfe", None],
    ids=["empty", "table", "list", "noise", "cut"],
)
@pytest.mark.parametrize(
    "name",
    [
        "level-03-24.json",
        "level-03-24.safetensors",
        "level-03-24.partial.safetensors",
        "rewind.safetensors",
    ],
)
def test_a_file_that_cannot_be_used_counts_as_missing_with_a_line(
    name: str, damage: bytes | None, files: Checkpoints, said: list[str]
) -> None:
    files.finish(LEVEL, store_everything(network()), OUTCOME)
    files.keep_partial(LEVEL, STATE)
    files.keep_rewind_state(STATE)
    path = files.folder / name
    path.write_bytes(path.read_bytes()[:-3] if damage is None else damage)
    found = {
        "level-03-24.json": files.finished(LEVEL),
        "level-03-24.safetensors": files.model(LEVEL, network()),
        "level-03-24.partial.safetensors": files.partial(LEVEL),
        "rewind.safetensors": files.rewind_state(),
    }
    assert [key for key, content in found.items() if content is None] == [name]
    (text,) = said
    assert re.match(rf"{re.escape(str(path))} cannot be used and is made again \(.+\)", text)


def test_another_networks_level_counts_as_missing(files: Checkpoints, said: list[str]) -> None:
    files.finish(LEVEL, store_everything(nn.Sequential(nn.Linear(6, 4))), OUTCOME)
    assert files.model(LEVEL, network()) is None
    assert "layer table does not fit" in said[0]


def test_an_unfinished_write_is_never_seen(
    files: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.keep_partial(LEVEL, STATE)

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("rps_bench.core.atomic.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.keep_partial(LEVEL, TrainingState(9, STATE.tensors, {}))
    partial = files.partial(LEVEL)
    assert partial is not None
    assert partial.step == 5
    assert in_folder(files) == ["level-03-24.partial.safetensors"]


def test_bytes_are_counted(files: Checkpoints) -> None:
    files.folder.mkdir(parents=True)
    for name, count in (("rewind.safetensors", 1000), ("level-00-24.json", 17), ("a.lock", 0)):
        (files.folder / name).write_bytes(b"x" * count)
    assert files.count_bytes() == 1017


def test_a_file_that_vanishes_while_bytes_are_counted_is_left_out(files: Checkpoints) -> None:
    """Other processes replace and delete files of the same chain all the time."""
    files.keep_rewind_state(STATE)
    expected = files.count_bytes()
    (files.folder / ".0123.tmp").symlink_to("renamed-in-the-meantime")
    assert files.count_bytes() == expected


def test_a_leftover_of_a_killed_write_does_not_keep_a_folder(files: Checkpoints) -> None:
    files.folder.mkdir(parents=True)
    (files.folder / ".0123456789abcdef.tmp").write_bytes(b"half a state")
    with files.in_use("run-a"):
        pass
    assert not files.folder.exists()


def test_a_folder_that_another_process_just_deleted_is_gone(
    files: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands that end at once both delete their chain."""
    files.keep_rewind_state(STATE)

    def late_gate(root: Path) -> FileLock:
        for path in files.folder.iterdir():
            path.unlink()
        files.folder.rmdir()
        return gate(root)

    monkeypatch.setattr(checkpoints, "gate", late_gate)
    assert files.discard_all()
