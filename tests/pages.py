"""What the tests of a run's page share: short trainings with a page, and a strict reader of it."""

from html.parser import HTMLParser

import numpy as np

from minivae import data, fitting
from minivae.page import following
from minivae.page.following import Following
from minivae.runs import Run
from minivae.runs.journal import Journal

ALONE = {"img", "meta", "link", "br"}      # elements that have no end


class Page(HTMLParser):
    """A page as its tags say it is: well formed, or reading it fails.

    Attributes:
        tags: (name, attributes) of all elements.
        words: all text but the style sheet's, one space between parts.
    """

    def __init__(self, text: str):
        super().__init__()
        self.tags, self._open, self._words = [], [], []
        self.feed(text)
        self.close()
        assert not self._open, f"left open: {self._open}"
        self.words = " ".join(" ".join(self._words).split())

    def all(self, name: str) -> list[dict]:
        """The attributes of all elements of that name."""
        return [attributes for tag, attributes in self.tags if tag == name]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ALONE:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, words):
        if self._open and self._open[-1] != "style":
            self._words.append(words)


def data_set(rng, train=6, test=4, shape=(5, 6, 1), classes=None, name="noise", class_names=()) -> data.Dataset:
    """Images of noise, with labels in turn or with none."""
    def part(count):
        labels = None if classes is None else np.arange(count) % classes
        return rng.integers(0, 256, (count, *shape), np.uint8), labels

    dataset = data.Dataset(name, *part(train), *part(test))
    object.__setattr__(dataset, "class_names", tuple(class_names))
    return dataset


def trained(folder, dataset, device, monkeypatch=None, **told):
    """A training with a page at the end: its run. With `monkeypatch` the page is written after every epoch, too."""
    if monkeypatch:
        monkeypatch.setattr(following, "SHARE", np.inf)
    told = {"epochs": 2, "hidden": (8,), "code": 3, "batch_size": 2, **told}
    trainer = fitting.prepare(told, dataset, device, say=lambda _: None)
    run, page = followed(trainer, folder)
    fitted = fitting.train(trainer, progress=False, listeners=[page])
    page.finish(fitted.score)
    return run


def followed(trainer, folder):
    """(run, page) of a training into that folder."""
    run = Run.create(trainer.settings, folder)
    trainer.journal = Journal(run)
    return run, Following(trainer, run)


def page_of(run) -> Page:
    """The run's page, read."""
    return Page((run.folder / "report.html").read_text())
