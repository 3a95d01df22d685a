"""When a sweep ends: what its finished runs took, what is left of each, how many at once."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rps_bench.config import RunConfig
from rps_bench.core.console import say
from rps_bench.methods import build_method
from rps_bench.sweep.forecast import Forecast, forecast
from rps_bench.sweep.planning import plan_runs
from rps_bench.sweep.preflight import find_layout
from rps_bench.sweep.workload import TrainingPlace, Workload
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.state import TrainingState
from tests.sweep.test_estimate import NUM_DIGITS, fake

SECONDS_OF_AN_EPOCH = {"mag": 10.0, "stable_rps": 30.0}
RECORDS: list[dict[str, Any]] = [
    fake(method, 2, 4 * seconds, 4) | {"status": "completed"}
    for method, seconds in SECONDS_OF_AN_EPOCH.items()
]


def plan(folder: Path, *words: str) -> list[RunConfig]:
    fixed = ("recipe=quick", "recipe.epochs=2", "device=cpu", "engine=plain", "precision=fp32")
    return plan_runs([*fixed, *words, f"results_dir={folder}"], True).configs


def assert_is(found: Forecast | None, seconds: float, num_unknown: int) -> None:
    assert found is not None
    assert found.num_unknown == num_unknown
    assert found.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("num_running", "seconds"),
    [(1, 20 + 60), (2, 60), (8, 60)],  # the longest one decides, however many are done at once
)
def test_methods_that_cost_more_weigh_more(
    num_running: int, seconds: float, tmp_path: Path
) -> None:
    left = plan(tmp_path, "method=mag,stable_rps", "compression=4")
    assert_is(forecast(left, num_running, RECORDS), seconds, 0)


def test_many_runs_are_shared_out(tmp_path: Path) -> None:
    left = plan(tmp_path, "method=mag", "compression=4", "seed=range(8)")
    assert_is(forecast(left, 4, RECORDS), 8 * 20 / 4, 0)


def test_runs_that_take_turns_share_a_process(tmp_path: Path) -> None:
    """Each of four took 40 s an epoch beside the others: 10 s of the process."""
    records = [fake("mag", 2, 160.0, 4, population=4) | {"status": "completed"}]
    left = plan(tmp_path, "method=mag", "compression=4", "seed=range(8)")
    assert_is(forecast(left, 4, records), 8 * 20, 0)


@pytest.mark.parametrize(
    ("num_running", "records"),
    [
        (1, []),
        (0, RECORDS),
        (1, [RECORDS[0] | {"status": "diverged"}]),
        (1, [fake("mag", 2, 0.0, 4) | {"status": "completed"}]),
        (1, [fake("mag", 2, 5.0, 0) | {"status": "completed"}]),
    ],
    ids=["no record", "nobody is at it", "diverged", "no seconds", "no epochs"],
)
def test_nothing_is_said_without_anything_to_go_by(
    num_running: int, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert forecast(plan(tmp_path, "method=mag"), num_running, records) is None


def test_nothing_is_left_to_estimate() -> None:
    assert forecast([], 2, RECORDS) is None


def test_runs_of_unknown_time_are_told_apart(tmp_path: Path) -> None:
    left = plan(tmp_path, "method=mag", "compression=4", "arch=resnet20,vgg11")
    assert_is(forecast(left, 1, RECORDS), 20, 1)


def keep_state(config: RunConfig, number: int, step: int) -> None:
    """Leave the state of a level as a training does that is cut off there."""
    method = build_method(config.method, config.compression, config.seed, **config.method_options)
    name = config.checkpoint_name(method.shares_trainings, "fp32", "plain", NUM_DIGITS)
    files = Checkpoints(config.files.results_dir, name, say)
    files.folder.mkdir(parents=True)
    files.keep_partial(
        method.levels(find_layout(config, method))[number], TrainingState(step, {}, {})
    )


def test_a_begun_run_counts_with_what_is_left(tmp_path: Path) -> None:
    (config,) = left = plan(tmp_path, "method=mag", "compression=4", "recipe.epochs=4")
    steps = config.recipe.steps_per_epoch(NUM_DIGITS)
    keep_state(config, 0, 3 * steps)
    assert_is(forecast(left, 1, RECORDS), 10, 0)
    assert Workload([]).find_place(config) == TrainingPlace(0, 0, 3.0, 4)


def test_a_begun_level_of_a_chain_counts_with_what_is_left(tmp_path: Path) -> None:
    words = ("method=ltr", "method.level_fraction=0.5", "recipe.epochs=4", "compression=4")
    (config,) = plan(tmp_path, *words, "method.rewind_steps=0")
    assert Workload([]).add(config) == 12.0  # three levels
    steps = config.recipe.steps_per_epoch(NUM_DIGITS)
    keep_state(config, 1, 3 * steps)
    assert Workload([]).add(config) == 9.0
    (rewound,) = plan(tmp_path, *words, f"method.rewind_steps={2 * steps}")
    keep_state(rewound, 1, 3 * steps)
    assert Workload([]).add(rewound) == 4 + 1 + 2


@pytest.mark.parametrize("content", [b"", b"noise" * 100])
def test_a_state_that_cannot_be_read_counts_as_none(content: bytes, tmp_path: Path) -> None:
    (config,) = plan(tmp_path, "method=mag", "compression=4")
    keep_state(config, 0, 1)
    (path,) = tmp_path.rglob("*.partial.safetensors")
    path.write_bytes(content)
    assert Workload([]).add(config) == 2.0


NOW = datetime(2026, 3, 5, 14, 0)


@pytest.mark.parametrize(
    ("seconds", "num_unknown", "line"),
    [
        (0.0, 0, "expected end about 14:00 (0 s)"),
        (5400.0, 0, "expected end about 15:30 (90 min)"),
        (5400.0, 3, "expected end about 15:30 (90 min, and 3 of unknown time)"),
        (86400.0, 0, "expected end about Fri 14:00 (24.0 h)"),
        (86400.0 * 20, 0, "expected end about 2026-03-25 (480.0 h)"),
    ],
)
def test_the_end_is_told_with_its_day(seconds: float, num_unknown: int, line: str) -> None:
    assert Forecast(seconds, num_unknown).describe(NOW) == line
