"""Many pictures decoded by several processes: crashes, hangs, stops."""

import contextlib
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from picture_files import folder_of, load, own_cache  # noqa: F401

from minivae.data import cache, decoding


def test_a_file_that_crashes_its_decoder_costs_that_file_alone(tmp_path, rng, monkeypatch):
    """And one that hangs: the others of its chunk are read by other processes."""
    folder = folder_of(tmp_path / "a", rng, each=30)
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "def patch(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('7.png') and 'cat' in str(args[0]): os.kill(os.getpid(), 11)\n"
        "    if event == 'open' and str(args[0]).endswith('dog/4.png'): time.sleep(100)\n"
        "sys.addaudithook(patch)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(decoding, "PATIENCE", 3.0)
    got = load(folder, skip_share=0.2, size=(8, 8), colour="grey")
    assert [name for name, _ in got.skipped] == ["cat/17.png", "cat/27.png", "cat/7.png", "dog/4.png"]
    assert all("crashes" in reason for _, reason in got.skipped)
    assert len(got.train_images) + len(got.test_images) == 56
    (tmp_path / "sitecustomize.py").write_text("")      # what was cached then is not what there is now
    said = []
    got = load(folder, said, size=(8, 8), colour="grey")
    assert got.skipped == () and len(got.train_images) + len(got.test_images) == 60 and "can be now" in said[0]


def test_the_number_of_processes_does_not_matter(tmp_path, rng, monkeypatch):
    folder = folder_of(tmp_path / "a", rng, each=50)
    found = []
    for threads in "13":
        monkeypatch.setenv("MINIVAE_THREADS", threads)
        monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path / threads))
        found.append(load(folder).train_images)
    np.testing.assert_array_equal(*found)


def test_two_processes_at_once(tmp_path, rng, own_cache):
    """Each gets all images, and one file stays."""
    folder = folder_of(tmp_path / "a", rng, each=40)
    code = "import sys; from minivae import data; print(data.load(sys.argv[1]).train_images.sum())"
    both = [subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert said[0][0] == said[1][0] != b"" and [process.returncode for process in both] == [0, 0], said
    assert len(list(own_cache.glob("*.images"))) == 1 and not list(own_cache.glob(".*"))


def test_ctrl_c_leaves_nothing(tmp_path, rng, own_cache):
    """While pictures are decoded: no part of the cache, no process."""
    folder = folder_of(tmp_path / "a", rng, each=200, size=(200, 200), suffix=".jpg")
    code = ("import signal, sys; signal.signal(2, signal.default_int_handler)\n"       # which tests in the background ignore
            "from minivae import data; data.load(sys.argv[1], data.Reading(size=(64, 64), colour='colour'))")
    for _ in range(5):      # it may be done sooner
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stderr=subprocess.PIPE, process_group=0)
        deadline = time.monotonic() + 60
        while not list(own_cache.glob(f".*{cache.PART}")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 2)
        process.communicate(timeout=60)
        if process.returncode != 0:
            break
        shutil.rmtree(own_cache)
    assert process.returncode != 0 and not list(own_cache.glob(f".*{cache.PART}"))
    assert not list(own_cache.glob("*.images"))
    with pytest.raises(ProcessLookupError):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.05)


def test_a_process_that_has_ended_is_ended(tmp_path):
    """What could not be told to it is no error."""
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(b"x")
    process.wait()
    crew = decoding._Crew({}, [])
    crew._end(process)
    assert process.stdout.closed
