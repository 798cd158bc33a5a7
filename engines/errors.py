"""The one exception a user can cause: it reaches the terminal as a single line and exit code 2."""


class UserError(ValueError):
    """What went wrong and how to mend it, in one line that a user can act on."""
