"""The plan: what is new, begun, in progress, done or failed, and how long it may take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rps_bench import plan
from rps_bench.locks import run_lock, take
from rps_bench.plan import estimate_seconds, find_state, format_seconds
from rps_bench.records import write_record
from rps_bench.sweep import plan_runs
from tests.conftest import Command

WORDS = ("-m", "method=mag,rand", "compression=2,4", "recipe=smoke", "arch.width=2", "device=cpu")

ALONE = ("method=mag", "compression=2", *WORDS[3:])


@pytest.fixture
def planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> str:
        capsys.readouterr()
        assert plan.main(words) == 0
        return capsys.readouterr().out

    return call


def states(text: str) -> dict[str, str]:
    """Method and compression -> state."""
    found = {}
    for line in text.splitlines():
        if line.startswith("digits-"):
            _, _, method, compression, *_ = line.split("-")
            found[f"{method} {compression}"] = line.split("  ")[1].strip()
    return found


def test_states_follow_what_happens(
    planned: Callable[..., str], command: Command, tmp_path: Path
) -> None:
    assert set(states(planned(*WORDS)).values()) == {"new"}
    assert not (tmp_path / "results").exists()  # a plan writes nothing
    assert command(*ALONE) == 0
    folder = tmp_path / "results" / "checkpoints" / "some"
    folder.mkdir(parents=True)
    configs = {(c.method, c.compression): c for c in plan_runs(WORDS[1:], True).configs}
    held = run_lock(folder, configs["rand", 2.0].run_id)
    take(held, "it")
    (folder / f"run-{configs['rand', 4.0].run_id}.lock").touch()
    text = planned(*WORDS)
    assert states(text) == {
        "mag 2x": "completed",
        "mag 4x": "new",
        "rand 2x": "in progress",
        "rand 4x": "begun",
    }
    assert "4 runs: 1 completed, 1 new, 1 in progress, 1 begun; 2 to do, about" in text
    held.release()
    assert find_state(configs["rand", 2.0], {configs["rand", 2.0].run_id: False}) == "begun"


def test_a_failed_run_is_to_do_again(planned: Callable[..., str], tmp_path: Path) -> None:
    from rps_bench.run import record_failure

    for config in plan_runs(WORDS[1:], True).configs:
        record_failure(config, "it broke")
    text = planned(*WORDS)
    assert set(states(text).values()) == {"failed before"}
    assert "4 to do, time unknown: no earlier records to estimate from" in text


def test_a_recorded_run_whose_file_is_wanted_is_to_do(
    planned: Callable[..., str], command: Command
) -> None:
    assert command(*ALONE) == 0
    assert set(states(planned(*ALONE)).values()) == {"completed"}
    text = planned(*ALONE, "keep_model=true")
    assert set(states(text).values()) == {"without its file"}
    assert "1 to do" in text
    assert command(*ALONE, "keep_model=true") == 0
    assert set(states(planned(*ALONE, "keep_model=true")).values()) == {"completed"}


def fake(method: str, compression: float, seconds: float, epochs: int, **cost: Any) -> Any:
    return {
        "config": {
            "dataset": "digits",
            "arch": "resnet20",
            "method": method,
            "compression": compression,
            "recipe_options": {"epochs": epochs},
        },
        "cost": {"train_seconds": seconds, **cost},
    }


def test_the_estimate_takes_the_likest_runs() -> None:
    (config,) = plan_runs(["method=mag", "compression=4", "recipe=smoke"], False).configs
    assert config.recipe.epochs == 2
    records = [fake("snip", 4, 300.0, 3)]
    assert estimate_seconds(config, records) == 200.0  # 100 s an epoch
    records += [fake("mag", 8, 30.0, 3), fake("mag", 16, 60.0, 3), fake("mag", 32, 90.0, 3)]
    assert estimate_seconds(config, records) == 40.0  # the median of its own method
    records += [fake("mag", 4, 7.0, 1)]
    assert estimate_seconds(config, records) == 14.0
    assert estimate_seconds(config, []) is None
    elsewhere = fake("mag", 4, 7.0, 1)
    elsewhere["config"]["arch"] = "vgg11"
    assert estimate_seconds(config, [elsewhere]) is None


def test_a_chain_is_estimated_whole() -> None:
    (config,) = plan_runs(["method=ltr", "compression=10", "recipe=smoke"], False).configs
    records = [fake("ltr", 10, 10.0, 2, total_train_seconds=120.0)]
    assert estimate_seconds(config, records) == 120.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (0.4, "0 s"), (119.0, "119 s"), (600.0, "10 min"), (36_000.0, "10.0 h")],
)
def test_times_read_well(seconds: float | None, text: str) -> None:
    assert format_seconds(seconds) == text


def test_bad_words_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["method=foo"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("rps_bench: error: method must be one of")
    assert err.count("\n") == 1


def test_estimates_ignore_runs_that_did_not_complete(
    planned: Callable[..., str], command: Command, tmp_path: Path
) -> None:
    assert command(*ALONE) == 0
    (path,) = (tmp_path / "results" / "records").rglob("*.json")
    import json

    record = json.loads(path.read_text())
    record |= {"status": "diverged", "reason": "loss"}
    write_record(tmp_path / "results", record)
    assert "time unknown" in planned(*WORDS)
