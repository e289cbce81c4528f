"""Data parallel training: the same result on any number of processes.

In float64 all that is left of the difference is rounding, 1e-12 of a cost. In float32 rounding is amplified by every step,
and after ten of them the costs of one process in float32 differ from its own in float64 as they differ from those of
three: so the first steps are compared, 1e-5 of the cost at most (1e-7 was found).
"""

import pytest
from mpi_program import needs_mpi, scaled

pytestmark = needs_mpi

# 100 images in batches of 25, 7 of them left out of no epoch: over 2, 3 and 4 processes none of it is even.
SMALL = {"hidden": [16], "code": 6, "epochs": 2, "batch_size": 25}
MODELS = {
    "ff": {**SMALL, "hidden": [16, 12], "ema": 0.9, "rescale": 1.0},
    "conv": {**SMALL, "arch": "conv", "channels": [3, 4], "likelihood": "gaussian"},
    "free bits": {**SMALL, "free_bits": 0.3, "beta": 0.5},
    "importance-weighted": {**SMALL, "samples": 3, "likelihood": "bernoulli", "binarize": True},
    "few labels": {**SMALL, "labels": 10, "free_bits": 0.2, "consistency": 30.0, "shift": 2, "mirror": True,
                   "erase": 5},
    "m2": {**SMALL, "labels": 20, "semi": "m2", "free_bits": 0.3},
}
CLOSE = 1e-9


def _numbers(found: dict) -> list[float]:
    """All costs and statistics that a training gave, in one list."""
    epochs = [number for epoch in found["epochs"] for number in (epoch["train_cost"], *epoch["test"][:3])]
    return [*epochs, *found["score"][:3], *found["moments"], found["parameters"], *found.get("nll", ())]


def _require_same(one: dict, other: dict) -> None:
    assert other["passes"] == one["passes"] and other["score"][3] == one["score"][3]
    assert _numbers(other) == pytest.approx(_numbers(one), rel=CLOSE)


@pytest.mark.parametrize(("model", "size"), [("ff", 3), ("conv", 2), ("free bits", 3), ("importance-weighted", 2),
                                             ("few labels", 3), ("m2", 2)])
def test_the_same_in_float64(tmp_path, model, size):
    """The costs of every epoch, the statistics over all images and the score at the end; the processes among each other have
    the very same numbers."""
    one, other = (scaled(n, tmp_path, MODELS[model], dtype="float64") for n in (1, size))
    assert (one["size"], other["size"]) == (1, size)
    _require_same(one, other)


def test_four_processes_and_the_likelihood(tmp_path):
    """More processes than test images divide into; the importance-sampled likelihood of each image, too."""
    one, four = (scaled(n, tmp_path, MODELS["ff"], dtype="float64", tests=5, samples=20) for n in (1, 4))
    _require_same(one, four)
    assert len(four["nll"]) == 5


def test_the_same_first_steps_in_float32(tmp_path):
    one, three = (scaled(n, tmp_path, SMALL, steps=3)["costs"] for n in (1, 3))
    assert three == pytest.approx(one, rel=1e-5)


def test_local_batch_norm_is_another_training(tmp_path):
    """It is asked for, trains, and gives other costs, since each process normalizes by its own rows; on one process it
    changes nothing."""
    one, local, alone = (scaled(n, tmp_path, {**SMALL, "local_bn": on}, dtype="float64")
                         for n, on in ((2, False), (2, True), (1, True)))
    _require_same(one, alone)
    costs = [[epoch["train_cost"] for epoch in found["epochs"]] for found in (one, local)]
    assert costs[1][1] < costs[1][0] and all(abs(a / b - 1) > 1e-6 for a, b in zip(*costs, strict=True))


def test_nccl_on_the_stand_in(tmp_path):
    """The same training on two GPUs, over the stand-in: sums queued between the kernels, counts, types, buffers in place."""
    settings = {"hidden": [8], "code": 3, "epochs": 1, "batch_size": 9}
    asked = {"count": 18, "tests": 5, "dtype": "float64"}
    one, two = (scaled(n, tmp_path, settings, gpu=True, **asked) for n in (1, 2))
    _require_same(one, two)
    assert two["words"].endswith("on one machine, sums through NCCL")
