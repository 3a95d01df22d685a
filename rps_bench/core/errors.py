"""Errors, each shown by the command line and kept by records as a single line."""

import os

from rps_bench.core.permissions import explain_denial


class UserError(ValueError):
    """Wrong input: one line that names what is allowed, or how to get it."""


class ExplainedError(RuntimeError):
    """A run that failed for a known cause: one line that says what helps."""


class InapplicableError(UserError):
    """A combination that makes no sense: an error for a single run, skipped in a sweep."""


class CompressionWarning(UserWarning):
    """What a user should know about a network that was compressed, in one line."""


def explain(error: UserError | OSError) -> str:
    """An error as one line; an OSError with its path and cause, and the file's owner if denied."""
    if not isinstance(error, OSError) or error.strerror is None:
        return one_line(str(error))
    place = "" if error.filename is None else f"{error.filename}: "
    denial = explain_denial(error.filename) if isinstance(error, PermissionError) and place else ""
    return one_line(f"{place}{error.strerror}{denial and f' ({denial})'}")


def status_of(error: UserError | OSError) -> int:
    """The exit status of a command that ends with an error: 1 for the system's, 2 for bad input."""
    return 1 if isinstance(error, OSError) else 2


def describe_failure(error: Exception) -> str:
    """Why a run failed, as the line that a record keeps.

    It names the type of the error unless that is an ExplainedError, and writes the home folder as
    ~.
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    kind = "" if isinstance(error, ExplainedError) else f"{type(error).__name__}: "
    line = f"{kind}{text}".splitlines()[0]
    home = os.path.expanduser("~")
    return one_line(line.replace(home, "~") if len(home) > 1 else line)


def one_line(text: str) -> str:
    """The text on one line, with escapes for control and other unprintable characters."""
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return " " if character in "\n\r\t" else repr(character)[1:-1]
