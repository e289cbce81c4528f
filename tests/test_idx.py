"""Reading IDX files: what is right comes through, what is wrong is named."""

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minivae.errors import MinivaeError
from minivae.data.idx import read_idx

FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def idx(shape, body=None, kind=0x08):
    """The bytes of an IDX file; the body counts up where none is given."""
    if body is None:
        body = (np.arange(np.prod(shape)) % 251).astype(np.uint8).tobytes()
    return bytes([0, 0, kind, len(shape)]) + np.array(shape, ">u4").tobytes() + body


def message(kind, call, *args):
    """The text of the error that the call must raise; it must be one line, and of `kind`."""
    with pytest.raises(MinivaeError) as caught:
        call(*args)
    assert type(caught.value) is kind
    text = str(caught.value)
    assert text and "\n" not in text
    return text


@pytest.mark.parametrize("shape", [(7,), (3, 4), (5, 4, 3), (2, 3, 4, 3)])
@pytest.mark.parametrize("zipped", [False, True])
def test_read_idx_gives_back_what_was_written(tmp_path, shape, zipped):
    path = tmp_path / "name-says-nothing"
    content = idx(shape)
    path.write_bytes(gzip.compress(content) if zipped else content)
    array = read_idx(path)
    assert array.dtype == np.uint8 and array.shape == shape and array.flags.c_contiguous
    assert array.tobytes() == content[4 + 4 * len(shape) :]


def test_a_plain_file_that_is_called_gz_is_read(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(idx((3,)))
    assert read_idx(str(path)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ["cut short after 0 bytes", "at least 4"]),
        (b"\0\0\x08", ["cut short after 3 bytes"]),
        (b"\x89PNG....", ["89 50 4e 47", "00 00 08"]),
        (idx((2,), b"\0" * 8, kind=0x0D), ["0x0d", "32-bit floats", "0x08"]),
        (idx((2,), kind=0x42), ["0x42", "unknown type"]),
        (b"\0\0\x08\0" + b"x", ["0 dimensions", "1 to 4"]),
        (idx((1,) * 5), ["5 dimensions", "1 to 4"]),
        (idx((2, 2, 2))[:13], ["cut short after 13 bytes", "16 bytes"]),
        (idx((4, 0, 3)), ["4 x 0 x 3"]),
        (idx((2**16, 2**16), b""), ["65536 x 65536", "2147483648"]),
        (idx((2**32 - 1,), b""), ["4294967295"]),
        (idx((3, 2))[:-1], ["only 5 bytes", "3 x 2 = 6"]),
        (idx((2**31,), b"abc"), ["only 3 bytes", "2147483648"]),
        (idx((3, 2)) + b"x", ["more than 6 bytes", "3 x 2 = 6"]),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_broken_idx_file_is_named_with_what_was_found_and_expected(
    tmp_path, content, expected, zipped
):
    path = tmp_path / "broken.idx"
    path.write_bytes(gzip.compress(content) if zipped else content)
    text = message(MinivaeError, read_idx, path)
    for part in [str(path), *expected, "intact copy"]:
        assert part in text


def test_damaged_gzip_is_named(tmp_path):
    path = tmp_path / "damaged.gz"
    whole = gzip.compress(idx((50,), bytes(np.random.default_rng(0).bytes(50))), mtime=0)
    for damaged in (
        whole[:2],  # the magic alone
        whole[:30],  # cut in the data
        whole[:-3],  # cut in the checksum
        whole[:-6] + b"\xff" + whole[-5:],  # another checksum
        whole[:10] + b"\xff" + whole[11:],  # no such kind of block
        whole + b"trailing",
    ):
        path.write_bytes(damaged)
        text = message(MinivaeError, read_idx, path)
        assert str(path) in text and "damaged gzip data" in text and "intact" in text


def test_a_missing_file_and_one_that_cannot_be_read_are_told_apart(tmp_path):
    assert "no such file" in message(MinivaeError, read_idx, tmp_path / "none")
    assert "cannot be read" in message(MinivaeError, read_idx, tmp_path)


def test_neither_a_gzip_bomb_nor_a_lying_header_fills_memory(tmp_path):
    bomb, liar = tmp_path / "bomb.gz", tmp_path / "liar"
    bomb.write_bytes(gzip.compress(idx((10,), b"\0" * (64 << 20)), compresslevel=1))
    liar.write_bytes(idx((2**31,), b"\0" * 10))
    tracemalloc.start()
    try:
        assert "more than 10 bytes" in message(MinivaeError, read_idx, bomb)
        assert "only 10 bytes" in message(MinivaeError, read_idx, liar)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def read_or_explain(path, content):
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except MinivaeError as error:
        assert str(path) in str(error)
        assert len(str(error).splitlines()) == 1
    else:
        assert array.dtype == np.uint8 and array.size > 0


@FUZZ
@given(prefix=st.sampled_from([b"", b"\0\0\x08", b"\x1f\x8b", b"\x1f\x8b\x08\0"]), rest=st.binary())
def test_only_minivae_errors_come_of_random_bytes(tmp_path, prefix, rest):
    read_or_explain(tmp_path / "fuzz", prefix + rest)


@FUZZ
@given(
    zipped=st.booleans(),
    cut=st.integers(0, 60),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
)
@example(zipped=False, cut=0, changes=[(3, 200)])
@example(zipped=True, cut=0, changes=[])
def test_only_minivae_errors_come_of_mutated_files(tmp_path, zipped, cut, changes):
    content = bytearray(idx((3, 4, 5)))
    if zipped:
        content = bytearray(gzip.compress(content, mtime=0))
    for place, value in changes:
        content[place % len(content)] = value
    read_or_explain(tmp_path / "fuzz", bytes(content[: len(content) - cut]))
