"""The page of a run: what is on it, for every kind of run, and that nobody's names become part of its code."""

import base64
import io
import json

import numpy as np
import pytest
from command_line import minivae
from data_sets import idx, some_digits
from pages import Page, data_set, followed, page_of, trained
from PIL import Image

from minivae import VAE, __version__, checkpoint, fitting
from minivae.errors import MinivaeError, MinivaeWarning
from minivae.page import facts, following, history, of_run
from minivae.runs import Run

LARGEST = 3_000_000         # bytes of a page, whatever the run
HOSTILE = "</style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"

CASES = {
    "grey": ({}, {}),
    "no labels": ({"classes": None}, {}),
    "labels": ({"classes": 3, "train": 12}, {"labels": 6}),
    "labels, m2": ({"classes": 3, "train": 12}, {"labels": 6, "semi": "m2"}),
    "labels, no test images": ({"classes": 3, "train": 12, "test": 0}, {"labels": 6}),
    "many classes": ({"classes": 40, "train": 80, "test": 80}, {"labels": 40}),
    "no test images": ({"test": 0}, {}),
    "one test image": ({"test": 1}, {}),
    "two training images": ({"train": 2, "test": 0}, {}),
    "one pixel": ({"shape": (1, 1, 1)}, {}),
    "one row": ({"shape": (1, 300, 1)}, {}),
    "one column": ({"shape": (300, 1, 3)}, {}),
    "colour": ({"shape": (7, 5, 3)}, {}),
    "large": ({"shape": (200, 170, 3), "train": 20, "test": 20}, {}),
    "one number": ({"classes": 2}, {"code": 1}),
    "two numbers": ({}, {"code": 2}),
    "convolutional": ({"shape": (8, 8, 3)}, {"arch": "conv", "channels": (4,)}),
    "binarized": ({}, {"likelihood": "bernoulli", "binarize": True}),
    "gaussian": ({}, {"likelihood": "gaussian"}),
    "an average": ({}, {"ema": 0.9}),
    "one epoch": ({}, {"epochs": 1}),
}


def test_every_device_draws_the_page(rng, device, tmp_path):
    """The numbers and the pictures come from the device, whichever it is; with classes, which take most of its functions."""
    run = trained(tmp_path / "run", data_set(rng, classes=2, train=4), device, labels=2, epochs=1, hidden=(4,), batch_size=4)
    assert len(page_of(run).all("img")) > 150


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_run_has_a_page(case, rng, cpu, tmp_path, monkeypatch):
    """While it is trained and at its end: well formed, bounded, all pictures whole and of the images' kind, every section
    that the run has something for, and a word on what it has not. Written anew from the folder it shows the same."""
    shown, told = CASES[case]
    dataset = data_set(rng, **shown)
    run = trained(tmp_path / "run", dataset, cpu, monkeypatch, **told)
    page = page_of(run)
    assert (run.folder / "report.html").stat().st_size < LARGEST
    sections = {attributes["id"] for attributes in page.all("section")}
    tests = len(dataset.test_images)
    expected = {"costs", "reconstructions", "samples", "traverses", "codes", "settings"}
    expected |= {"walks"} if tests != 1 else set()
    expected |= {"classes"} if "labels" in told else set()
    assert sections == expected
    pictures = page.all("img")
    assert all("alt" in attributes for attributes in pictures)
    for attributes in pictures:
        kind, encoded = attributes["src"].split(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            picture.load()
            assert picture.mode == ("RGB" if dataset.image_shape[2] == 3 else "L") and max(picture.size) <= 160
    assert ("There are no test images" in page.words) == (tests == 0)
    assert "finished" in page.words and "epoch" in page.words
    of_run.write_for(run, *run.load_with_facts(cpu), dataset)
    assert [picture["src"] for picture in page_of(run).all("img")] == [picture["src"] for picture in pictures]


def test_names_are_words_and_never_code(rng, cpu, tmp_path):
    """Of the data, the classes, the folder and what went wrong: all are shown as they are, and nothing of them runs."""
    dataset = data_set(rng, classes=2, name=HOSTILE, class_names=(HOSTILE, "<b>two"))
    run = trained(tmp_path / HOSTILE.replace("/", "_"), dataset, cpu)
    page = page_of(run)
    names = {tag for tag, _ in page.tags}
    assert "script" not in names and not any("onerror" in attributes for _, attributes in page.tags)
    assert all(attributes["src"].startswith("data:image/png;base64,") for attributes in page.all("img"))
    for words in (HOSTILE[:19], HOSTILE[-39:], "<b>two"):
        assert words in page.words
    assert "49" not in page.words.split()
    of_run.write_for(run, *run.load_with_facts(cpu), None, f"no images: {HOSTILE}")
    assert f"no images: {HOSTILE}" in page_of(run).words


def test_classes_are_called_as_the_model_calls_them(rng, cpu, tmp_path):
    """Also beside images of other data, whose own names stand at the map of their codes alone."""
    run = trained(tmp_path / "run", data_set(rng, classes=2, train=8, class_names=("cat", "dog")), cpu, labels=4)
    whole = page_of(run).words.count("cat dog")
    assert whole >= 3       # over tables of pictures, and in the map's legend
    of_run.write_for(run, *run.load_with_facts(cpu), data_set(rng, classes=3, class_names=("ant", "bee", "cow")))
    words = page_of(run).words
    assert words.count("cat") == words.count("cat dog") == whole - 1 and words.count("ant bee cow") == 1


def test_the_largest_page_is_bounded(rng, cpu, tmp_path):
    """Images of noise, which no compression makes smaller, in colour, with every section there is."""
    dataset = data_set(rng, train=60, test=60, shape=(128, 128, 3), classes=15)
    run = trained(tmp_path / "run", dataset, cpu, labels=15)
    size = (run.folder / "report.html").stat().st_size
    assert 100_000 < size < LARGEST


def test_the_numbers_are_the_runs(cpu, tmp_path):
    """The score of the model as it is kept, the epochs' costs, the settings that are unusual, the pictures' counts."""
    dataset = some_digits(64, 40)
    run = trained(tmp_path / "run", dataset, cpu, epochs=3, code=5, batch_size=16)
    vae = VAE.load(run.folder, "cpu")
    page, rows = page_of(run), history.read(run)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    score = checkpoint.load(run.checkpoint)[1]["test_cost"]
    assert (f"test cost {score['total']:.2f} nats per image reconstruction {score['reconstruction']:.2f} its part"
            in page.words)
    active = int((vae.encode(dataset.test_images[..., 0]).var(0) > 0.01).sum())
    assert f"active units {active} of 5 in a code" in page.words and f"test {rows[-1]['test_cost']:.4g}" in page.words
    assert page.words.count("usually") == 4         # epochs, hidden, code, batch size
    assert "--code 5 usually 384" in page.words and "--epochs 3 usually 60" in page.words
    assert len([a for a in page.all("img") if a["alt"].startswith("sample ")]) == 96
    assert len([a for a in page.all("img") if a["alt"].startswith("its reconstruction")]) == 32 + 8 + 8
    assert "64 to train on, 40 to test with" in page.words and "cpu (" in page.words


def test_a_training_is_the_same_bit_for_bit_with_and_without_its_page(rng, cpu, tmp_path, monkeypatch):
    """The page is drawn after every epoch, with the average in the model's place, with and without test images."""
    monkeypatch.setattr(following, "SHARE", np.inf)
    for tests in (0, 4):
        dataset, found = data_set(rng, test=tests, classes=2), []
        for with_page in (False, True):
            told = {"epochs": 3, "hidden": (8,), "code": 3, "batch_size": 2, "ema": 0.5, "labels": 2}
            trainer = fitting.prepare(told, dataset, cpu, say=lambda _: None)
            pages = [followed(trainer, tmp_path / f"{tests}{with_page}")[1]][:with_page]
            fitted = fitting.train(trainer, progress=False, listeners=pages)
            arrays = {**trainer.model.state_dict(), **trainer.optimizer.state}
            found.append((fitted.score, fitted.passes, {name: array.tobytes() for name, array in arrays.items()}))
            assert all(page.written == 2 for page in pages)     # the last one is finish()'s
        assert found[0] == found[1]


def small_trainer(rng, device, epochs):
    told = {"epochs": epochs, "hidden": (4,), "code": 1, "batch_size": 2}
    return fitting.prepare(told, data_set(rng), device, say=lambda _: None)


def test_the_page_takes_a_bounded_share_of_the_time(rng, cpu, tmp_path, monkeypatch):
    """Whatever a page takes, all that were written take at most SHARE of the time so far; and they are written."""
    now = [0.0]
    monkeypatch.setattr(following.time, "perf_counter", lambda: now[0])
    trainer = small_trainer(rng, cpu, epochs=10_000)
    (_, page), spent, written = followed(trainer, tmp_path / "run"), 0.0, 0

    def look(*_):
        nonlocal spent, written
        took = rng.uniform(0.05, 0.4)
        now[0] += took
        spent, written = spent + took, written + 1

    monkeypatch.setattr(following, "look", look)
    monkeypatch.setattr(following, "content", lambda *_: {})
    monkeypatch.setattr(following, "write", lambda *_, **__: None)
    for number in range(1, 2000):
        now[0] += rng.uniform(0, 2)
        page.epoch(following.Epoch(number, number, 1.0, None, 5000.0, now[0], active=1))
        assert page.spent == pytest.approx(spent) and spent <= 0.0201 * now[0] + 0.4
    assert spent <= following.SHARE * now[0] and written == page.written and 0.015 * now[0] < spent


def test_a_page_that_cannot_be_written_does_not_end_the_training(rng, cpu, tmp_path, monkeypatch):
    """A warning says why while training goes on; at its end it is an error."""
    monkeypatch.setattr(following, "SHARE", np.inf)
    trainer = small_trainer(rng, cpu, epochs=3)
    run, page = followed(trainer, tmp_path / "run")
    (run.folder / "report.html").mkdir()
    with pytest.warns(MinivaeWarning, match="the page: cannot write .*report.html: it is no regular file.* tried again"):
        fitted = fitting.train(trainer, progress=False, listeners=[page])
    assert page.written == 0 and page.spent > 0 and run.checkpoint.exists()
    with pytest.warns(MinivaeWarning, match="`minivae report` writes it"):
        page.stop(draw=True)
    with pytest.raises(MinivaeError, match="report.html: it is no regular file"):
        page.finish(fitted.score)


def test_while_training_the_page_says_so_and_looks_again(rng, cpu, tmp_path, monkeypatch):
    """Training, then stopped, with the last pictures; only the first asks the browser to look again."""
    monkeypatch.setattr(following, "SHARE", np.inf)
    trainer = small_trainer(rng, cpu, epochs=3)
    (run, page), seen = followed(trainer, tmp_path / "run"), []

    class Stop:
        def progress(self, *_):
            pass

        def epoch(self, epoch):
            seen.append(page_of(run))
            if epoch.number == 2:
                raise KeyboardInterrupt

    page.stop(draw=False)
    assert not page.path.exists()       # nothing was drawn yet
    with pytest.raises(KeyboardInterrupt):
        fitting.train(trainer, progress=False, listeners=[page, Stop()])
    page.stop(draw=False)
    seen.append(page_of(run))
    trainer.step(trainer.optimizer.steps)
    page.stop(draw=True)
    seen.append(page_of(run))
    refreshes = [[a for a in each.all("meta") if a.get("http-equiv") == "refresh"] for each in seen]
    assert [len(found) for found in refreshes] == [1, 1, 0, 0]
    assert "training epoch 2 of 3" in seen[1].words and "left" in seen[1].words
    pictures = [[picture["src"] for picture in each.all("img")] for each in seen]
    assert pictures[0] != pictures[1] == pictures[2] != pictures[3] and len(pictures[2]) == len(pictures[3])
    assert all("stopped after epoch 2 of 3" in each.words for each in seen[2:])


@pytest.mark.parametrize(("lines", "epochs"), [
    ([], []), (["1,4,2.5,,,,10,1"], [1]), (["1,4,nan,inf,1e300,,10,1"], [1]),
    (["2,8,2.5,,,,10,1", "1,4,1,,,,1,1", "2,8,3,,,,1,1"], [1, 2]),
    (["0,0,1,,,,1,1", "-1,0,1,,,,1,1", "x", "1,4,2.5,,,"], []),
])
def test_metrics_of_any_kind_are_read(lines, epochs, tmp_path):
    """Cut short, damaged, written twice: the rows that are there, finite numbers only."""
    run = Run(tmp_path)
    assert history.read(run) == []
    run.metrics.write_text("".join(f"{line}\n" for line in ("epoch,step,train_cost", *lines)))
    rows = history.read(run)
    assert [row["epoch"] for row in rows] == epochs
    assert all(abs(value) <= history.LARGEST for row in rows for value in row.values())


def test_settings_that_are_not_the_usual_ones_are_found():
    """Usual is what training takes where nothing is said, which depends on the architecture and on other settings."""
    for told in ({}, {"arch": "conv"}, {"optimizer": "adam"}, {"epochs": 12}, {"labels": 10}):
        settings = fitting.settings_for(told, 4000)
        assert facts.changed(settings, 4000).keys() == {name for name in told}
    settings = fitting.settings_for({"learning_rate": 0.5, "kl_warm_up": 0.0}, 4000)
    assert facts.changed(settings, 4000) == {"learning_rate": fitting.RATE, "kl_warm_up": 10.0}


def test_what_a_run_was_trained_with(rng, cpu, tmp_path):
    """Where it is noted: device, versions, commit, how often it went on; as text, whatever it is. Else the checkpoint's
    version."""
    run = trained(tmp_path / "run", data_set(rng), cpu)
    now = {"minivae": "7", "python": "3.99", "device": "<b>gpu", "git": {"commit": "abc", "dirty": True}}
    for noted, words in (([], f"versions minivae {__version__} "),
                         ([{}, now], "<b>gpu versions minivae 7, Python 3.99 commit abc, with changes gone on once"),
                         ([{"minivae": [1], "git": 3, "device": {}}], "versions minivae [1] ")):
        run.versions.write_text(json.dumps(noted))
        of_run.write_for(run, *run.load_with_facts(cpu), None)
        assert words in page_of(run).words


def test_a_model_that_python_saved(rng, cpu, tmp_path):
    """Without a training's numbers, and in place of a run's folder, whose page was another model's."""
    dataset = data_set(rng, train=8)
    run = trained(tmp_path / "run", dataset, cpu)
    run.release()
    told = {"epochs": 1, "hidden": (8,), "code": 3, "batch_size": 4, "device": "cpu"}
    VAE(**told).fit(dataset.train_images, progress=False).save(run.folder, overwrite=True)
    assert not run.page.exists()
    of_run.write_for(run, *run.load_with_facts(cpu), dataset)
    page = page_of(run)
    assert "saved model" in page.words and len(page.all("img")) > 150
    assert "costs" not in [section["id"] for section in page.all("section")]


def test_report_writes_the_page_of_any_run(tmp_path, rng):
    """From the command line: training leaves it unless told not to; report writes it, also where the data is gone."""
    folder = tmp_path / "data"
    folder.mkdir()
    for part, count in (("train", 60), ("t10k", 20)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 6, 7), np.uint8)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(rng.integers(0, 3, count, np.uint8)))
    short = ("--data", folder, "--epochs", 2, "--hidden", "8", "--code", 2, "--device", "cpu")
    code, out, err = minivae("train", *short, "--out", "run", "--no-page", cwd=tmp_path)
    assert code == 0 and "report.html" not in out and not (tmp_path / "run/report.html").exists(), err
    code, out, err = minivae("train", *short, "--out", "other", cwd=tmp_path)
    assert code == 0 and "look at other/report.html" in out.splitlines(), err
    code, out, err = minivae("report", "run", "--checkpoint", 99, "--device", "cpu", cwd=tmp_path)
    assert code == 2 and "99" in err and err.count("\n") == 1, err
    code, out, err = minivae("report", "run", "--checkpoint", "best", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and "not of the newest" in Page((tmp_path / "run/report.html").read_text()).words, err
    code, out, err = minivae("report", "run", "--device", "cpu", cwd=tmp_path)
    assert (code, err) == (0, "") and out.splitlines()[-1] == "look at run/report.html"
    pages = [Page((tmp_path / name / "report.html").read_text()) for name in ("other", "run")]
    assert all("finished epoch 2 of 2" in page.words for page in pages)
    drawn = [[picture["src"] for picture in page.all("img")] for page in pages]
    assert drawn[0] == drawn[1] and len(drawn[0]) > 200
    folder.rename(tmp_path / "moved")
    code, out, err = minivae("report", "run", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and err.startswith("The page has no images of the run's data: the data of run are no longer in ")
    assert err.count("\n") == 1
    page = Page((tmp_path / "run/report.html").read_text())
    assert len(page.all("img")) == 96 and "The page has no images of the run's data" in page.words
    code, out, err = minivae("report", "run", "--data", tmp_path / "moved", "--device", "cpu", cwd=tmp_path)
    page = Page((tmp_path / "run/report.html").read_text())
    assert code == 0 and [picture["src"] for picture in page.all("img")] == drawn[0]
    assert f"The images on this page are of {tmp_path / 'moved'}, not of the run's own data" in page.words
    assert "60 images" not in page.words
    for wrong, words in ((("none",), "there is no run"), (("other", "--data", "nowhere"), "no data set 'nowhere'"),
                         (("other", "--data", "digits"), "digits holds (28, 28, 1)")):
        code, out, err = minivae("report", *wrong, "--device", "cpu", cwd=tmp_path)
        assert code == 2 and words in err and err.count("\n") == 1 and "Traceback" not in err
