"""Training, evaluation and sampling on minivae's GPU device, over the stand-in for CuPy, against the CPU.

Noise and batches are the same bits. Sums are taken in another order on a GPU. In float64 that leaves whole trainings equal
to 1e-9. In float32 a step leaves costs equal to 1e-5 and gradients to 1e-4 of their norm, where sums of 16 rows cancel;
but over several steps the least difference moves a pixel or unit over the edge of its clip or ReLU, which changes
gradients by a hundredth on any two devices. So float32 is compared step by step, from the same parameters.
"""

import numpy as np
import pytest
from strict_cupy import cuda, ledger

from minivae import data, models, trace
from minivae.bench import iterations
from minivae.evaluation import evaluate
from minivae.models import LIKELIHOODS
from minivae.nn import batch_norms
from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import SAMPLE, Noise, standard_normal
from minivae.runs import Run, Settings
from minivae.terminal.report import Silence
from minivae.training import trainer as training
from minivae.training.trainer import Trainer

SMALL = {"ff": {"hidden": (24, 12), "code": 6}, "conv": {"hidden": (16,), "code": 6, "channels": (3, 16)}}
BATCH, STEPS = 16, 4
WHOLE, COST, GRADIENT = 1e-9, 1e-5, 1e-4        # the tolerances named above
ARCHS = pytest.mark.parametrize("arch", SMALL)


@pytest.fixture
def images(few_digits):
    """64 digits of 8 x 8 pixels to train on, 8 to test with: every third pixel."""
    train, test = (x[:, 2:26:3, 2:26:3] for x in (few_digits.train_images, few_digits.test_images))
    return data.Dataset("tiny", train, few_digits.train_labels, test, few_digits.test_labels)


@pytest.fixture
def in_float64(monkeypatch):
    """Trainings build float64 models."""
    def build(settings, shape, device, classes):
        sizes = {name: getattr(settings, name) for name in ("hidden", "code", "channels", "likelihood", "seed")}
        return models.build(settings.arch, shape, device, dtype=np.float64, classes=classes, **sizes)

    monkeypatch.setattr(training, "build", build)


def _settings(arch, **other):
    return Settings(arch=arch, **{**SMALL[arch], "batch_size": BATCH, "epochs": 1, **other})


def _distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@ARCHS
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("optimizer", ["nesterov", "rmsprop", "adam"])      # test_optimizer.py has them all
def test_a_whole_training_is_the_cpus(simt, cpu, images, in_float64, arch, likelihood, optimizer):
    """An epoch of four steps, its test cost, and the fixed-point statistics over all images with their cost."""
    rate, found = 1e-4 if optimizer == "nesterov" else 1e-3, []
    for where in (cpu, simt):
        trainer = Trainer(_settings(arch, optimizer=optimizer, likelihood=likelihood, learning_rate=rate), images, where)
        # The gradient of the code's shift is exactly zero at the start, and Adam would divide rounding by rounding.
        shift = trainer.model.heads.norm.beta
        shift.data[...] = where.from_host(np.linspace(-0.5, 0.5, shift.data.size))
        trainer.train(Silence())
        score, passes = trainer.finish()
        arrays = [trainer.flat.values, *trainer.optimizer.state.values(),
                  *(bn.moments for _, bn in batch_norms(trainer.model))]
        found.append((trainer.history[0], score, passes.count, [where.to_host(array) for array in arrays]))
    (epoch, score, passes, arrays), (gpu_epoch, gpu_score, gpu_passes, gpu_arrays) = found
    assert gpu_epoch.step == epoch.step == STEPS and gpu_passes == passes
    assert gpu_epoch.train_cost == pytest.approx(epoch.train_cost, rel=WHOLE)
    assert gpu_epoch.test[:3] + gpu_score[:3] == pytest.approx(epoch.test[:3] + score[:3], rel=WHOLE)
    for ours, theirs in zip(gpu_arrays, arrays, strict=True):
        assert _distance(ours, theirs) < WHOLE


@ARCHS
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_each_step_is_the_cpus(simt, cpu, images, arch, likelihood):
    """In float32: cost, gradient and update of steps that begin with the same parameters and state."""
    trainers = [Trainer(_settings(arch, likelihood=likelihood), images, where) for where in (cpu, simt)]
    for number in range(STEPS):
        results = []
        for trainer in trainers:
            trainer._begin_epoch()
            before = trainer.device.to_host(trainer.flat.values)
            trainer.step(number)
            values = trainer.device.to_host(trainer.flat.values)
            results.append((trainer._score(1), trainer.device.to_host(trainer.flat.grads), values - before))
        (cost, gradient, update), (gpu_cost, gpu_gradient, gpu_update) = results
        assert gpu_cost == pytest.approx(cost, rel=COST)
        assert _distance(gpu_gradient, gradient) < GRADIENT and _distance(gpu_update, update) < GRADIENT
        for theirs, ours in zip(*([t.flat.values, *t.optimizer.state.values()] for t in trainers), strict=True):
            ours[...] = simt.from_host(cpu.to_host(theirs))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("noise", [Noise(0, 0), Noise(2**64 - 1, 2**32 - 1, SAMPLE), Noise(9, 3, 1)], ids=str)
def test_noise_is_the_same_bits(simt, cpu, noise, dtype):
    """The words and the normals made of them, for counts that leave every kind of remainder."""
    for shape in ((64, 384), (33, 31), (7, 5), (1, 1)):
        draws = [where.to_host(standard_normal(where, *shape, noise, dtype, first=5)) for where in (cpu, simt)]
        np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize("epoch", [None, 0, 7])
def test_batches_are_the_same_bits(simt, cpu, few_digits, epoch):
    """Which images a step takes, and their pixels."""
    batches = []
    for where in (cpu, simt):
        x, example = DeviceImages(few_digits.train_images, where).batch(13, 40, seed=3, epoch=epoch)
        batches.append((where.to_host(x), where.to_host(example)))
    for ours, theirs in zip(*batches, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@ARCHS
@pytest.mark.parametrize("trained_on", ["cpu", "simt"])
def test_a_run_goes_on_the_other_device(simt, cpu, images, tmp_path, arch, trained_on):
    """A checkpoint of one device gives the other the same parameters and statistics, bit by bit; and costs, samples
    and reconstructions that differ by rounding."""
    here, there = (cpu, simt) if trained_on == "cpu" else (simt, cpu)
    settings = _settings(arch)
    run = Run.create(settings, tmp_path / "run")
    trainer = Trainer(settings, images, here, run)
    trainer.train(Silence())
    trainer.finish()
    models = {here: run.load(here)[0], there: run.load(there)[0]}
    states = [{name: where.to_host(value) for name, value in models[where].state_dict().items()} for where in (here, there)]
    assert states[0].keys() == states[1].keys() and any(name.endswith("moments") for name in states[0])
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name], err_msg=name)
    scores, samples, pictures = [], [], []
    for where, model in models.items():
        shown = DeviceImages(images.test_images, where, model.dtype)
        scores.append(evaluate.score(model, shown))
        samples.append(model.sample(8, Noise(1, 0, SAMPLE)))
        pictures.append(model.reconstruct(shown.batch(0, shown.count)[0]))
    assert scores[0][:3] == pytest.approx(scores[1][:3], rel=COST)
    np.testing.assert_allclose(*samples, atol=1e-4)         # of values in [0, 1]
    np.testing.assert_allclose(*pictures, atol=1e-4)


# ---- what a step costs ----

@pytest.fixture
def only_counted(monkeypatch):
    """Launches, copies and products are counted, but none is carried out: what a step asks for at its real size."""
    monkeypatch.setattr(cuda, "run", lambda call: None)


MOST = {"ff": 52, "conv": 75}      # launches of all kinds in a step
# Of them CuPy's own kernels: the fill of the seed, a second copy of the gradient of two costs that are added; for conv also
# the weights of two transposed convolutions, turned and turned back, those of a direct one and their gradient, and the two
# transposed batches of Winograd's products.
MOST_OF_CUPY = {"ff": 2, "conv": 10}


@ARCHS
def test_what_a_step_asks_of_the_gpu(simt, only_counted, arch):
    """At the sizes of `minivae bench`: no new memory after the first step, nothing copied to the device or from it, and
    few launches, hardly any of CuPy's own."""
    simt.release()      # what earlier tests have left would be cut up anew for some steps
    trainer = Trainer(iterations.endless(arch, iterations.BATCH_SIZES[arch]), data.load(iterations.DATA), simt)
    trainer.step(0)
    held = simt.bytes_held
    for number in range(1, 5):
        with ledger.counting() as counted, trace.recording() as traced:
            trainer.step(number)
        assert simt.bytes_held == held
        assert counted["to_host"] == counted["to_device"] == 0
        assert (counted["kernel"], counted["product"]) == (traced.launches, len(traced.products))
        assert sum(counted.values()) <= MOST[arch], counted
        assert sum(counted.values()) - counted["kernel"] - counted["product"] <= MOST_OF_CUPY[arch], counted


@ARCHS
def test_small_steps_take_no_new_memory_and_read_nothing(simt, images, arch):
    """The same with everything carried out."""
    trainer = Trainer(_settings(arch), images, simt)
    trainer.step(0)
    held = simt.bytes_held
    with ledger.counting() as counted:
        for number in range(1, STEPS):
            trainer.step(number)
    assert simt.bytes_held == held and counted["to_host"] == counted["to_device"] == 0
    assert np.isfinite(simt.to_host(trainer.flat.values)).all()
