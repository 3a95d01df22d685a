"""From the command line to records, table and plots."""

import json
from pathlib import Path
from typing import Any

import pytest

from rps_bench.methods import METHODS
from rps_bench.methods.pruning.base import PruningMethod
from rps_bench.records import check_record, read_records
from rps_bench.reports.__main__ import main as report
from tests.alike import without_times
from tests.conftest import Command

TINY = ("recipe=smoke", "arch.width=2", "device=cpu", "precision=fp32")


def records_in(folder: Path) -> list[dict[str, Any]]:
    records, problems = read_records(folder)
    assert not problems
    return list(records)


def test_a_sweep_from_command_to_plot(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = [name for name, method in METHODS.items() if not method.shares_trainings]
    num_runs = 2 * len(methods) - 1  # dense has one compression
    words = ("-m", *TINY, f"method={','.join(methods)}", "compression=1,4")
    assert command(*words) == 0
    out = capsys.readouterr().out
    assert f"{num_runs} runs: {num_runs} recorded, 0 failed" in out
    assert out.count("skipped: dense") == 1
    records = records_in(tmp_path / "results")
    assert len(records) == num_runs
    for record in records:
        check_record(record)
        assert record["status"] == "completed"
        config, size = record["config"], record["size"]
        assert config["method_kind"] == METHODS[config["method"]].kind
        assert len(record["history"]) == config["recipe_options"]["epochs"] == 2
        assert record["history"][-1]["test_accuracy"] == record["metrics"]["test_accuracy"]
        n = size["dense_weights"]
        if config["method_kind"] != "narrower":
            assert size["stored_weights"] == int(n / config["compression"])
        assert size["true_compression"] == size["dense_total"] / size["stored_total"]
        assert record["provenance"]["versions"]["torch"]

    assert report([str(tmp_path / "results")]) == 0
    table = (tmp_path / "results" / "table.csv").read_text().splitlines()
    assert len(table) == 1 + num_runs
    plots = {path.name for path in (tmp_path / "results" / "plots").iterdir()}
    assert {"pareto-digits-resnet20-smoke.png", "pareto-digits-resnet20-smoke.svg"} <= plots


def test_a_recorded_run_is_skipped_with_a_line(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*TINY) == 0
    (path,) = (tmp_path / "results" / "records").rglob("*.json")
    before = path.read_bytes()
    capsys.readouterr()
    assert command(*TINY) == 0
    out = capsys.readouterr().out
    assert out.startswith("already recorded, skipped: digits-resnet20-stable_rps-10x-smoke-s0-")
    assert path.read_bytes() == before


@pytest.mark.parametrize("method", ["rand", "mag_trained"])
def test_layers_that_keep_no_weight_are_said_once(
    method: str, command: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also of a method that prunes after training; in a line of the run, not as Python warns."""
    words = (f"method={method}", "compression=200", "arch.width=2")
    options = ("method.level_fraction=0.9",) if method == "mag_trained" else ()
    assert command(*TINY, *words, *options) == 0
    (record,) = records_in(tmp_path / "results")
    collapsed = record["method_report"]["collapsed_layers"]
    densities = record["method_report"]["layer_densities"]
    assert collapsed == [name for name, density in densities.items() if density == 0]
    captured = capfd.readouterr()
    (line,) = [line for line in captured.out.splitlines() if "keep no weight" in line]
    named = f"{len(collapsed)} of {len(densities)} layers keep no weight: {collapsed[0]}"
    assert line.startswith(f"{record['run_id']}  {named}")
    assert "Warning" not in captured.err


def test_the_same_command_gives_the_same_record(command: Command, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert command(*TINY, f"results_dir={name}") == 0
    first, second = (records_in(tmp_path / name)[0] for name in ("a", "b"))
    assert first["metrics"] == second["metrics"]
    for epoch_1, epoch_2 in zip(first["history"], second["history"], strict=True):
        for timeless in ("epoch", "lr", "train_loss", "test_loss", "test_accuracy"):
            assert epoch_1[timeless] == epoch_2[timeless]


def test_pruning_at_compression_1_is_the_dense_run(command: Command, tmp_path: Path) -> None:
    assert command("-m", *TINY, "method=dense,mag,rand", "compression=1") == 0
    losses = [record["metrics"]["train_loss"] for record in records_in(tmp_path / "results")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(losses[2], rel=1e-5)


def test_divergence_is_an_outcome(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*TINY, "recipe.lr=1e30") == 0
    (record,) = records_in(tmp_path / "results")
    assert record["status"] == "diverged"
    assert "not finite" in record["reason"]
    assert record["reason"].endswith("usual cause: the learning rate, recipe.lr=1e+30")
    assert record["metrics"]["test_accuracy"] is None
    assert "diverged: " in capsys.readouterr().out
    assert command(*TINY, "recipe.lr=1e30") == 0
    assert "already recorded" in capsys.readouterr().out


def test_a_crash_is_recorded_and_the_others_go_on(
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rps_bench.methods.pruning.magnitude import Magnitude

    def crash(*arguments: object) -> None:
        raise RuntimeError("first line\nsecond line")

    with monkeypatch.context() as patch:
        patch.setattr(Magnitude, "scores", crash)
        assert command("-m", *TINY, "method=mag,rand") == 1
    captured = capsys.readouterr()
    assert "2 runs: 1 recorded, 1 failed" in captured.out
    assert "RuntimeError: first line" in captured.out
    assert "Traceback" in captured.err
    statuses = {r["config"]["method"]: r["status"] for r in records_in(tmp_path / "results")}
    assert statuses == {"mag": "failed", "rand": "completed"}
    # The same command tries the failed one again, and only that one.
    assert command("-m", *TINY, "method=mag,rand") == 0
    assert capsys.readouterr().out.count("already recorded") == 1
    assert {r["status"] for r in records_in(tmp_path / "results")} == {"completed"}


def test_a_validation_split_never_looks_at_the_test_images(
    command: Command, tmp_path: Path
) -> None:
    assert command(*TINY, "evaluation_split=validation") == 0
    (record,) = records_in(tmp_path / "results")
    assert record["metrics"]["test_accuracy"] is None
    assert record["metrics"]["validation_accuracy"] is not None
    assert record["config"]["dataset_options"]["num_train"] == 1437 - 144
    assert record["config"]["dataset_options"]["num_test"] == 144


def test_an_interrupt_leaves_no_record_and_says_how_to_go_on(
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rps_bench.training.loop import Trainer

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "train_epoch", interrupt)
    assert command("-m", *TINY, "method=mag,rand") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert records_in(tmp_path / "results") == []


def leave_after_one_epoch(command: Command, *words: str) -> None:
    """Begin a run and stop it in its second epoch."""
    from rps_bench.training.loop import Trainer

    original = Trainer.train_epoch

    def train_epoch(trainer: Trainer, epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        original(trainer, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", train_epoch)
        assert command(*words) == 130


@pytest.mark.parametrize("method", ["snip", "grasp", "rand"])
def test_a_run_goes_on_with_the_mask_it_trained_where_scores_round_otherwise(
    method: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's convolutions are enough to choose other weights."""
    words = (*TINY, f"method={method}")
    assert command(*words, "results_dir=whole") == 0
    leave_after_one_epoch(command, *words, "results_dir=stopped")
    pruning = METHODS[method]
    assert issubclass(pruning, PruningMethod)
    original = pruning.scores

    def elsewhere(self: Any, model: Any, probe: Any) -> Any:
        scores = original(self, model, probe)
        return scores.roll(7)

    monkeypatch.setattr(pruning, "scores", elsewhere)
    assert command(*words, "results_dir=stopped") == 0
    assert command(*words, "results_dir=elsewhere") == 0
    whole, stopped, other = (
        without_times(records_in(tmp_path / name)) for name in ("whole", "stopped", "elsewhere")
    )
    assert stopped == whole
    assert other != whole


def test_the_record_tells_no_paths(command: Command, tmp_path: Path) -> None:
    assert command(*TINY) == 0
    (record,) = records_in(tmp_path / "results")
    text = json.dumps(record)
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
