"""Runs whose disk fills up, whose folder turns read-only, whose checkpoints are damaged, whose clock jumps: nothing is lost,
and it is said."""

import os
import random
import subprocess
import time
import warnings

import numpy as np
import pytest
from data_sets import some_digits

from minivae import checkpoint, data, device
from minivae.errors import MinivaeError, MinivaeWarning, UsageError
from minivae.nn import Flat
from minivae.runs import Run, Settings, lock
from minivae.runs.journal import Journal
from minivae.runs.metrics import Metrics
from minivae.terminal.report import Silence
from minivae.training import resuming
from minivae.training import trainer as training
from minivae.training.trainer import Trainer

SETTINGS = Settings(hidden=(16,), code=4, epochs=9, batch_size=20, ema=0.9, optimizer="adam", schedule="plateau")
STEPS = 27


@pytest.fixture(scope="module")
def digits():
    """Images of 10 x 10 pixels."""
    few = some_digits(64, 16)
    train, test = (np.ascontiguousarray(x[:, 4:24:2, 4:24:2]) for x in (few.train_images, few.test_images))
    return data.Dataset("tiny", train, few.train_labels, test, few.test_labels)


@pytest.fixture(scope="module")
def whole(digits):
    """What a training gives that nothing disturbs: its parameters, and metrics but for the times."""
    trainer = Trainer(SETTINGS, digits, _cpu())
    trainer.train(Silence())
    trainer.finish()
    return trainer.flat.values.copy(), [_untimed(epoch.row()) for epoch in trainer.history]


def _cpu():
    return device.cpu()


def _untimed(row):
    return [float(f"{value:.6g}") for name, value in row.items() if name not in ("images_per_second", "seconds")]


def _trainer(run, digits, save_every=0.0, settings=SETTINGS):
    trainer = Trainer(settings, digits, _cpu())
    trainer.journal = Journal(run, save_every)
    return trainer


def _gone_on(run, digits):
    """The trainer of a run that goes on to its end."""
    run.lock()
    trainer = _trainer(run, digits)
    resuming.go_on(trainer, run.state() if run.checkpoints.all() else None)
    trainer.train(Silence())
    trainer.finish()
    run.release()
    return trainer


def _check(run, whole):
    """The run's last checkpoint has the parameters of the undisturbed training, its metrics every epoch once."""
    values, rows = whole
    model, _ = run.load(_cpu())
    np.testing.assert_array_equal(Flat(model, _cpu()).values, values)
    facts = run.checkpoints.facts()
    assert facts["step"] == STEPS and facts["finished"]
    assert [_untimed(row) for row in Metrics(run.metrics).rows()] == rows
    assert not [path for path in run.folder.rglob(".*") if path.name != ".lock"]


class At:
    """Does things at the ends of epochs: a listener."""

    def __init__(self, **what):
        self.what = {int(name[1:]): do for name, do in what.items()}

    def progress(self, images, cost):
        pass

    def epoch(self, epoch):
        self.what.get(epoch.number, lambda: None)()


# ---- no room, no right to write ----

@pytest.fixture
def disk(tmp_path):
    """A file system of 600 kB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder], capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount: {error}")
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def _fill(folder):
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def _make_read_only(run):
    """Its file system; for that nothing there may be open, as the lock is."""
    run.release()
    _remount(run.folder.parent, "ro")


def _remount(folder, how):
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_disk_that_cannot_be_written_for_a_while(disk, digits, whole, trouble):
    """Training goes on with a warning, the checkpoint before stays whole, and all is written once it can be."""
    run = Run.create(SETTINGS, disk / "run")
    begin = (lambda: _fill(disk)) if trouble == "full" else lambda: _make_read_only(run)
    end = (disk / "filler").unlink if trouble == "full" else lambda: _remount(disk, "rw")
    trainer, seen = _trainer(run, digits), []

    def look():
        seen.append(Run(run.folder).checkpoints.load()[1]["step"])

    with pytest.warns(MinivaeWarning) as said:
        trainer.train(At(e3=begin, e5=look, e6=end))
    trainer.finish()
    texts = [str(warning.message) for warning in said]
    reason = "No space left on device" if trouble == "full" else "Read-only file system"
    assert seen == [8] and all(reason in text and "Training goes on" in text for text in texts)
    assert any("the checkpoint after step 8 stays" in text for text in texts)
    assert (trouble == "full") != any("metrics.csv: Read" in text and "written as soon as it can be" in text for text in texts)
    run.release()
    _check(run, whole)


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_disk_that_cannot_be_written_at_the_end(disk, digits, whole, trouble):
    """An error that says what to do; once that is done the run goes on from the checkpoint before."""
    run = Run.create(SETTINGS, disk / "run")
    trainer = _trainer(run, digits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MinivaeWarning)
        trainer.train(At(e7=(lambda: _fill(disk)) if trouble == "full" else lambda: _make_read_only(run)))
    with pytest.raises(MinivaeError, match="make room there|that can be written|let it be written"):
        trainer.finish()
    assert Run(run.folder).checkpoints.load()[1]["step"] == 20
    if trouble == "full":
        (disk / "filler").unlink()
    else:
        with pytest.raises(MinivaeError, match="cannot write .*Read-only file system"):
            Run(run.folder).lock()
        _remount(disk, "rw")
    run.release()
    _gone_on(run, digits)
    _check(run, whole)


# ---- damaged ----

def _stopped(run, digits, epochs):
    """A run that stopped by itself after so many epochs."""
    trainer = _trainer(run, digits)
    trainer.stop = lambda: trainer.optimizer.steps == 3 * epochs + 1
    with pytest.raises(MinivaeError, match="stopped after step"):
        trainer.train(Silence())
    run.release()


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_checkpoint(tmp_path, digits, whole, damage, rng):
    """The one before is taken, and said; what is damaged is kept aside, and the same bits come out."""
    run = Run.create(SETTINGS, tmp_path / "run")
    _stopped(run, digits, 4)
    newest, before = run.checkpoints.all()
    content = bytearray(newest.read_bytes())
    if damage == "flipped":
        content[rng.integers(len(content) // 2, len(content))] ^= 1 << rng.integers(8)
    newest.write_bytes(content if damage == "flipped" else content[:rng.integers(len(content))] if damage == "cut" else b"")
    with pytest.warns(MinivaeWarning, match=rf"{newest.name}.*Instead the one before is taken, .*{before.name}"):
        assert Run(run.folder).load(_cpu())[1] == SETTINGS
    with pytest.warns(MinivaeWarning, match="Instead the one before is taken"):
        _gone_on(run, digits)
    assert newest.with_suffix(".old").exists()
    _check(run, whole)


def test_all_checkpoints_damaged(tmp_path, digits):
    run = Run.create(SETTINGS, tmp_path / "run")
    _stopped(run, digits, 1)
    for path in run.checkpoints.all():
        path.write_bytes(b"?" * 99)
    with pytest.raises(MinivaeError, match="cannot be read.*train again"):
        Run(run.folder).state()


def test_metrics_that_are_damaged(tmp_path, digits, whole):
    """Half a line at the end, a line of later epochs, and one of nothing like numbers go."""
    run = Run.create(SETTINGS, tmp_path / "run")
    _stopped(run, digits, 4)
    with run.metrics.open("a") as file:
        file.write("x,y\n9,27,1,1,1,1,1,1\r\n5,15,0.3")
    _gone_on(run, digits)
    _check(run, whole)


def test_stopped_within_the_last_passes(tmp_path, digits, monkeypatch):
    """What is kept has the statistics of every state, not those of passes that were left: the same as a state taken anew."""
    monkeypatch.setattr(training, "SAMPLED_BETWEEN", 10)
    run = Run.create(SETTINGS, tmp_path / "run")
    trainer, asked = _trainer(run, digits), []
    trainer.train(Silence())
    trainer.stop = lambda: asked.append(1) or len(asked) > 1
    with pytest.raises(MinivaeError, match=f"stopped after step {STEPS} of {STEPS}"):
        trainer.finish()
    arrays, facts = run.state()
    assert not facts["finished"] and len(asked) == 2
    again = Trainer(SETTINGS, digits, _cpu())
    again.restore(arrays, facts)
    for name, value in again.state()[0].items():
        np.testing.assert_array_equal(arrays[name], value)


# ---- clocks ----

def test_a_clock_that_jumps(tmp_path, digits, whole, monkeypatch):
    """Back and forth by hours, at every look: the same bits, checkpoints all the same, no negative time."""
    plain, jumps = time.perf_counter, random.Random(0)
    monkeypatch.setattr(time, "perf_counter", lambda: plain() + jumps.uniform(-9999, 9999))
    monkeypatch.setattr(time, "time", lambda: jumps.uniform(0, 2e9))
    run = Run.create(SETTINGS, tmp_path / "run")
    trainer, steps = _trainer(run, digits, save_every=60), []
    trainer.train(At(**{f"e{n}": lambda: steps.append(run.checkpoints.steps()[:1]) for n in range(1, 10)}))
    trainer.finish()
    assert len({tuple(s) for s in steps}) > 4 and all(row["seconds"] >= 0 for row in Metrics(run.metrics).rows())
    _check(run, whole)


def test_a_clock_that_goes_back_and_stays(tmp_path, digits, monkeypatch):
    """Checkpoints are not put off until it has caught up."""
    now = [1e6]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    journal = Journal(Run.create(SETTINGS, tmp_path / "run"), 60)
    assert not journal.due(0) and journal.due(1) and not journal.due(1)
    now[0] -= 5e5
    assert not journal.due(1)
    now[0] += 61
    assert journal.due(1)


# ---- what may change ----

def test_what_may_not_change(tmp_path, digits):
    """Settings are refused by name, and numbers of epochs that would have changed what was done; other images are noticed."""
    cosine = Settings(hidden=(16,), code=4, epochs=9, batch_size=20)
    run = Run.create(cosine, tmp_path / "run")
    trainer = _trainer(run, digits, settings=cosine)
    trainer.stop = lambda: trainer.optimizer.steps == 13
    with pytest.raises(MinivaeError, match="stopped"):
        trainer.train(Silence())
    assert resuming.settings_of(run, {"epochs": 11, "code": 4}) == Settings(hidden=(16,), code=4, epochs=11, batch_size=20)
    with pytest.raises(UsageError, match="--batch-size is 10, but the run in .*run has 20: a run that goes on can change only "):
        resuming.settings_of(run, {"batch_size": 10})
    for epochs, words in ((4, "--epochs is 4, but 4.33333 were made already: take at least 5"),
                          (8, "--epochs is 8, but the schedule cosine was laid out over 9"), (10, "laid out over 9")):
        other = Settings(hidden=(16,), code=4, epochs=epochs, batch_size=20)
        with pytest.raises(UsageError, match=words):
            resuming.go_on(_trainer(run, digits, settings=other), run.state())
    state = trainer.state()
    for schedule, kl_warm_up, epochs, words in (("cosine", 7.5, 4, "4.33333 were made already"), ("cosine", 7.5, 7, "laid out over 9"),
                                                ("constant", 7.5, 7, "the run has a --kl-warm-up of 7.5 epochs: take at least 8")):
        with pytest.raises(UsageError, match=words):
            resuming.check_past(resuming.replace(cosine, schedule=schedule, kl_warm_up=kl_warm_up, epochs=epochs), 60, state)
    others = data.Dataset("tiny", 255 - digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)
    with pytest.raises(MinivaeError, match="digits holds other images or labels than those that the run was trained on"):
        resuming.go_on(_trainer(run, others, settings=cosine), run.state())


def test_more_epochs(tmp_path, digits, whole):
    """Where the schedule allows them: as if all had been asked for from the start."""
    run = Run.create(SETTINGS, tmp_path / "run")
    trainer = _trainer(run, digits, settings=resuming.replace(SETTINGS, epochs=4))
    trainer.train(Silence())
    trainer.finish()
    run.release()
    _gone_on(run, digits)
    _check(run, whole)


def test_an_older_run_goes_on(tmp_path, digits, whole):
    """One whose only checkpoint is checkpoint.safetensors, of the end of an epoch, without the newer facts."""
    run = Run.create(SETTINGS, tmp_path / "run")
    trainer = _trainer(run, digits, settings=SETTINGS)
    trainer.stop = lambda: trainer.optimizer.steps == 12
    with pytest.raises(MinivaeError, match="stopped"):
        trainer.train(Silence())
    arrays, facts = run.state()
    newer = ("score", "seconds", "epoch_seconds", "data", "finished", "best", "recovery", "collapse")
    checkpoint.save(run.checkpoints.single, arrays, {name: value for name, value in facts.items() if name not in newer})
    run.checkpoints.forget_training()
    run.release()
    assert run.checkpoint == run.checkpoints.single and run.load(_cpu())[1] == SETTINGS
    _gone_on(run, digits)
    _check(run, whole)


# ---- locks ----

def test_one_process_a_folder(tmp_path):
    """A second holder is told who has it; a killed one leaves nothing in the way."""
    run = Run.create(SETTINGS, tmp_path / "run")
    with pytest.raises(MinivaeError, match=rf"run is in use by process {os.getpid()} on \S+: wait for its end, or take another"):
        Run(run.folder).lock()
    assert f"process {os.getpid()} on" in lock.in_use(run.folder / ".lock")
    run.release()
    assert lock.in_use(run.folder / ".lock") is None and not (run.folder / ".lock").exists()
    (run.folder / ".lock").write_text("process 1 on elsewhere\n")       # as kill -9 leaves it
    again = Run(run.folder)
    again.lock()
    again.lock()
    del again
    assert not (run.folder / ".lock").exists()


@pytest.mark.parametrize("missing", ["locks", "fcntl"])
def test_where_there_are_no_locks(tmp_path, monkeypatch, missing):
    """It is said, and the run is made."""
    def refuse(*_):
        raise OSError(lock.errno.ENOLCK, "No locks available")

    if missing == "fcntl":
        monkeypatch.setattr(lock, "fcntl", None)
    else:
        monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.warns(MinivaeWarning, match="has no locks: nothing keeps a second process out of the folder"):
        run = Run.create(SETTINGS, tmp_path / "run")
    assert run.settings() == SETTINGS
