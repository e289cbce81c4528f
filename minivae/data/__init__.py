"""Data sets: the built-in digits, MNIST, Fashion-MNIST, IDX files, arrays' files, or anybody's pictures.

    dataset     images and labels, split into train and test
    reading     how files become images: size, colours, labels, the share held out
    loading     whatever holds images, by its name or its path
    named, download, idx, idx_files, array_files, kinds
    finding, folders, table, listing    which pictures there are, and their labels
    picture     one picture, decoded
    decoding, worker                    many, in parallel
    survey, split, cache, pictures      sizes that suit, what is held out, decoded once
"""

from minivae.data.dataset import Dataset
from minivae.data.idx_files import STEMS
from minivae.data.loading import absolute, fitting, load
from minivae.data.named import DEFAULT, DIGITS_FOLDER, NAMES, SOURCES, Source, cache_folder
from minivae.data.reading import Reading

ARRAYS = "arrays"        # the name of a set that came from Python, not by a name or from a file

__all__ = ["ARRAYS", "DEFAULT", "DIGITS_FOLDER", "NAMES", "SOURCES", "STEMS", "Dataset", "Reading", "Source", "absolute",
           "cache_folder", "fitting", "load"]
