"""The user's W&B variables: what each of them does, and that none is ignored without a word."""

import json
from pathlib import Path
from typing import Any

import pytest

from rps_bench.core.errors import UserError
from rps_bench.tracking.weights_and_biases import environment
from rps_bench.tracking.weights_and_biases.environment import (
    find_not_taken,
    read_wishes,
    require_one_run,
    settle_environment,
)
from rps_bench.tracking.weights_and_biases.tracker import WandbTracker
from tests.tracking.conftest import WandbFolder, describe, epoch, make_record

SWEEP = {"WANDB_SWEEP_ID": "s", "WANDB_RUN_ID": "r", "WANDB_SWEEP_PARAM_PATH": "/p"}


def plan_of(tmp_path: Path, **options: Any) -> dict[str, Any]:
    return WandbTracker(**options).plan(describe(tmp_path))


@pytest.mark.parametrize(
    ("variable", "value", "key", "taken", "word", "by_word"),
    [
        ("WANDB_PROJECT", "theirs", "project", "theirs", "p", "p"),
        ("WANDB_ENTITY", "team", "entity", "team", "e", "e"),
        ("WANDB_RUN_GROUP", "theirs", "group", "theirs", "g", "g"),
        ("WANDB_DIR", "/there", "dir", "/there", "/here", "/here"),
        ("WANDB_TAGS", "a, b,", "tags", ["a", "b"], ["c"], ["c"]),
        ("WANDB_TAGS", "a", "tags", ["a"], [], []),
        ("WANDB_MODE", "offline", "mode", "offline", "online", "online"),
        ("WANDB_MODE", "dryrun", "mode", "offline", "online", "online"),
        ("WANDB_MODE", "run", "mode", "online", "offline", "offline"),
        ("WANDB_MODE", "disabled", "mode", "disabled", "online", "online"),
        ("WANDB_DISABLED", "true", "mode", "disabled", "online", "online"),
    ],
)
def test_a_variable_counts_unless_a_word_says_otherwise(
    variable: str, value: str, key: str, taken: object, word: Any, by_word: object,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    without = plan_of(tmp_path)[key]
    monkeypatch.setenv(variable, value)
    assert plan_of(tmp_path)[key] == taken
    assert plan_of(tmp_path, **{key: word})[key] == by_word
    monkeypatch.setenv(variable, " ")
    assert plan_of(tmp_path)[key] == without


@pytest.mark.parametrize(
    ("variable", "key"), [("WANDB_NAME", "name"), ("WANDB_JOB_TYPE", "job_type"),
                          ("WANDB_NOTES", "notes")],
)  # fmt: skip
def test_what_no_word_says(
    variable: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "theirs")
    assert plan_of(tmp_path)[key] == "theirs"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("WANDB_PROJECT", "a/b", "WANDB_PROJECT must have none of"),
        ("WANDB_RUN_GROUP", "x" * 121, "WANDB_RUN_GROUP must have at most 120 characters"),
        ("WANDB_NAME", "x" * 121, "WANDB_NAME must have at most 120 characters"),
        ("WANDB_TAGS", "x" * 65, "WANDB_TAGS must have at most 64 characters"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError) as caught:
        WandbTracker()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"WANDB_RUN_ID": "x", "WANDB_RESUME": "must"}, ["WANDB_RESUME", "WANDB_RUN_ID"]),
        ({"WANDB_MODE": "shared", "WANDB_CONSOLE": "wrap"}, ["WANDB_CONSOLE", "WANDB_MODE"]),
        ({"WANDB_PROGRAM": "x.py", "WANDB_FROM_THE_FUTURE": "1"},
         ["WANDB_FROM_THE_FUTURE", "WANDB_PROGRAM"]),
        ({"WANDB_SWEEP_PARAM_PATH": "/p"}, ["WANDB_SWEEP_PARAM_PATH"]),
        (SWEEP, []),
        ({"WANDB_API_KEY": "k", "WANDB_SILENT": "true", "WANDB_BASE_URL": "u", "WANDB_MODE": "run",
          "WANDB_CONFIG_DIR": "c", "WANDB_CACHE_DIR": "d", "WANDB_SERVICE": "s", "HOME": "h",
          "WANDB_RUN_ID": "", "WANDB_DISABLED": "false", "WANDB_TAGS": "a"}, []),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_named(variables: dict[str, str], names: list[str]) -> None:
    assert find_not_taken(variables) == names


def test_it_is_said_in_one_line_once_in_a_process_and_without_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    environment._tell_once.cache_clear()
    monkeypatch.setenv("WANDB_RUN_ID", "a-secret")
    for _ in range(2):
        with WandbTracker(mode="offline") as tracker:
            tracker.start(describe(tmp_path))
            tracker.finish(make_record(describe(tmp_path)))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("rps_bench: W&B: no effect of WANDB_RUN_ID: ")
    assert "secret" not in line


def test_a_run_of_a_sweep_has_the_agents_id_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    parameters = tmp_path / "config-r1.yaml"
    parameters.write_text("wandb_version: 1\ncompression: {value: 10}\nrecipe.lr: {value: 0.5}\n")
    for name, value in {
        "WANDB_SWEEP_ID": "sweep1", "WANDB_RUN_ID": "r1", "WANDB_DIR": str(tmp_path / "agent"),
        "WANDB_SWEEP_PARAM_PATH": str(parameters), "WANDB_PROJECT": "theirs",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    run = describe(tmp_path / "results")
    with WandbTracker(mode="offline") as tracker:
        tracker.start(run)
        tracker.log_epoch(0, epoch(1))
        tracker.finish(make_record(run))
    assert capfd.readouterr() == ("", "")
    folder = WandbFolder(tmp_path / "agent")
    (path,) = folder.runs("r1")
    (opened,) = folder.messages(path, "run")
    assert (opened["run_id"], opened["sweep_id"], opened["project"]) == ("r1", "sweep1", "theirs")
    assert folder.summary(path)["config"]["recipe.lr"] == 0.5
    assert [row["epoch"] for row in folder.history(path)] == [1]


def test_an_agents_command_is_one_run() -> None:
    require_one_run(["wandb"], SWEEP)
    require_one_run(["none", "none"], SWEEP)
    require_one_run(["wandb", "wandb"], {"WANDB_RUN_ID": "r"})
    with pytest.raises(UserError, match="starts one run a command, got 2"):
        require_one_run(["wandb", "none"], SWEEP)


def test_no_key_is_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while a run is under way nor after it."""
    key = "0123456789" * 4
    monkeypatch.setenv("WANDB_API_KEY", key)
    with WandbTracker(mode="offline") as tracker:
        tracker.start(describe(tmp_path))
        tracker.log_epoch(0, epoch(1))
        assert tracker._journal is not None
        assert key not in json.dumps(plan_of(tmp_path)) + tracker._journal.path.read_text()
        tracker.finish(make_record(describe(tmp_path)))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 2
    assert [path for path in files if key.encode() in path.read_bytes()] == []


def test_wandb_itself_sees_of_the_variables_only_who_the_user_is() -> None:
    variables = {
        "HOME": "/home/me", "WANDB_API_KEY": "key", "WANDB_BASE_URL": "url", "WANDB_RUN_ID": "x",
        "WANDB_MODE": "offline", "WANDB_SERVICE": "s", "WANDB_CACHE_DIR": "/mine",
    }  # fmt: skip
    settle_environment("/scratch", variables)
    assert variables == {
        "HOME": "/home/me", "WANDB_API_KEY": "key", "WANDB_BASE_URL": "url", "WANDB_SILENT": "true",
        "WANDB_CACHE_DIR": "/mine", "WANDB_DATA_DIR": "/scratch", "WANDB_ERROR_REPORTING": "false",
    }  # fmt: skip


def test_nothing_is_wished_without_variables() -> None:
    assert read_wishes({"HOME": "/home/me", "WANDB_TAGS": "", "WANDB_SWEEP_ID": ""}) == (
        environment.Wishes()
    )
