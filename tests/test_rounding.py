"""Rounded runs: one training, a record for every storage, the model's file."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

import rps_bench.run
from rps_bench.datasets import load_dataset
from rps_bench.methods import load_compressed
from rps_bench.methods.files.read import read_facts
from rps_bench.records import Record, read_records
from rps_bench.records.build import Result
from rps_bench.records.models import model_path
from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.analysis.runs import describe_runs
from rps_bench.run import Setting
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.evaluation import evaluate
from tests.conftest import Command

TINY = ("recipe=smoke", "arch.width=2", "device=cpu", "precision=fp32")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def records_by_storage(results: Path) -> dict[str, Record]:
    records, problems = read_records(results)
    assert problems == ()
    return {record["config"]["storage"]: record for record in records}


def path_of(results: Path, record: Record) -> Path:
    config = record["config"]
    return model_path(results, config["dataset"], config["arch"], record["run_id"])


def count_trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    trained: list[str] = []
    train = rps_bench.run._train

    def counted(here: Setting, *arguments: Any) -> Result:
        trained.append(here.config.run_id)
        return train(here, *arguments)

    monkeypatch.setattr(rps_bench.run, "_train", counted)
    return trained


@pytest.mark.parametrize(
    ("method", "storages"),
    [
        ("stable_rps", "exact,fp16,bf16,int8"),
        ("mag", "int8,exact,bf16,fp16"),
        ("dense", "fp16,bf16,int8,exact"),
    ],
)
def test_a_training_serves_all_storages(
    method: str, storages: str, command: Command, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = count_trainings(monkeypatch)
    assert command("-m", *TINY, f"method={method}", f"storage={storages}") == 0
    records = records_by_storage(results)
    assert set(records) == {"exact", "fp16", "bf16", "int8"}
    exact = records["exact"]
    assert trained == [exact["run_id"]]
    model = load_compressed(path_of(results, exact))
    digits = load_dataset("digits")
    for storage, record in records.items():
        rounded = load_compressed(path_of(results, exact))
        rounded.round_stored(storage)
        result = evaluate(rounded, digits, "fp32")
        assert record["metrics"]["test_accuracy"] == result.accuracy
        assert record["classes"]["num_correct"] == result.num_correct
        assert record["metrics"]["test_loss"] == pytest.approx(result.loss, rel=1e-6)
        assert record["cost"] == exact["cost"]
        assert record["size"]["stored_weights"] == model.stored.numel()
        assert f"-{storage}-" in record["run_id"] or storage == "exact"
    bytes_of = {storage: record["size"]["stored_bytes"] for storage, record in records.items()}
    assert bytes_of["exact"] == path_of(results, exact).stat().st_size
    assert bytes_of["exact"] > bytes_of["fp16"] == bytes_of["bf16"] > bytes_of["int8"]
    names = {path.name for path in (results / "models").rglob("*.safetensors")}
    assert names == {path_of(results, exact).name}


def test_jobs_of_a_launcher_keep_the_file_that_others_read() -> None:
    plan = plan_runs([*TINY, "compression=2,4", "storage=exact,int8"], is_sweep=True)
    assert [run.config.storage for run in plan.runs] == ["exact", "int8"] * 2
    assert [run.config.files.keep_model for run in plan.runs] == [True, False] * 2
    for run in plan.runs:
        (again,) = plan_runs(run.overrides, is_sweep=False).configs
        assert again == run.config
    (alone,) = plan_runs([*TINY, "storage=exact"], is_sweep=True).configs
    assert not alone.files.keep_model


def test_the_same_alone_and_later(command: Command, results: Path, tmp_path: Path) -> None:
    assert command(*TINY, "keep_model=true") == 0
    assert command(*TINY, "storage=int8") == 0
    later = records_by_storage(results)["int8"]
    other = tmp_path / "other"
    assert command(*TINY, "storage=int8", f"results_dir={other}") == 0
    alone = records_by_storage(other)["int8"]
    for block in ("run_id", "config", "metrics", "size"):
        assert alone[block] == later[block], block


def test_a_recorded_run_without_its_model_is_trained_again(
    command: Command, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = count_trainings(monkeypatch)
    assert command(*TINY) == 0
    before = records_by_storage(results)["exact"]
    assert not (results / "models").exists()
    assert command(*TINY, "storage=int8") == 0
    assert trained == [before["run_id"]] * 2
    after = records_by_storage(results)["exact"]
    assert after["metrics"] == before["metrics"]
    assert path_of(results, after).is_file()
    assert command(*TINY, "storage=int8", "keep_model=true") == 0
    assert len(trained) == 2
    rounded = records_by_storage(results)["int8"]
    size = path_of(results, rounded).stat().st_size
    assert size == rounded["size"]["stored_bytes"]


def test_a_kept_model_tells_what_it_is(command: Command, results: Path) -> None:
    assert command(*TINY, "method=rpg", "seed=3", "keep_model=true") == 0
    record = records_by_storage(results)["exact"]
    assert read_facts(path_of(results, record)) == {
        "run_id": record["run_id"],
        "dataset": "digits",
        "method": "rpg",
        "compression": 10.0,
        "seed": 3,
        "recipe": "smoke",
        "test_accuracy": record["metrics"]["test_accuracy"],
    }


def test_both_kinds_of_run_prepare_their_device(
    command: Command, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU an evaluation would be in TF32 otherwise."""
    prepared: list[torch.device] = []
    monkeypatch.setattr(rps_bench.run, "prepare_device", prepared.append)
    assert command(*TINY, "keep_model=true") == 0
    assert prepared == [torch.device("cpu")]
    assert command(*TINY, "storage=int8") == 0
    assert prepared == [torch.device("cpu")] * 2
    assert set(records_by_storage(results)) == {"exact", "int8"}


def test_a_file_is_written_once_and_its_bytes_are_those_recorded(
    command: Command, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(name: str, call: Any) -> Any:
        def do(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return call(*arguments, **options)

        return do

    for place, name in (
        ("rps_bench.records.build.to_bytes", "bytes"),
        ("rps_bench.methods.compressed.save_compressed", "saved"),
        ("rps_bench.records.build.layer_densities", "densities"),
        ("rps_bench.costs.macs.layer_densities", "densities"),
    ):
        room, _, own = place.rpartition(".")
        call = getattr(importlib.import_module(room), own)
        monkeypatch.setattr(place, counted(name, call))
    for storage, expected in (("exact", ["saved", "densities"]), ("int8", ["saved"])):
        calls.clear()
        assert command(*TINY, "method=mag", "keep_model=true", f"storage={storage}") == 0
        assert calls == expected
        record = records_by_storage(results)[storage]
        assert path_of(results, record).stat().st_size == record["size"]["stored_bytes"]


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_diverged_run_is_recorded_on_each_split(
    split: str, command: Command, results: Path
) -> None:
    words = (*TINY, "method=mag", "recipe.lr=1e30", f"evaluation_split={split}", "keep_model=true")
    assert command("-m", *words, "storage=exact,int8") == 0
    for record in records_by_storage(results).values():
        assert (record["status"], record["history"]) == ("diverged", [])
        assert record["metrics"][f"{split}_accuracy"] is None
        assert "learning rate" in record["reason"]


def test_a_diverged_run_is_diverged_in_every_storage(command: Command, results: Path) -> None:
    words = ("method=roast", "method.init_std=1e-20", "method.tile=4", "recipe.lr=1e30")
    assert command("-m", *TINY, *words, "storage=exact,int8") == 0
    records = records_by_storage(results)
    assert {record["status"] for record in records.values()} == {"diverged"}
    assert records["int8"]["reason"] == records["exact"]["reason"]
    assert records["int8"]["size"]["stored_bytes"] is None
    assert not (results / "models").exists()


def test_a_broken_model_file_is_named(
    command: Command, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*TINY, "keep_model=true") == 0
    path = path_of(results, records_by_storage(results)["exact"])
    path.write_bytes(b"broken")
    capsys.readouterr()
    assert command(*TINY, "storage=int8") == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert path.name in errors[0]
    assert set(records_by_storage(results)) == {"exact"}


def test_storages_are_curves_of_their_own(command: Command, results: Path) -> None:
    assert command("-m", *TINY, "method=stable_rps,mag", "storage=exact,int8") == 0
    runs = describe_runs(read_results(results).table)
    plain = dict(zip(runs["label"], runs["is_plain"], strict=True))
    assert plain == {
        "stable_rps": True, "stable_rps (storage=int8)": False,
        "mag": True, "mag (storage=int8)": False,
    }  # fmt: skip
    assert runs["experiment_options"].eq("").all()
    assert torch.isfinite(torch.tensor(runs["accuracy"].to_numpy())).all()
