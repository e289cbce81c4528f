"""Pictures that tests make: small files of many kinds, whose pixels are known."""

import numpy as np
from PIL import Image


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
