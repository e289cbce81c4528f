"""Operations: forward and backward side by side, one module a kernel file, of the same name."""

from minivae.ops import operators
from minivae.ops.batch_norm import batch_norm
from minivae.ops.batch_norm_pool import batch_norm_pool2d
from minivae.ops.binary import add, divide, maximum, minimum, multiply, power, subtract, where
from minivae.ops.compare import equal, greater, greater_equal, less, less_equal, not_equal
from minivae.ops.conv import conv2d, conv2d_transpose
from minivae.ops.distort import distort
from minivae.ops.dropout import dropout
from minivae.ops.joint import batch_mean
from minivae.ops.linear import linear
from minivae.ops.loss import bernoulli, squared_error
from minivae.ops.matmul import matmul
from minivae.ops.pool import average_pool2d, max_pool2d, upsample2d
from minivae.ops.reductions import logsumexp, max, mean, sum, var
from minivae.ops.reparameterize import reparameterize
from minivae.ops.shape import broadcast_to, concatenate, pad, reshape, split, stack, transpose
from minivae.ops.softmax import cross_entropy, log_softmax, softmax
from minivae.ops.take import embedding, index, take
from minivae.ops.unary import (
    abs,
    clip,
    elu,
    exp,
    gelu,
    hard_tanh,
    leaky_relu,
    log,
    negative,
    relu,
    sigmoid,
    softplus,
    sqrt,
    tanh,
)

__all__ = ["abs", "add", "average_pool2d", "batch_mean", "batch_norm", "batch_norm_pool2d", "bernoulli", "broadcast_to",
           "clip", "concatenate", "conv2d", "conv2d_transpose", "cross_entropy", "distort", "divide", "dropout", "elu", "embedding",
           "equal", "exp", "gelu", "greater", "greater_equal", "hard_tanh", "index", "leaky_relu", "less", "less_equal", "linear",
           "log", "log_softmax", "logsumexp", "matmul", "max", "max_pool2d", "maximum", "mean", "minimum", "multiply",
           "negative", "not_equal", "operators", "pad", "power", "relu", "reparameterize", "reshape", "sigmoid", "softmax",
           "softplus", "split", "sqrt", "squared_error", "stack", "subtract", "sum", "take", "tanh", "transpose",
           "upsample2d", "var", "where"]
