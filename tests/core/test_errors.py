"""Errors as one line, and what of them a record may keep."""

import errno
from pathlib import Path

import pytest

from rps_bench.core.errors import UserError, describe_failure, explain, one_line


def test_a_system_error_names_path_and_cause() -> None:
    assert explain(OSError(errno.ENOSPC, "No space left", "a/b")) == "a/b: No space left"
    assert explain(OSError(errno.EPIPE, "Broken pipe")) == "Broken pipe"
    assert explain(OSError("odd")) == "odd"
    assert explain(UserError("seed must be\nwhole")) == "seed must be whole"


def test_a_line_obeys_no_terminal() -> None:
    assert one_line("a\r\nb\tc") == "a  b c"
    assert one_line("\x1b[31m é ± \udcff\u202e\u2028") == "\\x1b[31m é ± \\udcff\\u202e\\u2028"


def test_a_record_keeps_no_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    full = OSError(errno.ENOSPC, "No space left", "/home/somebody/results/x")
    assert describe_failure(full) == "OSError: No space left"
    crash = RuntimeError("cannot read /home/somebody/data\nsecond line")
    assert describe_failure(crash) == "RuntimeError: cannot read ~/data"
    monkeypatch.setenv("HOME", "/")
    assert describe_failure(ValueError("1/2")) == "ValueError: 1/2"
