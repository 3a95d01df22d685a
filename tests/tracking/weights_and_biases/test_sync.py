"""What is sent, what waits, and what is said when nothing can be sent."""

from pathlib import Path

import pytest

from rps_bench.tracking.__main__ import main
from rps_bench.tracking.weights_and_biases import session, sync
from rps_bench.tracking.weights_and_biases.sync import find_unsent, sync_runs
from tests.tracking.conftest import Cli


def make_run(folder: Path, name: str, *files: str) -> Path:
    run = folder / "wandb" / name
    run.mkdir(parents=True)
    for file in files or (f"run-{name}.wandb",):
        (run / file).write_text("")
    return run


def test_offline_runs_that_are_whole_and_not_sent(tmp_path: Path) -> None:
    late = make_run(tmp_path, "offline-run-20261120_120000-a")
    early = make_run(tmp_path, "offline-run-20261119_120000-b")
    make_run(tmp_path, "offline-run-20261118_120000-c", "run-c.wandb", "run-c.wandb.synced")
    make_run(tmp_path, "offline-run-20261117_120000-d", "no-log")
    make_run(tmp_path, "run-20261116_120000-e")
    still_open = make_run(tmp_path, "offline-run-20261115_120000-f")
    folder = tmp_path / "wandb"
    with session.hold_open(still_open):
        assert find_unsent(folder) == ([early, late], 1)
    assert find_unsent(folder) == ([still_open, early, late], 0)


def test_a_command_that_moved_is_named_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "results", "--group", "mine"]) == 2
    line = "rps_bench: error: report is now: python -m rps_bench.reports.dashboard report\n"
    assert capsys.readouterr() == ("", line)


def test_nothing_to_send(tmp_path: Path, cli: Cli) -> None:
    done = cli("sync", "results")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "nothing to send under results/wandb\n"
    assert list(tmp_path.iterdir()) == []


def test_without_a_login_one_line_says_what_to_do(tmp_path: Path, cli: Cli) -> None:
    make_run(tmp_path / "results", "offline-run-20261120_120000-a")
    done = cli("sync", "results")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("rps_bench: error: not logged in to W&B, so nothing was sent")
    assert "wandb login" in line


def test_a_key_that_is_none_is_one_line(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    make_run(tmp_path / "results", "offline-run-20261120_120000-a")
    done = cli("sync", "results")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("rps_bench: error: W&B login: ")


def test_all_runs_go_to_wandb_in_order_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stand-in for `wandb sync` that marks what it sent as wandb does, but for one run."""
    runs = [make_run(tmp_path, f"offline-run-2026111{day}_120000-a") for day in range(5)]
    calls: list[list[str]] = []

    def send(command: list[str], env: dict[str, str], check: bool) -> None:
        assert command[2:6] == ["-m", "wandb", "sync", "--yes"]
        assert "WANDB_SILENT" not in env
        calls.append([Path(path).name for path in command[6:]])
        for path in map(Path, command[6:]):
            if path != runs[3]:
                (path / "run-a.wandb.synced").touch()

    monkeypatch.setattr("subprocess.run", send)
    monkeypatch.setattr(sync, "require_login", lambda: None)
    monkeypatch.setattr(sync, "settle_environment", lambda scratch, environment: None)
    monkeypatch.setattr(sync, "RUNS_PER_CALL", 2)
    assert sync_runs(tmp_path) == 1
    names = [run.name for run in runs]
    assert calls == [names[:2], names[2:4], names[4:]]
    assert capsys.readouterr().out == f"sent 4 of 5 runs under {tmp_path / 'wandb'}\n"
    calls.clear()
    with session.hold_open(runs[3]):
        assert sync_runs(tmp_path) == 0
    assert calls == []
    assert "left for later, still being written: 1" in capsys.readouterr().out
