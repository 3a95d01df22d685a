"""The one exception that the command line shows as a single line instead of a traceback."""


class UserError(ValueError):
    """Input the user can mend: one line that names what is allowed, or how to get it."""
