"""A small trained model behind the page's server, for its tests: with and without classes, as test clients and as a run."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
from command_line import ROOT
from data_sets import some_digits
from flask.testing import FlaskClient

from minivae.estimator import VAE
from minivae.serve.app import create
from minivae.serve.guard import Guard
from minivae.serve.served import Served, Thread

SMALL = {"hidden": (24, 12), "code": 6, "epochs": 2, "batch_size": 20}
HOST = "localhost:8123"


class Client(FlaskClient):
    """Names the host that the server is known by, unless a test names another; takes every answer whole, so that no file of
    it stays open."""

    def open(self, *arguments, **named):
        named.setdefault("base_url", f"http://{HOST}")
        return super().open(*arguments, buffered=True, **named)


def client_of(served: Served, name: str = "run") -> Client:
    app = create(served, Guard("127.0.0.1", 8123), name)
    app.test_client_class = Client
    return app.test_client()


@pytest.fixture(scope="session")
def digits():
    return some_digits(100, 30)


@pytest.fixture(scope="session")
def thread():
    with Thread() as thread:
        yield thread


@pytest.fixture(scope="session")
def vaes(digits, thread):
    """One that knows of no classes, one that does, both on the CPU."""
    def trained(*labels):
        return VAE(**SMALL, device="cpu").fit(digits.train_images, *labels, progress=False)
    return {"plain": thread(trained), "labelled": thread(trained, digits.train_labels)}


@pytest.fixture(scope="session")
def plain(vaes, digits, thread):
    return client_of(Served(vaes["plain"], digits.test_images, thread), "plain")


@pytest.fixture(scope="session")
def labelled(vaes, digits, thread):
    return client_of(Served(vaes["labelled"], digits.test_images, thread), "labelled")


@pytest.fixture(scope="session")
def run(vaes, tmp_path_factory):
    path = tmp_path_factory.mktemp("serve") / "labelled"
    vaes["labelled"].save(path)
    return path


@contextmanager
def started(run, *more):
    """`minivae serve` in a process of its own, which ends with this context: (process, address) once it says where it is."""
    command = [sys.executable, "-m", "minivae", "serve", str(run), "--port", "0", "--device", "cpu", *more]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                yield process, found[0]
                return
        pytest.fail(process.stderr.read())
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def serving(run):
    """Starts `minivae serve` with more arguments: (process, address); all are ended after the test."""
    with ExitStack() as stack:
        yield lambda *more: stack.enter_context(started(run, *more))
