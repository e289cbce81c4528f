"""Pictures that tests make: small files of many kinds, whose pixels are known."""

import numpy as np
import pytest
from PIL import Image

from minivae import data


def smooth(rng, height=12, width=12, channels=3):
    """Pixels that even a JPEG keeps nearly as they are: uint8 (height, width, channels)."""
    small = Image.fromarray(rng.integers(0, 256, (2, 2, 3), np.uint8)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(small if channels == 3 else small.convert("L")).reshape(height, width, channels)


def folder_of(path, rng, classes=("cat", "dog"), each=6, size=(12, 12), channels=3, suffix=".png"):
    """A folder with a subfolder for each class and so many pictures in it; its path."""
    for name in classes:
        (path / name).mkdir(parents=True)
        for i in range(each):
            pixels = smooth(rng, *size, channels)
            Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(path / name / f"{i}{suffix}")
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """The cache of one test alone."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MINIVAE_CACHE", str(folder))
    return folder / "images"


def load(path, say=None, **reading):
    """The data set at a path; what is said of it goes to the end of the list `say`."""
    said = [] if say is None else say
    return data.load(str(path), data.Reading(**reading), said.append)


def save(path, pixels):
    """Write a picture, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path)
