"""Exceptions that the command line shows as a single line instead of a traceback, and that line."""

import os


class UserError(ValueError):
    """Input the user can mend: one line that names what is allowed, or how to get it."""


class InapplicableError(UserError):
    """A combination that makes no sense: an error alone, skipped with a line in a sweep."""


def explain(error: UserError | OSError) -> str:
    """An error as one line; of the system's errors the path and the cause."""
    if not isinstance(error, OSError) or error.strerror is None:
        return one_line(str(error))
    place = "" if error.filename is None else f"{error.filename}: "
    return one_line(f"{place}{error.strerror}")


def describe_crash(error: Exception) -> str:
    """An exception as the line that a record keeps: it tells no path of the user's own folders."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = f"{type(error).__name__}: {text}".splitlines()[0]
    home = os.path.expanduser("~")
    return one_line(line.replace(home, "~") if len(home) > 1 else line)


def one_line(text: str) -> str:
    """The text on one line, with escapes for what a terminal would obey or could not show."""
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return " " if character in "\n\r\t" else repr(character)[1:-1]
