"""How files become images: the size, the colours, the labels, the share held out."""

from __future__ import annotations

from dataclasses import dataclass, fields

from minivae.errors import UsageError

FITS = ("crop", "pad", "stretch")
COLOURS = ("grey", "colour")
FOLDERS = "folders"     # labels are the names of subfolders
MOST_SIDE = 4096        # pixels of an image's side


@dataclass(frozen=True)
class Reading:
    """How to read the files of a data set. What concerns pictures alone is left as it is here for other data.

    Attributes:
        size: (height, width) that all images get; () for one that the data suggest, see survey.suggested.
        fit: how a picture of another shape gets there: "crop" scales it until it covers the size and cuts off evenly what
            stands out, "pad" until it fits and fills up with black, "stretch" gives up its proportions.
        colour: "grey" or "colour"; "" for grey where all pictures are grey.
        labels_from: "folders" (the first level of subfolders that tells pictures apart), or the path of a CSV file.
        test_share: of the images that are held out to test with, where the data do not say which.
        split_seed: of their choice. It is not the training's seed: runs with other seeds have the same test images.
        skip_share: of the pictures, at most, that may be unreadable.

    Raises:
        UsageError: a value that cannot be.
    """

    size: tuple[int, ...] = ()
    fit: str = "crop"
    colour: str = ""
    labels_from: str = FOLDERS
    test_share: float = 0.1
    split_seed: int = 0
    skip_share: float = 0.01

    def __post_init__(self):
        if len(self.size) not in (0, 2) or not all(1 <= side <= MOST_SIDE for side in self.size):
            raise UsageError(f"--size is {','.join(map(str, self.size))}, but must be one side or height,width, each from 1 to "
                             f"{MOST_SIDE} pixels")
        if self.fit not in FITS:
            raise UsageError(f"--fit is {self.fit!r}, but must be one of {', '.join(FITS)}")
        if self.colour not in ("", *COLOURS):
            raise UsageError(f"colour is {self.colour!r}, but must be one of {', '.join(COLOURS)}")
        if not 0 <= self.test_share < 1:
            raise UsageError(f"--test-share is {self.test_share:g}, but must be 0 (none) or a share below 1, such as 0.1")
        if not 0 <= self.skip_share <= 1:
            raise UsageError(f"--skip-share is {self.skip_share:g}, but must be a share from 0 to 1, such as 0.01")
        if not 0 <= self.split_seed < 2**64:
            raise UsageError(f"--split-seed is {self.split_seed}, but must be from 0 to 2^64 - 1")


NAMES = tuple(field.name for field in fields(Reading))
OF_PICTURES = {"size": "--size", "fit": "--fit", "colour": "--grey or --colour", "labels_from": "--labels-from",
               "skip_share": "--skip-share"}        # what concerns pictures alone, and its options
OF_A_SPLIT = {"test_share": "--test-share", "split_seed": "--split-seed"}


def refuse(reading: Reading, options: dict[str, str], what: str) -> None:
    """Refuse a reading that asks for what such data cannot do.

    Args:
        options: field to option, those that do not apply; OF_PICTURES or OF_A_SPLIT.
        what: the data, and why, as in "digits has images of its own size".

    Raises:
        UsageError: one of them is not as it is where nothing is said.
    """
    for name, option in options.items():
        if getattr(reading, name) != getattr(Reading, name):
            raise UsageError(f"{option} does not go with this data: {what}; leave it out")
