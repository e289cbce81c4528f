"""Modules: they own parameters and statistics, and call ops.

module.py says what a module is, initial.py draws first weights, layers.py has the plain layers, draws.py says which noise
they draw, batch_norm.py has batch norm and the layers that end with it, flat.py lays all parameters into one array for the
optimizer, joint.py says which layers look at a whole batch, summary.py lists what a model is made of.
"""

from minivae.nn.batch_norm import BatchNorm, Conv, Dense, batch_norms
from minivae.nn.draws import noise
from minivae.nn.flat import Flat
from minivae.nn.initial import glorot
from minivae.nn.joint import Joint, join
from minivae.nn.layers import Conv2d, Dropout, Embedding, Flatten, Linear, Sequential
from minivae.nn.module import Buffer, Module, Parameter
from minivae.nn.summary import Summary, summarize

__all__ = ["BatchNorm", "Buffer", "Conv", "Conv2d", "Dense", "Dropout", "Embedding", "Flat", "Flatten", "Joint", "Linear",
           "Module", "Parameter", "Sequential", "Summary", "batch_norms", "glorot", "join", "noise", "summarize"]
