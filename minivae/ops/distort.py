"""Images moved, mirrored and partly erased at random (kernels/distort.cu): no operation of the graph, only its input."""

from __future__ import annotations

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.reparameterize import Noise
from minivae.work import pixels

MOVES = 32          # added to a noise's stream for the draws of moves: they are independent of its codes and pixels


def distort(x, example, noise: Noise, *, image_shape: tuple[int, int, int], shift: int, mirror: bool = False,
            erase: int = 0):
    """Images moved by up to `shift` pixels each way, 0 where nothing was, perhaps mirrored and partly erased.

    Each of the (2 shift + 1)^2 moves is as probable as the others. They belong to (noise, example), are drawn in the kernel,
    and are the same on every device.

    Args:
        x: array (rows, height * width * channels).
        example: int32 array (rows,), each row's index in its data set.
        noise: which draw.
        image_shape: (height, width, channels).
        mirror: whether an image's left and right are exchanged in half of the draws.
        erase: the side of a square in pixels that is 0 then; its pixel number erase // 2 each way is any of an image's, so
            that less is erased near a border. 0 for none.

    Returns:
        An array like x.

    Raises:
        ValueError: a shift or a square below 0, or as large as the images; an x or examples of another shape.
    """
    height, width, channels = image_shape
    for done, pixels_asked in (("shifted by", shift), ("erased in squares of", erase)):
        if not 0 <= pixels_asked < min(height, width):
            raise ValueError(f"distort: images of {height} x {width} can be {done} 0 to {min(height, width) - 1} pixels, "
                             f"not {pixels_asked}")
    if x.ndim != 2 or x.shape[1] != height * width * channels or example.shape != x.shape[:1]:
        raise ValueError(f"distort: images of {height} x {width} x {channels} are (rows, {height * width * channels}) with examples "
                         f"(rows,), not {x.shape} with {example.shape}")
    y = device_of(x).empty(x.shape, x.dtype)
    launch("distort", pixels(len(x) * height * width, channels), x, example, y, len(x), height, width, channels, shift,
           int(mirror), erase, noise.seed, noise.step, noise.stream + MOVES)
    return y
