"""The errors that minivae raises on purpose; the command line prints their text and no trace."""


class MinivaeError(Exception):
    """Something the user can mend; its text is one line that names the fix.

    `exit_code` is what the command line exits with; `everywhere` says that of several processes that work together all have
    this error, or will soon.
    """

    exit_code, everywhere = 1, False

    def __init__(self, message: str) -> None:
        # A file name may hold a line break; the promise of one line must hold all the same.
        super().__init__(" ".join(str(message).splitlines()))


class UsageError(MinivaeError, ValueError):
    """A wrong argument: an unknown data set, a bad size, a folder that is not there, an array of the wrong shape."""

    exit_code = 2


class MinivaeWarning(UserWarning):
    """Something went wrong that work goes on in spite of; the command line prints its text, one line."""
