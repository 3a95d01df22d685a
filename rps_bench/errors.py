"""Errors as the command line shows them and records name them: in a single line."""

import os

from rps_bench.permissions import explain_denial


class UserError(ValueError):
    """Input the user can mend: one line that names what is allowed, or how to get it."""


class ExplainedError(RuntimeError):
    """A run that failed of a known cause: one line that says what helps."""


class InapplicableError(UserError):
    """A combination that makes no sense: an error alone, skipped with a line in a sweep."""


class CompressionWarning(UserWarning):
    """What a user should know of a network that was compressed, in one line."""


def explain(error: UserError | OSError) -> str:
    """An error as one line; of the system's errors the path and the cause, and whose file it is."""
    if not isinstance(error, OSError) or error.strerror is None:
        return one_line(str(error))
    place = "" if error.filename is None else f"{error.filename}: "
    denial = explain_denial(error.filename) if isinstance(error, PermissionError) and place else ""
    return one_line(f"{place}{error.strerror}{denial and f' ({denial})'}")


def status_of(error: UserError | OSError) -> int:
    """The exit status of a command that ends so: 1 where the disk took no more, 2 for bad input."""
    return 1 if isinstance(error, OSError) else 2


def describe_failure(error: Exception) -> str:
    """Why a run failed, as the line that a record keeps.

    It names the error's kind unless that explains itself, and no path of the user's own folders.
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    kind = "" if isinstance(error, ExplainedError) else f"{type(error).__name__}: "
    line = f"{kind}{text}".splitlines()[0]
    home = os.path.expanduser("~")
    return one_line(line.replace(home, "~") if len(home) > 1 else line)


def one_line(text: str) -> str:
    """The text on one line, with escapes for what a terminal would obey or could not show."""
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return " " if character in "\n\r\t" else repr(character)[1:-1]
