"""Modules: they own parameters and statistics, and call ops.

module.py says what a module is, initial.py draws first weights, layers.py has the layers, flat.py lays all parameters
into one array for the optimizer, summary.py lists what a model is made of.
"""

from minivae.nn.flat import Flat
from minivae.nn.initial import glorot
from minivae.nn.layers import BatchNorm, Conv, Dense, Sequential, batch_norms
from minivae.nn.module import Buffer, Module, Parameter
from minivae.nn.summary import Summary, summarize

__all__ = ["BatchNorm", "Buffer", "Conv", "Dense", "Flat", "Module", "Parameter", "Sequential", "Summary", "batch_norms",
           "glorot", "summarize"]
