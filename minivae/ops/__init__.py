"""Operations: forward and backward side by side, one module a kernel file, of the same name."""

from minivae.ops.arithmetic import add, mean
from minivae.ops.batch_norm import batch_norm
from minivae.ops.linear import linear
from minivae.ops.loss import bernoulli, squared_error
from minivae.ops.reparameterize import reparameterize

__all__ = ["add", "batch_norm", "bernoulli", "linear", "mean", "reparameterize", "squared_error"]
