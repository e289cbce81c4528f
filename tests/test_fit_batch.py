"""The batch size that fits: found in few measurements, right on every device, and nothing of the training changes."""

import gc
import os
import re
import subprocess
import sys
import weakref

import numpy as np
import pytest
import strict_cupy
from command_line import ROOT
from data_sets import some_digits

from minivae import VAE, data, fitting
from minivae.evaluation import evaluate
from minivae.runs import Settings
from minivae.terminal.report import Silence
from minivae.training import fit_batch
from minivae.training.fit_batch import OutOfMemory, largest, plan, rounded
from minivae.training.snapshot import Snapshot
from minivae.training.trainer import Trainer

SMALL = {"hidden": (24, 12), "code": 6, "epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def tiny():
    """64 images of 8 x 8 to train on, 8 to test with."""
    few = some_digits(64, 8)
    train, test = (np.ascontiguousarray(x[:, 2:26:3, 2:26:3]) for x in (few.train_images, few.test_images))
    return data.Dataset("tiny", train, few.train_labels, test, few.test_labels)


def _say_nothing(text):
    pass


@pytest.mark.parametrize("fixed", [0, 1000])
@pytest.mark.parametrize("buffer", [0, 10])
@pytest.mark.parametrize("asked", [1, 2, 3, 100, 999, 5000])
@pytest.mark.parametrize("free", [0, 50, 1300, 9000, 120_000, 10**9])
def test_the_largest_that_fits(fixed, buffer, asked, free):
    """Of bytes that grow by the image, first faster, while a buffer fills: what is found fits, the next rounded size does
    not, at most ten sizes are measured, and none that takes more than there is but the first."""
    measured = []

    def taken(size):
        measured.append(size)
        return fixed + 20 * size + buffer * min(size, 40)

    found = largest(taken, asked, free)
    fits = [size for size in range(1, asked + 1) if taken(size) <= free and (size >= 2 or asked == 1)]
    measured = measured[:-asked]
    assert found.images == (rounded(max(fits), asked) if fits else 0) or found.images >= 0.85 * max(fits)
    assert found.images == 0 or taken(found.images) <= found.bytes * (1 + 1e-9) <= free * (1 + 1e-9)
    assert len(measured) <= 10 and all(fixed + 20 * size + buffer * min(size, 40) <= free for size in measured[2:])


def test_a_measurement_that_fails_is_not_repeated():
    """Where memory is shorter than was said: it goes between what fitted and what did not."""
    measured = []

    def taken(size):
        measured.append(size)
        return 10.0 * size if size < 300 else np.inf

    found = largest(taken, 1000, 9000)
    assert 256 <= found.images < 300 and len(set(measured)) == len(measured) < 12


@pytest.mark.parametrize("size", [2, 15, 16, 100, 1000, 1023, 4097])
def test_rounded(size):
    assert 0.88 * size < rounded(size, 10**6) <= size and rounded(size, size) == size


@pytest.mark.parametrize("more", [{}, {"ema": 0.9, "schedule": "plateau", "optimizer": "nadam"}, {"labels": 20},
                                  {"labels": 20, "semi": "m2"}, {"kl_warm_up": 1.0, "samples": 3}], ids=str)
def test_measuring_changes_nothing(fast_device, tiny, more):
    """A training after it makes the bits of one without: parameters, optimizer's state, costs, statistics."""
    trained, device = [], fast_device
    for measured in (False, True):
        trainer = Trainer(Settings(**{**SMALL, **more, "epochs": 1}), tiny, device)
        if measured:
            names = set(trainer.model.state_dict())
            found = plan(trainer)
            assert set(trainer.model.state_dict()) == names
            assert found.batch.images == 16 and found.batch.bytes > 0 and found.evaluated.bytes > 0 and not found.tight
        trainer.train(Silence())
        trained.append((trainer, trainer.finish()))
    (one, result), (two, other) = trained
    for a, b in zip((one.flat.values, *one.optimizer.state.values()), (two.flat.values, *two.optimizer.state.values()),
                    strict=True):
        np.testing.assert_array_equal(device.to_host(a), device.to_host(b))
    assert result == other and [e.train_cost for e in one.history] == [e.train_cost for e in two.history]


@pytest.fixture
def few_at_once(monkeypatch):
    """Evaluations of eight images at a time, which take less than the steps here."""
    monkeypatch.setattr(evaluate, "BATCH", 8)
    monkeypatch.setattr(evaluate, "FEWEST", 1)


@pytest.fixture
def room(simt):
    """Leaves so many bytes of the stand-in's memory, beside what is held, until the test ends."""
    pool = strict_cupy.get_default_memory_pool()

    def leave(count):
        gc.collect()
        pool.set_limit()
        pool.free_all_blocks()
        pool.set_limit(size=pool.total_bytes() + count)

    yield leave
    pool.set_limit()


def test_steps_and_evaluations_in_turn(cpu, tiny):
    """Where both do not fit together, what the one has left for reuse goes before the other: less memory, the same bits."""
    settings, most, trained = Settings(**{**SMALL, "batch_size": 64, "hidden": (512,)}), [], []
    for tight in (False, True):
        trainer = Trainer(settings, tiny, cpu)
        cpu.release()
        held = cpu.bytes_held
        trainer.tight = tight
        seen = []
        trainer.stop = lambda seen=seen: bool(seen.append(cpu.bytes_held))
        trainer.train(Silence())
        most.append(max(seen) - held)
        trained.append(cpu.to_host(trainer.flat.values))
        del trainer
    assert most[1] < most[0]
    np.testing.assert_array_equal(*trained)


WIDE = {**SMALL, "hidden": (8,), "code": 2, "batch_size": 64}      # a step of all images takes more than the model


@pytest.fixture
def measured(simt, few_at_once, tiny):
    """(bytes to build a trainer with WIDE and a copy of its state, the plan for it), where there is room for all."""
    gc.collect()        # what other tests have left would go in the middle
    simt.release()
    held = simt.bytes_held
    trainer = Trainer(Settings(**WIDE), tiny, simt)
    copies = Snapshot(trainer.model, trainer.flat, trainer.optimizer, trainer.schedule, trainer.average)
    built = simt.bytes_held - held
    del copies
    return built, plan(trainer)


def test_it_fits_where_it_is_tight(simt, measured, room, tiny):
    """A GPU with memory for a part of the batch: the size that is found trains to the end, in that memory, as one that was
    asked for."""
    built, found = measured
    room(int(built + 0.7 * found.batch.bytes / fit_batch.SHARE))
    with pytest.raises(OutOfMemory, match=r"a step of 64 images does not fit the .* take --batch-size \d+, or --fit-batch"):
        fitting.prepare(WIDE, tiny, simt, _say_nothing)
    said = []
    trainer = fitting.prepare(WIDE, tiny, simt, said.append, smaller_batch=True)
    size = trainer.settings.batch_size
    assert said[1] == f"a step of 64 images does not fit the memory: {size} a step" and 8 <= size < 60
    fitted = fitting.train(trainer, progress=False)
    strict_cupy.get_default_memory_pool().set_limit()
    again = fitting.prepare({**WIDE, "batch_size": size}, tiny, simt, _say_nothing)
    assert again.settings == trainer.settings and fitting.train(again, progress=False).score == fitted.score


def test_nothing_fits():
    """Neither two images a step nor an evaluation: other sizes are named."""
    enough = fit_batch.Plan(1e9, 100, fit_batch.Fit(100, 1e6), 250, fit_batch.Fit(250, 1e6))
    assert enough.batch_size(take=False) == 100 and not enough.tight
    for words, short in (("an evaluation of 250 images at a time does not fit the 1.0 GB", {"evaluated": fit_batch.Fit(60, 1e9)}),
                         ("not even 2 images a step fit the 1.0 GB", {"batch": fit_batch.Fit(0, 0.0)})):
        with pytest.raises(OutOfMemory, match=f"{words} .*: take a smaller --hidden"):
            enough._replace(**short).batch_size(take=True)


def test_memory_that_runs_out_in_the_middle(simt, measured, room, tiny, monkeypatch):
    """Somebody else takes it: the size that fits what is left is named; where there is enough again, that is said."""
    (_, found), real = measured, Trainer.step
    trainer = Trainer(Settings(**WIDE), tiny, simt)
    copies = sum(a.nbytes for a in (trainer.flat.values, *trainer.optimizer.state.values()))
    trouble = [lambda: room(copies + int(0.5 * found.batch.bytes))]

    def step(self, number):
        if number == 0 and trouble:
            trouble.pop()()
        real(self, number)

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(OutOfMemory, match=r"out of memory \(Out of memory allocating .* take --batch-size \d+, or --fit-batch"):
        fitting.train(trainer, progress=False)
    strict_cupy.get_default_memory_pool().set_limit()

    def fails():
        raise MemoryError

    trouble.append(fails)
    with pytest.raises(OutOfMemory, match=r"out of memory \(no more\), though now there is enough: .* start again"):
        fitting.train(trainer, progress=False)


def test_from_python(cpu, few_at_once, tiny, monkeypatch):
    """The error names the argument; with it, the size is taken, and kept with what is saved."""
    monkeypatch.setattr(type(cpu), "bytes_free", property(lambda self: 40_000 / fit_batch.SHARE))
    vae = VAE(hidden=(24, 12), code=6, epochs=1, batch_size=64, device="cpu")
    with pytest.raises(OutOfMemory, match=r"take batch_size \d+, or fit_batch for what fits"):
        vae.fit(tiny.train_images, progress=False)
    vae = VAE(hidden=(24, 12), code=6, epochs=1, batch_size=64, device="cpu", fit_batch=True)
    assert 2 <= vae.fit(tiny.train_images, progress=False).settings.batch_size < 64


PROGRAM = """
import resource, sys
import psutil
from minivae import cli, data, device, fitting, kernels
kernels.prepare(device.cpu())
digits = data.load()
resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + {room},) * 2)
cli.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process's memory is Linux's")
def test_in_the_memory_of_a_real_process(tmp_path):
    """100 MB on a CPU, and a step that takes more: one line names a size, --fit-batch trains with it, and the run's settings
    have it."""
    def train(*more):
        return subprocess.run([sys.executable, "-c", PROGRAM.format(room=100_000_000), "train", "--hidden", "512", "--code",
                               "16", "--batch-size", "4000", "--epochs", "1", "--device", "cpu", "--out", "run", *more],
                              cwd=tmp_path, capture_output=True, text=True, timeout=120,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})
    done = train()
    said = re.search(r"^minivae: a step of 4000 images does not fit the \d+ MB of memory .* take --batch-size (\d+), or --fit-batch",
                     done.stderr)
    assert done.returncode == 1 and said and len(done.stderr.splitlines()) == 1 and not list(tmp_path.iterdir()), done.stderr
    done = train("--fit-batch")
    size = int(re.search(r"a step of 4000 images does not fit the memory: (\d+) a step", done.stdout)[1])
    assert done.returncode == 0 and 0.7 < size / int(said[1]) < 1.4, done.stderr
    assert f"batch_size = {size}\n" in (tmp_path / "run" / "settings.toml").read_text()


def test_a_trainer_goes_at_once(cpu, tiny):
    """With its arrays, when nobody holds it any more: where memory is short, nothing waits for Python to look for cycles."""
    trainer = Trainer(Settings(**SMALL), tiny, cpu)
    plan(trainer)
    trainer.train(Silence())
    gone = weakref.ref(trainer)
    gc.disable()
    try:
        del trainer
        assert gone() is None
    finally:
        gc.enable()
