"""Damaged files on the command line: one line, an exit code, no trace; in this process, where a few dozen take no time."""

import json
import sys
import warnings

import fuzz_files
import numpy as np
import pytest
from data_sets import idx, some_digits
from fuzz import PATIENCE, at_most, bounded

from minivae import VAE, checkpoint
from minivae.cli import entry
from minivae.errors import MinivaeError
from minivae.runs import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a run, and files of images."""
    found = tmp_path_factory.mktemp("fuzz")
    digits = some_digits(20, 4)
    VAE(hidden=(3,), code=2, epochs=1, batch_size=10, device="cpu").fit(digits.train_images, progress=False).save(found / "run")
    (found / "images.idx").write_bytes(idx(digits.test_images[..., 0]))
    return found


@pytest.fixture
def told(folder, monkeypatch, capsys):
    """(exit code, errors) of a command that must not get as far as a run's folder."""
    def begun(*arguments, **options):
        raise MinivaeError("the training would begin now")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(Run, "create", begun)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["minivae", *map(str, arguments)])
        with warnings.catch_warnings(), bounded(512 << 20), at_most(PATIENCE), pytest.raises(SystemExit) as left:
            entry.main()
        found = capsys.readouterr()
        assert left.value.code in (1, 2), found
        lines = [line for line in found.err.splitlines() if not line.startswith(("looking at ", "decoding "))]
        assert len(lines) == 1 and lines[0].startswith("minivae: ") and "Traceback" not in found.err, found.err[:2000]
        return lines[0]

    return run


def numbers():
    """Settings that are of their types, but cannot be."""
    for name in ("epochs", "batch_size", "code", "samples", "labels", "shift", "seed", "split_seed"):
        for value in (-1, 0, 2**31, 2**63, 2**64 - 1):
            if (name, value) not in (("seed", 0), ("split_seed", 0), ("shift", 0), ("seed", 2**31), ("seed", 2**63), ("seed", 2**64 - 1)):
                yield f"{name} = {value}"
    for name in ("learning_rate", "warm_up", "rescale", "clip", "weight_decay", "ema", "sigma", "beta", "kl_warm_up", "free_bits",
                 "label_weight", "label_kl", "consistency", "test_share", "skip_share"):
        yield from (f"{name} = {value}" for value in ("-1", "nan", "inf", "-inf", "18446744073709551615", "1e308", "1e-320"))
    for value in ("[]", "[0]", "[-1]", "[9223372036854775807]", "[4294967296, 4294967296]", "[1000000000]"):
        yield f"hidden = {value}"
        yield f'arch = "conv"\nchannels = {value}'
        yield f"size = {value}"


BEGINS = "the training would begin now"


@pytest.mark.parametrize("part", range(4))
def test_config(told, folder, part):
    """Every odd file of settings, and every number that a setting cannot have."""
    whole = 'data = "digits"\nhidden = [3]\ncode = 2\nbatch_size = 10\nepochs = 2\n'
    contents = [*fuzz_files.nasty_toml()]
    for line in numbers():
        kept = [old for old in whole.splitlines() if old.split(" = ")[0] not in line]
        contents.append("\n".join([*kept, line]).encode())
    for content in contents[part::4]:
        (folder / "a.toml").write_bytes(content)
        told("train", "--device", "cpu", "--config", "a.toml")


def test_config_that_is_right_goes_on(told, folder):
    """So that the others are refused for what they are."""
    (folder / "a.toml").write_text('data = "digits"\nhidden = [3]\ncode = 2\nbatch_size = 10\nepochs = 2\n')
    assert BEGINS in told("train", "--device", "cpu", "--config", "a.toml")
    assert "no file" in told("train", "--config", "none.toml") and "cannot be used" in told("train", "--config", "/dev/zero")


def test_data(told, folder):
    """A damaged file of every kind, as PATH."""
    labels = fuzz_files.npz(X=np.zeros((20, 4, 4), np.uint8), y=np.array([2**40, *range(19)]))
    unsigned = fuzz_files.npz(X=np.zeros((20, 4, 4), np.uint8), y=np.array([2**63, *range(19)], np.uint64))
    files = {"a.idx": fuzz_files.idx_corpus(), "a.npy": fuzz_files.nasty_arrays(), "a.npz": fuzz_files.zips("X")[::3],
             "a.csv": fuzz_files.nasty_tables(), "b.npz": [labels, unsigned]}
    for name, contents in files.items():
        for content in contents:
            (folder / name).write_bytes(content)
            told("train", name, "--labels", "19", "--batch-size", "2", "--device", "cpu")


def test_verbs(told, folder):
    """Damaged codes and images, and a damaged run."""
    (folder / "a").write_bytes(b"")
    for content in [*fuzz_files.zips("mu")[::4], *fuzz_files.nasty_arrays()[::4]]:
        (folder / "a").write_bytes(content)
        told("decode", "run", "a", "--device", "cpu", "--out", "out.png")
    for content in [*fuzz_files.idx_corpus(), *fuzz_files.nasty_pictures()[::5][:6]]:
        (folder / "a").write_bytes(content)
        if content not in READABLE:
            told("encode", "run", "a", "--device", "cpu", "--out", "out.npz")
    run = Run(folder / "run")
    whole = run.checkpoints.single.read_bytes()
    arrays, facts = checkpoint.load(run.checkpoints.single)
    try:
        for value in fuzz_files.ODD[::4]:
            checkpoint.save(run.checkpoints.single, arrays, {**facts, "image_shape": value})
            told("sample", "run", "--device", "cpu")
        metadata = {"format": checkpoint.FORMAT, "facts": json.dumps(facts), "sha256": "0" * 64}
        for content in fuzz_files.nasty_safetensors(metadata)[::4]:
            run.checkpoints.single.write_bytes(content)
            told("sample", "run", "--device", "cpu")
    finally:
        run.checkpoints.single.write_bytes(whole)


READABLE = [content for content in fuzz_files.nasty_pictures() if content.startswith((b"\x89PNG", b"\xff\xd8"))]
