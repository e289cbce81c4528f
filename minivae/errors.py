"""The errors that minivae raises on purpose; the command line prints their text and no trace."""

import re

MOST = 2000         # characters of a text
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")     # by which a file's content could steer the terminal


class MinivaeError(Exception):
    """Something the user can mend; its text is one line that names the fix.

    `exit_code` is what the command line exits with; `everywhere` says that of several processes that work together all have
    this error, or will soon.
    """

    exit_code, everywhere = 1, False

    def __init__(self, message: str) -> None:
        # What is named may hold line breaks, a terminal's commands, a megabyte; the promise of one line holds all the same.
        text = UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], " ".join(str(message).splitlines()))
        super().__init__(text if len(text) <= MOST else f"{text[:MOST // 2]} ... {text[-MOST // 2:]}")


class UsageError(MinivaeError, ValueError):
    """A wrong argument: an unknown data set, a bad size, a folder that is not there, an array of the wrong shape."""

    exit_code = 2


class MinivaeWarning(UserWarning):
    """Something went wrong that work goes on in spite of; the command line prints its text, one line."""
