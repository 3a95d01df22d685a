"""Exceptions that the command line shows as a single line instead of a traceback."""


class UserError(ValueError):
    """Input the user can mend: one line that names what is allowed, or how to get it."""


class InapplicableError(UserError):
    """A combination that makes no sense: an error alone, skipped with a line in a sweep."""
