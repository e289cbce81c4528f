"""Whatever is in a file of data: images, or one line; never a trace, a hang, or more memory than there should be."""

import io
import os

import fuzz_files
import numpy as np
import pytest
from fuzz import Reader, bounded, check_words, damaged, place  # noqa: F401
from hypothesis import strategies as st
from PIL import Image

from minivae import codes, data, images
from minivae.data import array_files, decoding, idx_files, listing, table
from minivae.data.idx import read_idx
from minivae.data.picture import Unreadable, decode, look
from minivae.data.reading import Reading
from minivae.errors import MinivaeError


def say(line):
    """A line of a data set's reader."""
    assert len(line.splitlines()) == 1


def of_file(path, read):
    """`read` of the content, as a file there."""
    def whole(content):
        path.write_bytes(content)
        return read(str(path))

    return whole


def test_idx(place):
    def read(path):
        array = read_idx(path)
        assert array.dtype == np.uint8 and array.size

    Reader(of_file(place / "a", read)).fuzz(2000, st.one_of(damaged(*fuzz_files.idx_files()), st.binary(max_size=40)),
                                               fuzz_files.idx_corpus())


def test_idx_in_its_places(place):
    """A folder of four files of which one is damaged; one file of images."""
    for stem in idx_files.STEMS:
        (place / stem).write_bytes(fuzz_files.idx_files()[2 if "labels" in stem else 0])

    def read(content):
        stem = idx_files.STEMS[len(content) % 4]
        whole = (place / stem).read_bytes()
        (place / stem).write_bytes(content)
        try:
            data.load(str(place), say=say)
        finally:
            (place / stem).write_bytes(whole)

    Reader(read).fuzz(400, damaged(*fuzz_files.idx_files()), fuzz_files.idx_corpus())


def arrays(place, name):
    def read(path):
        found = array_files.load(path, path, name.rsplit(".")[-1], Reading(), say)
        assert found.train_images.ndim == 4 and found.train_images.dtype in (np.uint8, np.float32)
        assert found.train_labels is None or found.train_labels.min() >= -1

    return Reader(of_file(place / name, read))


def test_npy(place):
    pixels = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
    whole = [fuzz_files.npy(array) for array in (pixels, np.asfortranarray(pixels), pixels / 255, (pixels / 255).astype(">f2"))]
    arrays(place, "a.npy").fuzz(2000, damaged(*whole), [*fuzz_files.nasty_arrays(), fuzz_files.npz(X=pixels)])


def test_npz(place):
    """Of images, of images and labels, of a split; arrays of all kinds in each place."""
    pixels, labels = np.zeros((4, 5, 6), np.uint8), np.array([0, 1, 1, -1])
    whole = [fuzz_files.npz(X=pixels), fuzz_files.npz(x_train=pixels, y_train=labels, x_test=pixels, y_test=labels),
             fuzz_files.npz(compression=8, images=pixels / 255, labels=labels[:, None])]
    odd = [fuzz_files.npz(X=pixels, **{name: array}) for array in (*fuzz_files.nasty_arrays(), *fuzz_files.label_arrays())
           for name in ("y", "x_test", "y_test")]
    arrays(place, "a.npz").fuzz(2000, damaged(*whole), [*fuzz_files.zips("X"), *odd, fuzz_files.npy(pixels)])
    assert not os.path.exists("unpickled")


def test_codes(place):
    def read(path):
        found, _ = codes.read(path, 3)
        assert found.dtype == np.float32 and found.shape[1] == 3 and np.isfinite(found).all()

    mu = np.arange(12, dtype=np.float32).reshape(4, 3)
    whole = [fuzz_files.npz(names=np.array(list("abcd")), mu=mu, probabilities=mu), fuzz_files.npz(compression=8, z=mu, mu=mu),
             fuzz_files.npy(mu), fuzz_files.npy(np.asfortranarray(mu.astype(">f8")))]
    Reader(of_file(place / "a", read)).fuzz(2000, damaged(*whole), [*fuzz_files.zips("mu"), *fuzz_files.nasty_arrays()])
    assert not os.path.exists("unpickled")


@pytest.mark.parametrize("kind", ["PNG JPEG", "TIFF", "others"])
def test_pictures(kind):
    """Looked at and decoded, as the processes that decode do it."""
    turn = 0

    def read(content):
        nonlocal turn
        turn += 1
        try:
            found = look(io.BytesIO(content))
            assert found.height > 0 and found.width > 0
        except Unreadable as error:
            check_words(error)
        shape = ((8, 6, 3), (5, 9, 1))[turn % 2]
        pixels = decode(io.BytesIO(content), shape, ("crop", "pad", "stretch")[turn % 3])
        assert pixels.shape == shape and pixels.dtype == np.uint8

    def of_kind(file):
        begins = file[:4]
        return ("PNG JPEG" if begins[:3] in (b"\x89PN", b"\xff\xd8\xff") else "TIFF" if begins[:3] in (b"II*", b"MM\0") else "others")

    whole = [file for file in fuzz_files.pictures() if of_kind(file) == kind]
    nasty = [file for file in fuzz_files.nasty_pictures() if of_kind(file) == kind]
    Reader(read, Unreadable).fuzz(1500, damaged(*whole), nasty)


def test_pictures_in_processes_of_their_own(place):
    """As a training reads them: every file has a result, and those that are whole are not lost with the others."""
    rng, whole = np.random.default_rng(0), fuzz_files.pictures()
    contents = [*whole, *fuzz_files.nasty_pictures()]
    for i in range(300):
        content = bytearray(whole[i % len(whole)])
        for at in rng.integers(0, len(content), 3):
            content[at] = rng.integers(256)
        contents.append(bytes(content))
    paths = []
    for i, content in enumerate(contents):
        paths.append(str(place / f"{i}.png"))
        with open(paths[-1], "wb") as file:
            file.write(content)
    (place / "into").write_bytes(b"")
    job = {"task": "decode", "shape": [8, 6, 3], "fit": "crop", "into": str(place / "into"), "start": 0}
    results = {result.index: result for result in decoding.each(job, paths)}
    assert sorted(results) == list(range(len(paths)))
    assert all(results[i].unreadable is None for i in range(len(whole)))
    for result in results.values():
        assert (result.unreadable is None) != (result.found is None)
        assert result.unreadable is None or len(result.unreadable.splitlines()) == 1 and "crash" not in result.unreadable
    assert (place / "into").stat().st_size <= len(paths) * 8 * 6 * 3


def test_images_of_a_model(place):
    """What is named to a trained model: pictures and IDX files, told apart by how they begin."""
    def read(path):
        names, found = images.read([path], (4, 5, 1))
        assert len(names) == len(found) and found.shape[1:] == (4, 5, 1)

    Reader(of_file(place / "a", read)).fuzz(500, damaged(*fuzz_files.idx_files(), *fuzz_files.pictures()),
                                               [*fuzz_files.idx_corpus(), b"\x1f\x8b", b"\0\0\x08"])


def test_tables(place):
    """As the list of a data set's pictures, and as the labels of a folder's."""
    (place / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        Image.new("L", (3, 3)).save(place / name)

    def read(path):
        try:
            found = listing.of_table(path)
            assert found.files
        except MinivaeError as error:
            check_words(error)
        numbers, names = table.numbered(list(table.read(path).values()))
        assert max(numbers) < len(names) or not names
        listing.of_folder(str(place), path)

    word = st.sampled_from(["a.png", "sub/b.png", "a", "b.png", "", "cat", "7", "-7", "--7", "label", "file", '"', '""', "\0", "\ufeff",
                            "\r", "x" * 70_000, "\x1b", "/dev/zero", "..", "\u0661"])
    cells = st.lists(st.lists(word, max_size=3), max_size=4)
    text = st.builds(lambda rows, by, end: end.join(by.join(row) for row in rows).encode(), cells,
                     st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    Reader(of_file(place / "labels.csv", read)).fuzz(2500, st.one_of(damaged(*fuzz_files.tables()), text),
                                                        fuzz_files.nasty_tables())


def test_tables_are_bounded(place):
    """A sparse file of 4 GB, in one line or in lines without end, is refused before it is read."""
    with open(place / "a.csv", "wb") as file:
        file.truncate(4 << 30)
    with bounded(), pytest.raises(MinivaeError, match="is no CSV table"):
        table.read(place / "a.csv")
