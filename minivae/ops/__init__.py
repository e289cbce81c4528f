"""Operations: forward and backward side by side, one module a kernel file, of the same name."""

from minivae.ops.arithmetic import add, mean
from minivae.ops.batch_norm import batch_norm
from minivae.ops.batch_norm_pool import batch_norm_pool2d
from minivae.ops.conv import conv2d, conv2d_transpose
from minivae.ops.linear import linear
from minivae.ops.loss import bernoulli, squared_error
from minivae.ops.pool import max_pool2d, upsample2d
from minivae.ops.reparameterize import reparameterize
from minivae.ops.shape import reshape

__all__ = ["add", "batch_norm", "batch_norm_pool2d", "bernoulli", "conv2d", "conv2d_transpose", "linear", "max_pool2d", "mean",
           "reparameterize", "reshape", "squared_error", "upsample2d"]
