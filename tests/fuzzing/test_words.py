"""A few hundred command lines that nobody would write: one line, or the work would begin.

`scripts/fuzz.py` asks thousands.
"""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzzing import words
from tests.fuzzing.doors import DOORS, Fault, ask_plan, ask_run

CHEAPLY = settings(
    deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), max_examples=50
)


@CHEAPLY
@given(line=words.RUN_LINES)
def test_no_word_breaks_a_run(line: Sequence[str]) -> None:
    ask_run(line)


@pytest.mark.parametrize("door", ["export", "inference", "studies", "reports"])
def test_no_word_breaks_a_door(door: str) -> None:
    lines = {
        "export": words.EXPORT_LINES,
        "inference": words.INFERENCE_LINES,
        "studies": words.STUDY_LINES,
        "reports": words.REPORT_LINES,
    }[door]

    def ask(line: Sequence[str]) -> None:
        DOORS[f"rps_bench.{door}"](line)

    CHEAPLY(given(lines)(ask))()


REFUSED = {
    "a list too long": ["-m", "seed=range(0,1000000000)"],
    "a list too long to shuffle": ["-m", "seed=shuffle(range(1000000000))"],
    "lists that are too long together": ["-m", "seed=range(1000)", "recipe.lr=range(1,2,0.001)"],
    "an endless list": ["-m", "seed=range(0,1,0)"],
    "an empty list": ["-m", "seed=range(0,0)"],
    "a list of sweeps": [
        "hydra.mode=MULTIRUN",
        "hydra.sweeper.params={seed: 'range(0,1000000000)'}",
    ],
    "brackets without end": ["seed=" + "[" * 3000],
    "more digits than Python reads": ["seed=" + "9" * 5000],
    "a value that needs itself": ["seed=${seed}"],
    "two values that need each other": ["seed=${compression}", "compression=${seed}"],
    "a secret that is none": ["seed=${oc.env:HOME}"],
    "a line break": ["seed='a\nb'"],
    "an escape": ["device='\x1b[31m'"],
    "half a character": ["results_dir=\udcff"],
    "a way out": ["arch.name=../../x"],
    "keys that are no text": ["+method={1:2,true:3}"],
    "threads without end": ["threads=1000000000000"],
    "slots without end": ["gpus=[0]", "runs_per_gpu=1000000000"],
    "another config": ["--config-dir", "x"],
    "an earlier pickle": ["--experimental-rerun", "config.pickle"],
    "an earlier pickle and help": ["--help", "--experimental-rerun", "config.pickle"],
    "information on a bad value": ["--cfg", "job", "dataset=foo"],
    "half a flag": ["--resolve"],
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused(what: str) -> None:
    assert ask_run(REFUSED[what]) == "refused"


def test_a_plan_is_asked_for_help() -> None:
    assert ask_plan(["--help"]) == "informed"
    assert ask_plan(["-m", "seed=range(0,1000000000)"]) == "refused"


def test_information_comes_with_words() -> None:
    assert ask_run(["seed=1", "--info", "defaults"]) == "informed"
    assert ask_run(["--cfg", "job", "seed=1"]) == "informed"


def test_the_harness_sees_a_write_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of this file would be worth nothing if a fault were not heard."""

    def write(*_: object) -> None:
        with open("elsewhere", "w") as file:
            file.write("x")

    monkeypatch.setattr("rps_bench.launch.whole.require_writable", write)
    with pytest.raises(Fault, match="elsewhere"):
        ask_run(["seed=0"])


def test_the_harness_sees_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rps_bench.launch.whole.require_writable", crash)
    with pytest.raises(Fault, match="ZeroDivisionError"):
        ask_run(["seed=0"])
