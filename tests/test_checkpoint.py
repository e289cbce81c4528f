"""Checkpoints: whole or refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minivae import checkpoint
from minivae.errors import MinivaeError
from minivae.files import replacing

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b.c": np.ones(4), "scalar": np.array(3, np.int32)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "a.safetensors"
    checkpoint.save(path, ARRAYS, {"epoch": 3, "x": [1, 2]})
    return path


def test_round_trip(whole):
    arrays, facts = checkpoint.load(whole)
    assert facts == {"epoch": 3, "x": [1, 2]} and arrays.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], value)
        assert arrays[name].dtype == value.dtype


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_noticed(whole, tmp_path_factory, data):
    """A flipped bit anywhere, or a cut anywhere, is one line that says so; never wrong numbers, never a trace."""
    content = bytearray(whole.read_bytes())
    if data.draw(st.booleans()):
        content = content[:data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(content)
    try:
        arrays, facts = checkpoint.load(path)
    except MinivaeError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    else:       # a bit may flip in blanks of the header, or in a fact
        for name, value in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], value)


def test_strangers_are_refused(tmp_path):
    from safetensors.numpy import save
    path = tmp_path / "other.safetensors"
    path.write_bytes(save({"a": np.ones(3)}))
    with pytest.raises(MinivaeError, match="no checkpoint of this minivae"):
        checkpoint.load(path)
    with pytest.raises(MinivaeError, match="there is no checkpoint"):
        checkpoint.load(tmp_path / "missing")
    with pytest.raises(MinivaeError, match="cannot be read"):
        checkpoint.load(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    """An error on the way, in whatever place, keeps what was there and leaves nothing beside it."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"new")
        raise RuntimeError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(MinivaeError, match="cannot write .*choose a place that can be written"), \
            replacing(tmp_path / "no" / "folder"):
        pass
