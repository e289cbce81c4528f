"""Images that stay on the host: their batches are those of images on the device, bit for bit."""

import numpy as np
import pytest
from data_sets import some_digits

from minivae import data
from minivae.ops import host_batch
from minivae.ops.batch import DeviceImages
from minivae.ops.host_batch import HostImages, placed
from minivae.ops.reparameterize import Noise
from minivae.runs import Settings
from minivae.training import batches
from minivae.training.trainer import Trainer


def equal(device, one, two):
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(device.to_host(a), device.to_host(b))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("binarize", [False, True])
def test_the_same_batches(device, rng, dtype, kind, binarize):
    """In the plain order and in epochs of their own, in sequence and out of it, of the whole and of parts, into a place."""
    images = rng.integers(0, 256, (23, 3, 5, 1), np.uint8)
    images = images if kind == np.uint8 else images.astype(kind) / kind(255)
    sets = [make(images, device, dtype, binarize=binarize, first=100) for make in (DeviceImages, HostImages)]
    for start, size, epoch in ((0, 5, 0), (5, 5, 0), (10, 5, 0), (0, 5, 1), (15, 8, 1), (3, 4, None), (7, 4, None), (0, 23, 2), (0, 0, 2)):
        equal(device, *(held.batch(start, size, Noise(3, 7), seed=2**63 + 1, epoch=epoch) for held in sets))
    parts = [held.part(4, 19).part(1, 12) for held in sets]
    for start, epoch in ((0, 0), (4, 0), (0, 1), (8, None)):
        equal(device, *(part.batch(start, 3, Noise(3, 7), seed=9, epoch=epoch) for part in parts))
    places = [(device.zeros((8, 15), dtype), device.zeros((8,), np.int32)) for _ in sets]
    for held, (x, example) in zip(sets, places, strict=True):
        held.batch(2, 4, Noise(1, 2), seed=5, epoch=3, into=(x[4:], example[4:]))
    equal(device, *places)
    with pytest.raises(ValueError, match="of a set of 23"):
        sets[1].batch(20, 4)


def test_a_chosen_order(device, rng):
    """The set is those images in that order, as if they had been copied so."""
    images, order = rng.integers(0, 256, (9, 2, 2, 1), np.uint8), np.array([3, 3, 8, 0])
    one, two = DeviceImages(images[order], device), HostImages(images, device, order=order)
    assert two.count == 4
    for epoch in (0, None):
        equal(device, one.batch(0, 4, seed=1, epoch=epoch), two.batch(0, 4, seed=1, epoch=epoch))


def test_where_images_go(device, rng, monkeypatch, tmp_path):
    """On the device where there is room; a read-only map is read by a CPU where it lies, without a copy; else on the host."""
    images = rng.integers(0, 256, (64, 4, 4, 1), np.uint8)
    np.save(tmp_path / "x.npy", images)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r").view(np.ndarray)
    assert type(placed(images, device)) is DeviceImages
    monkeypatch.setattr(host_batch, "has_room", lambda device, nbytes: False)
    assert type(placed(images, device)) is HostImages
    held = placed(mapped, device)
    assert type(held) is (HostImages if device.cuda else DeviceImages)
    assert device.cuda or np.shares_memory(held._images, mapped)
    assert type(placed(mapped[1:, :, :, :].reshape(-1, 2, 2, 1)[1:], device)) is HostImages     # begins at no multiple of 16
    assert type(placed(mapped, device, order=np.arange(5))) is HostImages
    equal(device, placed(mapped, device).batch(3, 9, seed=1, epoch=0), placed(images, device).batch(3, 9, seed=1, epoch=0))


def test_how_much_room_there_is(device):
    assert host_batch.has_room(device, 1 << 20) and not host_batch.has_room(device, 1 << 60)


@pytest.mark.parametrize("labels", [None, 20])
def test_a_training_is_the_same_bit_for_bit(cpu, monkeypatch, labels):
    """All parameters after two epochs, wherever the images lie; the test score, too."""
    dataset, found = some_digits(60, 20), []
    settings = Settings(hidden=(16,), code=4, epochs=2, batch_size=20, labels=labels)
    for room in (True, False):
        monkeypatch.setattr(host_batch, "has_room", lambda device, nbytes, room=room: room)
        trainer = Trainer(settings, dataset, cpu)
        assert type(trainer.train_images) is (DeviceImages if room else HostImages)
        for number in range(trainer.steps):
            trainer.step(number)
        score, _ = trainer.finish()
        found.append((cpu.to_host(trainer.flat.values), score))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_a_mixture_of_mapped_images(device, rng, tmp_path, monkeypatch):
    """Labelled and unlabelled batches out of a map that is never copied as a whole."""
    images, labels = rng.integers(0, 256, (60, 2, 2, 1), np.uint8), np.arange(60) % 3
    monkeypatch.setattr(host_batch, "has_room", lambda device, nbytes: True)
    whole = batches.of(data.Dataset("x", images, labels, images[:5], labels[:5]), 12, 20, 4, device, np.float32)
    monkeypatch.setattr(host_batch, "has_room", lambda device, nbytes: False)
    mapped = batches.of(data.Dataset("x", images, labels, images[:5], labels[:5]), 12, 20, 4, device, np.float32)
    for number in range(6):
        equal(device, whole.batch(number, Noise(4, number)), mapped.batch(number, Noise(4, number)))
