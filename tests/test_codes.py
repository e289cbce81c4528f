"""Codes in files: what is written comes back, and nothing else is taken for codes."""

import io
import re
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minivae import codes
from minivae.errors import MinivaeError, UsageError


def _same(one, two):
    np.testing.assert_array_equal(one, two, strict=True)


def test_what_is_written_comes_back(tmp_path, rng):
    """z wins over mu; what is None is left out; NumPy reads the file without unpickling."""
    mu, z, p = (rng.standard_normal((5, n)).astype(np.float32) for n in (3, 3, 2))
    path = tmp_path / "x.npz"
    codes.write(path, names=np.array(["a", "b b", "c", "d", "ü"]), mu=mu, z=None, probabilities=p)
    found, probabilities = codes.read(path, 3)
    _same(found, mu)
    _same(probabilities, p)
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["mu", "names", "probabilities"] and arrays["names"].tolist()[4] == "ü"
    codes.write(path, mu=mu, z=z)
    _same(codes.read(path, 3)[0], z)
    assert codes.read(path, 3)[1] is None and list(tmp_path.iterdir()) == [path]


def test_other_peoples_files(tmp_path, rng):
    """Compressed, column by column, other kinds of numbers and byte orders, and .npy files."""
    mu = rng.standard_normal((5, 3))
    np.savez_compressed(tmp_path / "x.npz", mu=np.asfortranarray(mu), other="text")
    _same(codes.read(tmp_path / "x.npz", 3)[0], mu.astype(np.float32))
    np.save(tmp_path / "y.npy", mu.astype(">f4"))
    _same(codes.read(tmp_path / "y.npy", 3)[0], mu.astype(np.float32))
    assert codes.read(tmp_path / "y.npy", 3)[1] is None


@pytest.mark.parametrize("shape", [(2, 4), (3,), (0, 3), (1, 1, 3)])
def test_codes_of_another_model(tmp_path, shape):
    np.savez(tmp_path / "x.npz", mu=np.zeros(shape))
    with pytest.raises(UsageError, match=rf"x.npz holds an array of shape {re.escape(str(shape))}, but .* \(count, 3\)"):
        codes.read(tmp_path / "x.npz", 3)


def _pickled():
    found = io.BytesIO()
    np.savez(found, mu=np.array([{"x": 1}], dtype=object))
    return found.getvalue()


def _claiming(shape, data=b"", dtype="<f4"):
    """An .npz file whose mu says that it has this shape."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive, archive.open("mu.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"shape": shape, "fortran_order": False, "descr": dtype})
        member.write(data)
    return found.getvalue()


BROKEN = {
    "empty": (b"", "no header of an array"), "text": (b"codes", "no header of an array"),
    "no array": (b"PK\5\6" + bytes(18), "holds no codes"), "pickled": (_pickled(), "Python's objects"),
    "too large": (_claiming((2**40, 8)), "not at most 134217728 real numbers"),
    "short": (_claiming((1000, 8), bytes(40)), "not what follows"),
    "long": (_claiming((1, 2), bytes(40)), "not what follows"),
    "negative": (_claiming((-1, -10), bytes(40)), "cannot be read"),
    "words": (_claiming((2,), bytes(40), "<U5"), "it holds <U5 of shape (2,)"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_file_of_codes(tmp_path, content):
    """One line that names the file; nothing is unpickled or taken at its word."""
    path = tmp_path / "x.npz"
    path.write_bytes(content[0])
    with pytest.raises(MinivaeError, match=re.escape(content[1])) as caught:
        codes.read(path, 3)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_names_and_missing_files(tmp_path):
    with pytest.raises(UsageError, match=r"choose a name that ends in \.npz"):
        codes.write(tmp_path / "x.npy", mu=np.zeros((1, 1)))
    for path, words in ((tmp_path / "no.npz", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(MinivaeError, match=words):
            codes.read(path, 3)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def whole():
    """A file of codes and an array alone, as bytes."""
    archive, array = io.BytesIO(), io.BytesIO()
    mu = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.savez(archive, names=np.array(list("abcd")), mu=mu, probabilities=mu)
    np.save(array, mu)
    return archive.getvalue(), array.getvalue()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 1),
       cuts=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 6)), max_size=4),
       end=st.floats(0, 1) | st.just(1.0))
def test_damaged_files(tmp_path, whole, which, cuts, end):
    """Whatever the bytes are: codes, or one error in words."""
    content = bytearray(whole[which])
    for place, put, removed in cuts:
        at = int(place * len(content))
        content[at:at + removed] = put
    (tmp_path / "x").write_bytes(content[:int(end * len(content))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # numpy's, of headers that it mends
        try:
            assert codes.read(tmp_path / "x", 3)[0].dtype == np.float32
        except MinivaeError as error:
            assert "\n" not in str(error)
