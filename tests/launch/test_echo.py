"""Lines of several processes: all are passed on, notices once."""

import os

import pytest

from rps_bench.launch.echo import Echo


def pass_on(echo: Echo, text: str, is_error: bool, process: int) -> None:
    reading, writing = os.pipe()
    os.write(writing, text.encode(errors="surrogateescape"))
    os.close(writing)
    echo.follow(reading, is_error, process).join()


def test_a_notice_is_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    echo = Echo()
    for process in (1, 2):
        pass_on(echo, f"no compiler\nrun {process}\n", False, process)
        pass_on(echo, "rps_bench: W&B: no effect of X\n", True, process)
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["no compiler", "run 1", "run 2"]
    assert shown.err.splitlines() == ["rps_bench: W&B: no effect of X"]


def test_what_a_process_repeats_and_errors_stay(capsys: pytest.CaptureFixture[str]) -> None:
    echo = Echo()
    pass_on(echo, "again\nagain\n", False, 1)
    for process in (1, 2):
        pass_on(echo, "Traceback:\n  File\n", True, process)
    shown = capsys.readouterr()
    assert shown.out == "again\nagain\n"
    assert shown.err == "Traceback:\n  File\n" * 2


def test_a_last_line_without_an_end_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    pass_on(Echo(), "killed ami", False, 1)
    assert capsys.readouterr().out == "killed ami"
