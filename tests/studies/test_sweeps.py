from pathlib import Path

import pytest

from rps_bench.core.errors import UserError
from rps_bench.studies.sweeps import train

SMALL = ("dataset=digits", "recipe=smoke", "arch.width=2", "recipe.epochs=1")
TWO = ("method=stable_rps", "method.scaling=gram", "method.init_std=0.1,1")


@pytest.mark.slow
def test_only_the_runs_that_were_asked_for_and_each_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = train("study_init_std", tmp_path, [*SMALL, *TWO])
    assert sorted(runs["method.init_std"]) == [0.1, 1.0]
    assert set(runs["recipe.epochs"]) == {1}
    assert runs["accuracy"].between(0, 100).all()
    assert not runs["has_diverged"].any()
    assert capfd.readouterr().out.count("completed: ") == 2

    again = train("study_init_std", tmp_path, [*SMALL, *TWO[:2], "method.init_std=1"])
    assert again["run_id"].tolist() == runs.loc[runs["method.init_std"] == 1, "run_id"].tolist()
    output = capfd.readouterr().out
    assert output.count("already recorded") == 1
    assert "completed: " not in output


@pytest.mark.parametrize(
    ("experiment", "word", "message"),
    [
        ("study_init_std", "recipe.epoch=1", "unknown key recipe.epoch"),
        ("study", "seed=0", "experiment must be one of .*, got study"),
        (
            "study_init_std",
            "method.init_std=-1",
            r"experiment study_init_std: 0 of 6 runs have a result in .* \(exit status 2, reasons",
        ),
    ],
)
def test_what_cannot_be_trained_ends_in_one_line(
    experiment: str, word: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as stop:
        train(experiment, tmp_path, [*SMALL, word])
    assert "\n" not in str(stop.value)
