"""Errors as the command line shows them and records name them: in a single line."""


class UserError(ValueError):
    """Input the user can mend: one line that names what is allowed, or how to get it."""


class ExplainedError(RuntimeError):
    """A run that failed of a known cause: one line that says what helps."""


class InapplicableError(UserError):
    """A combination that makes no sense: an error alone, skipped with a line in a sweep."""


def describe_failure(error: Exception) -> str:
    """Why a run failed, in one line: with the error's kind unless it explains itself."""
    text = str(error) if isinstance(error, ExplainedError) else f"{type(error).__name__}: {error}"
    return text.splitlines()[0]
