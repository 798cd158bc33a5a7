"""The one exception a user can cause: it reaches the terminal as a single line and exit code 2."""


class UserError(ValueError):
    """What went wrong and how to mend it, in one line that a user can act on."""


def first_line(e: BaseException, most: int = 300) -> str:
    """What a library's exception says, in a line of at most so many characters; its class where it says nothing."""
    return next((line.strip() for line in str(e).splitlines() if line.strip()), type(e).__name__)[:most]
