"""Whatever is in the files of a run: a model, figures, or one line; never a trace, a hang, or more memory than there should be."""

import dataclasses
import json
import os
import tomllib

import fuzz_files
import numpy as np
import pytest
from fuzz import Reader, at_most, bounded, check_words, damaged, place  # noqa: F401
from hypothesis import strategies as st

from minivae import checkpoint, kernels
from minivae.data import Dataset, cache, survey
from minivae.device import cpu
from minivae.errors import MinivaeError, MinivaeWarning
from minivae.page import facts as page_facts
from minivae.page import history
from minivae.runs import Run, Settings, build, listing, settings, versions
from minivae.runs.lock import Lock
from minivae.runs.metrics import Metrics
from minivae.training.recovery import Diverged
from minivae.training.trainer import Stopped, Trainer

SMALL = Settings(hidden=(3,), code=2, epochs=3, batch_size=4, data="nowhere", labels=4)
SHAPE = (2, 2, 1)
FACTS = {"minivae": "0.1", "settings": dataclasses.asdict(SMALL), "image_shape": list(SHAPE), "classes": 2, "class_names": ["a", "b"],
         "step": 12, "epoch": 3, "finished": True, "test_cost": {"total": 3.0, "reconstruction": 2.0, "kl": 1.0, "error": 0.5},
         "best": {"cost": 3.0, "epoch": 2}, "optimizer": {"steps": 12}, "schedule": {}, "score": [1.0, 2], "seconds": 1.5,
         "epoch_seconds": 0.5, "data": "0" * 64}


@pytest.fixture(scope="module")
def arrays():
    kernels.prepare(cpu())
    return {name: np.array(value) for name, value in build(SMALL, SHAPE, cpu(), 2).state_dict().items()}


@pytest.fixture
def run(place, arrays):  # noqa: F811
    """A run whose folder is whole."""
    found = Run(place / "run")
    found.folder.mkdir()
    found.write(SMALL)
    found.checkpoints.save(arrays, FACTS)
    found.metrics.write_bytes(fuzz_files.metrics_files()[0])
    return found


def used(run):
    """What the commands do with a run: list it, and load its model."""
    figures = listing.figures(run)
    json.dumps(figures, allow_nan=False)
    assert figures["problem"] is None or len(figures["problem"].splitlines()) == 1
    return run.load_with_facts(cpu())


def test_settings(place):  # noqa: F811
    """Of a file that is named, and of a run."""
    run = Run(place)

    def read(content):
        (place / "settings.toml").write_bytes(content)
        try:
            run.settings()
        except MinivaeError as error:
            check_words(error)
        found = settings.read(place / "settings.toml")
        for name, value in found.items():
            assert repr(value) and (not isinstance(value, int) or abs(value) < 2**64) and type(value) is not bool or name in (
                "binarize", "mirror", "local_bn")
        again = settings.checked(tomllib.loads(settings.as_toml(Settings(**found))))
        assert repr(again) == repr(Settings(**found))       # NaN is not equal to itself

    names = st.sampled_from([field.name for field in dataclasses.fields(Settings)])
    value = st.sampled_from(["1", "-1", "0x7f", "1e400", "nan", "inf", "9" * 30, "9" * 400, "true", '""', '"ff"', '"\\u0000"', "[]", "[1, 2]",
                             "[1.5]", "[true]", "[[1]]", "{}", "1979-05-27", "07:32:00", "'x'", '"""x"""', "1_0", "0.1", "5" * 20])
    lines = st.lists(st.builds("{} = {}\n".format, names, value), max_size=4).map(lambda found: "".join(found).encode())
    Reader(read).fuzz(2500, st.one_of(damaged(*fuzz_files.toml_files(settings.as_toml(Settings(labels=3, sigma=0.1)))), lines),
                      fuzz_files.nasty_toml())


def test_checkpoints(run):
    """Damage anywhere in the file; and headers that lie."""
    path = run.checkpoint
    metadata = {"format": checkpoint.FORMAT, "facts": json.dumps(FACTS), "sha256": "0" * 64}

    def read(content):
        path.write_bytes(content)
        try:
            checkpoint.facts(path)
        except MinivaeError as error:
            check_words(error)
        used(run)

    Reader(read).fuzz(1500, damaged(path.read_bytes()), fuzz_files.nasty_safetensors(metadata))


def test_facts_of_other_kinds(run, arrays):
    """A checkpoint whose checksum is right, with something else in it than a training writes."""
    from minivae.page import of_run
    whole = json.loads(json.dumps(FACTS))

    def read(changes):
        told = json.loads(json.dumps(whole))
        for place, value in changes:
            within = told.get("settings") if place in SETTINGS and isinstance(told.get("settings"), dict) else told
            within[place] = value
        checkpoint.save(run.checkpoint, arrays, told)
        model, settings, found = used(run)
        of_run.write_for(run, model, settings, found, None)

    SETTINGS = set(whole["settings"])
    odd = st.one_of(st.sampled_from(fuzz_files.ODD), st.integers(-2**70, 2**70), st.floats())
    changes = st.lists(st.tuples(st.sampled_from([*whole, *SETTINGS]), odd), min_size=1, max_size=2)
    each = [[(name, value)] for name in whole for value in fuzz_files.ODD]
    Reader(read).fuzz(400, changes, each)


@pytest.fixture(scope="module")
def trainer():
    """Of a training with all that has a state, in the middle of its second epoch."""
    settings = dataclasses.replace(SMALL, labels=None, optimizer="nadam", schedule="plateau", ema=0.5)
    images = np.random.default_rng(0).integers(0, 256, (16, *SHAPE), np.uint8)
    found = Trainer(settings, Dataset("noise", images[:8], None, images[8:], None), cpu())
    found.stop = lambda: found.optimizer.steps == 3
    with pytest.raises(Stopped):
        found.train()
    return found


def places_of(facts, within=()):
    """The places of all values in facts: tuples of keys."""
    found = [(*within, key) for key in facts]
    return found + [place for key, value in facts.items() if isinstance(value, dict) and key != "settings"
                    for place in places_of(value, (*within, key))]


def test_states_of_other_kinds(run, trainer):
    """A checkpoint whose checksum is right, with other facts of a training than it has, or without them: it is refused, or the
    training goes on from it, and back to its last good state."""
    arrays, facts = trainer.state()
    whole = json.loads(json.dumps(facts))

    def read(changes):
        told = json.loads(json.dumps(whole))
        for place, value in changes:
            within = told
            for key in place[:-1]:
                within = within.get(key) if isinstance(within, dict) else None
            if isinstance(within, dict):
                within[place[-1]] = value
                if value is GONE:
                    del within[place[-1]]
        checkpoint.save(run.checkpoints.path(3), arrays, told)
        goes_on(trainer, *run.state(3))

    GONE = object()
    places = places_of(whole)
    odd = st.one_of(st.sampled_from([*fuzz_files.ODD, GONE]), st.integers(-2**70, 2**70), st.floats())
    changes = st.lists(st.tuples(st.sampled_from(places), odd), min_size=1, max_size=2)
    run.write(trainer.settings)
    read([])
    Reader(read).fuzz(300, changes, [[(place, value)] for place in places for value in (*fuzz_files.ODD, GONE)])


def test_arrays_of_a_state_of_other_kinds(run, trainer):
    """Likewise with other arrays, or without them."""
    whole, facts = trainer.state()

    def read(change):
        name, array = change
        arrays = {**whole, name: array}
        if array is None:
            del arrays[name]
        checkpoint.save(run.checkpoints.path(3), arrays, facts)
        goes_on(trainer, *run.state(3))

    run.write(trainer.settings)
    read(("optimizer.parameters", whole["optimizer.parameters"]))
    odd = [None, np.zeros(0, np.float32), np.zeros((), np.float32), np.zeros((2, 2), np.float64), np.zeros(3, np.int8), np.zeros(1, np.float32)]
    Reader(read).fuzz(1, st.sampled_from([("optimizer.parameters", None)]), [(name, array) for name in whole for array in odd])


def goes_on(trainer, arrays, facts):
    """A training makes a step from a state, and goes back from it."""
    trainer.restore(arrays, facts)
    trainer.recovery.begin()
    trainer.step(trainer.optimizer.steps)
    if trainer.recovery.times < trainer.recovery.most:
        with pytest.warns(MinivaeWarning):
            trainer.recovery.go_back(Diverged("what", "message"))
        trainer.step(trainer.optimizer.steps)
    trainer.state()


def test_arrays_of_other_kinds(run, arrays):
    """Likewise with other arrays."""
    def read(change):
        name, array = change
        checkpoint.save(run.checkpoint, {**arrays, name: array}, FACTS)
        used(run)

    odd = [np.zeros(0, np.float32), np.zeros((), np.float32), np.zeros((2, 2), np.float64), np.zeros(3, np.int8), np.zeros(5, bool),
           np.zeros((1,) * 20, np.float32), np.full((2, 2), np.nan, np.float32)]
    names = [*arrays, "optimizer.m", "optimizer.parameters", "", "\n", "x" * 3000, "\x1b[2J"]
    Reader(read).fuzz(100, st.tuples(st.sampled_from(names), st.sampled_from(odd)), [(name, array) for name in names for array in odd])


def test_metrics(place):  # noqa: F811
    """Rows of numbers, whatever the lines are; a run that goes on cuts them."""
    run = Run(place)
    run.write(SMALL)

    def read(content):
        run.metrics.write_bytes(content)
        history.read(run)
        json.dumps(listing.figures(run), allow_nan=False)
        Metrics(run.metrics).cut(60)
        assert all(row["step"] <= 60 for row in Metrics(run.metrics).rows())
        raise MinivaeError("read")

    number = st.sampled_from(["1", "2", "40", "nan", "inf", "-inf", "1e308", "1e400", "", " ", "x", "-1", "0", "1_0", "9" * 400, "\0", "\u0661"])
    lines = st.lists(st.lists(number, min_size=7, max_size=9).map(",".join), max_size=4).map(lambda found: ("\n".join(found) + "\n").encode())
    Reader(read).fuzz(1200, st.one_of(damaged(*fuzz_files.metrics_files()), lines), fuzz_files.nasty_metrics())


def test_versions(place):  # noqa: F811
    """What a run was made with: whatever stands there, it is read past."""
    path = place / "versions.json"
    whole = json.dumps([{"minivae": "0.1", "numpy": "2", "device": "cpu, 2 threads", "git": {"commit": "a", "dirty": True}}]).encode()

    def read(content):
        path.write_bytes(content)
        found = versions.read(path)
        assert all(isinstance(entry, dict) for entry in found)
        if found:
            page_facts.surroundings(found)
        versions.add(path, {"minivae": "1", "numpy": "2", "kernels": "3", "device": "cpu"})
        raise MinivaeError("read")

    odd = [json.dumps([{name: value, "git": value}]).encode() for name in ("device", "minivae") for value in fuzz_files.ODD]
    Reader(read).fuzz(400, damaged(whole), [*odd, fuzz_files.deep().encode(), b"", b"\xff", b"9" * 5000])


def test_the_cache(place, monkeypatch):  # noqa: F811
    """Decoded images, and what pictures are like: damage is noticed and read past."""
    monkeypatch.setenv("MINIVAE_CACHE", str(place))
    images, looks = place / "a.images", cache.folder() / "k.json"
    with cache.making(images, 3, (2, 2, 1)) as part:
        part.finish([("x.png", "an empty file")], "abc")
    whole = images.read_bytes()
    looks.parent.mkdir(exist_ok=True)
    monkeypatch.setattr(survey, "_of", lambda paths, advance: (survey.Survey((4, 4), 4, True, 1, ""), False))

    def read(content):
        images.write_bytes(content)
        found = cache.load(images)
        assert found.images.shape == (3, 2, 2, 1) and found.unread == [("x.png", "an empty file")]

    def read_looks(content):
        looks.write_bytes(content)
        survey.suggested(survey.look_at(["x"], "k"))
        raise MinivaeError("read")

    Reader(read, cache.Damaged).fuzz(500, damaged(whole))
    odd = [json.dumps(value).encode() for value in fuzz_files.ODD]
    odd += [json.dumps([value, 3, True, 4, ""]).encode() for value in fuzz_files.ODD]
    odd += [json.dumps([[3, 4], *(value if i == j else 1 for j in range(4))]).encode() for i in range(4) for value in fuzz_files.ODD]
    Reader(read_looks).fuzz(300, damaged(b'[[28, 28], 28, true, 10, "x"]', b'[null, 28, false, 10, ""]'), odd)


def test_heads_of_the_cache_with_right_digests(place):  # noqa: F811
    """Somebody's own file in the cache."""
    images = place / "a.images"

    def read(facts):
        text = json.dumps(facts).encode().ljust(cache.HEAD - len(cache.MAGIC) - cache.DIGEST)
        images.write_bytes(cache.MAGIC + cache._digest(text) + text + bytes(12) + b"[]")
        cache.load(images)

    whole = {"shape": [3, 2, 2, 1], "tail": 2, "tail_digest": cache._digest(b"[]").hex(), "checksum": None, "content": "x"}
    Reader(read, cache.Damaged).fuzz(100, st.fixed_dictionaries({name: st.sampled_from(fuzz_files.ODD) for name in whole}),
                                     [{**whole, name: value} for name in whole for value in fuzz_files.ODD
                                      if len(json.dumps(value)) < 2000])


def test_locks(place):  # noqa: F811
    """A lock file that holds anything, while another one has it."""
    path = place / ".lock"
    held = Lock(path)
    held.acquire()

    def read(content):
        path.write_bytes(content)
        Lock(path).acquire()

    from minivae.runs import lock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "PAUSE", 0)
        Reader(read).fuzz(100, st.binary(max_size=100), [b"\0" * 1000, b"\xff" * 1000, b"x" * (1 << 20), b"\x1b[2J", b"\n" * 1000])


@pytest.mark.parametrize("read", [settings.read, lambda path: Run(path.parent).settings()], ids=["--config", "a run"])
def test_settings_without_end(place, read):  # noqa: F811
    """A sparse file of 4 GB is refused before it is read."""
    path = place / "settings.toml"
    with open(path, "wb") as file:
        os.truncate(file.fileno(), 4 << 30)
    with bounded(), at_most(60), pytest.raises(MinivaeError, match="cannot be used: more than") as caught:
        read(path)
    check_words(caught.value)
