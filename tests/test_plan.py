"""The plan: what is new, begun, in progress, done or failed, and how long it may take."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from rps_bench import plan
from rps_bench.records import write_record
from rps_bench.runtime.locks import run_lock, take
from rps_bench.sweep.planning import plan_runs
from rps_bench.sweep.status import find_state
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
    assert "4 runs: 1 completed, 1 new, 1 in progress, 1 begun; 2 to do, 4 epochs, about" in text
    held.release()
    assert find_state(configs["rand", 2.0], {configs["rand", 2.0].run_id: False}) == "begun"


def test_a_failed_run_is_to_do_again(planned: Callable[..., str], tmp_path: Path) -> None:
    from rps_bench.records.build import record_failure

    for config in plan_runs(WORDS[1:], True).configs:
        record_failure(config, "it broke")
    text = planned(*WORDS)
    assert set(states(text).values()) == {"failed before"}
    assert "4 to do, 8 epochs, time unknown: no earlier records to estimate from" in text


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


NUM_DIGITS = 1437  # training images

LTR = ("-m", "method=ltr", "recipe=smoke", "recipe.epochs=2", "arch.width=2", "device=cpu")


def epochs_of(text: str) -> list[float]:
    """The epochs that each run of a plan trains."""
    rows = [line.split() for line in text.splitlines() if line.startswith("digits-")]
    return [float(row[2]) if row[1] == "new" else 0.0 for row in rows]


def count_levels(compression: float, fraction: float = 0.2) -> int:
    """Levels after the first, of n weights of width 2."""
    num_levels, kept, last = 0, NUM_WEIGHTS, math.floor(NUM_WEIGHTS / compression)
    while kept > last:
        kept -= math.ceil(fraction * kept)
        num_levels += 1
    return num_levels


NUM_WEIGHTS = 4_350


def test_levels_count_once(planned: Callable[..., str]) -> None:
    """Compressions 2 and 4 need levels of their own and share all others."""
    first, second = count_levels(2), count_levels(4)
    alone = [epochs_of(planned(*LTR, "method.rewind_steps=0", f"compression={c}")) for c in (2, 4)]
    assert alone == [[2.0 * (1 + first)], [2.0 * (1 + second)]]
    both = epochs_of(planned(*LTR, "method.rewind_steps=0", "compression=2,4"))
    assert both == [2.0 * (1 + first), 2.0 * (second - (first - 1))]
    text = planned(*LTR, "method.rewind_steps=0", "compression=4,2")
    assert epochs_of(text) == [2.0 * (1 + second), 2.0]  # its last level only
    assert f"2 to do, {2 * (2 + second)} epochs" in text


def test_levels_follow_fraction_and_rewinding(planned: Callable[..., str]) -> None:
    (config,) = plan_runs([*LTR[1:], "compression=4"], False).configs
    steps = config.recipe.steps_per_epoch(NUM_DIGITS)
    words = (*LTR, "method.level_fraction=0.5", "compression=4")
    assert epochs_of(planned(*words, "method.rewind_steps=0")) == [6.0]
    (epochs,) = epochs_of(planned(*words, "method.rewind_steps=1"))
    assert epochs == round(2 + 2 * (2 - 1 / steps), 1)


@pytest.mark.parametrize("engine", ["plain", "products", "native"])
def test_levels_on_disk_are_done(
    engine: str, planned: Callable[..., str], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan compiles no kernels to find them."""
    words = (*LTR, "method.level_fraction=0.5", "method.rewind_steps=0", f"engine={engine}")
    assert command(*words, "compression=2") == 0
    monkeypatch.delattr("rps_bench.engine.native._load")
    assert epochs_of(planned(*words, "compression=2,4")) == [0.0, 2.0]
    assert epochs_of(planned(*words, "compression=8", "seed=0,1")) == [4.0, 8.0]
    for path in Path("results/checkpoints").rglob("level-01-*.safetensors"):
        path.unlink()
    assert epochs_of(planned(*words, "compression=4")) == [4.0]


def test_rounding_trains_nothing(planned: Callable[..., str], command: Command) -> None:
    words = (*ALONE, "storage=int8,exact,fp16")
    assert epochs_of(planned("-m", *words)) == [2.0, 0.0, 0.0]
    assert command(*ALONE, "keep_model=true") == 0
    assert epochs_of(planned("-m", *words)) == [0.0, 0.0, 0.0]


def test_a_plan_refuses_what_cannot_be_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["compression=1e9"]) == 2
    assert "the largest for this network is 270896" in capsys.readouterr().err


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


def test_weights_are_listed_once_for_each_network_and_choice(planned: Callable[..., str]) -> None:
    words = ("-m", "method=mag,stable_rps", "compression=2,4", *WORDS[3:])
    text = planned("--weights", *words, "method.exclude=[classifier],null")
    assert text.count("resnet20 of 10 classes, width 2:") == 2
    assert text.count("dense, excluded: 1.76% in 1 tensor (classifier.weight 10 x 8)") == 1
    assert "mag (exclude=classifier) at 4x: 1,067 of 4,270 numbers, kept" in text
    assert "stable_rps at 2x: 2,175 of 4,350 numbers, shared by all" in text
    assert text.replace(planned(*words, "method.exclude=[classifier],null"), "") != text
    assert "shape" not in planned(*words)


def test_a_pattern_that_matches_nothing_is_said_by_the_plan(
    planned: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan.main([*ALONE, "method.include=stam"]) == 2
    line = capsys.readouterr().err
    assert "include pattern stam matches no parameter" in line
    assert "did you mean stem?" in line
