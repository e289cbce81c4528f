"""The operators of Tensors: they are attached here, since the engine knows no operation."""

from __future__ import annotations

import numpy as np

from minivae.ops import binary, compare, unary
from minivae.ops.matmul import matmul
from minivae.ops.shape import transpose
from minivae.ops.take import index
from minivae.tensor import Tensor


def _comparison(compared):
    """The operator of a comparison; what is no number and no array it leaves to Python, whose == then asks for identity."""

    def operator(self, other):
        if isinstance(other, (Tensor, np.ndarray, *binary.NUMBERS)) or hasattr(other, "dtype"):
            return compared(self, other)
        return NotImplemented

    return operator


def _truth(self) -> bool:
    if self.size != 1:
        raise ValueError(f"a Tensor of shape {self.shape} is neither true nor false; take .numpy().all() or .any()")
    return bool(self.item())


Tensor.__add__ = binary.add
Tensor.__radd__ = lambda self, other: binary.add(other, self)
Tensor.__sub__ = binary.subtract
Tensor.__rsub__ = lambda self, other: binary.subtract(other, self)
Tensor.__mul__ = binary.multiply
Tensor.__rmul__ = lambda self, other: binary.multiply(other, self)
Tensor.__truediv__ = binary.divide
Tensor.__rtruediv__ = lambda self, other: binary.divide(other, self)
Tensor.__pow__ = binary.power
Tensor.__rpow__ = lambda self, other: binary.power(other, self)
Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda self, other: matmul(other, self)
Tensor.__neg__ = unary.negative
Tensor.__lt__ = _comparison(compare.less)
Tensor.__le__ = _comparison(compare.less_equal)
Tensor.__gt__ = _comparison(compare.greater)
Tensor.__ge__ = _comparison(compare.greater_equal)
Tensor.__eq__ = _comparison(compare.equal)
Tensor.__ne__ = _comparison(compare.not_equal)
Tensor.__hash__ = object.__hash__       # by identity: tensors are kept in sets and as keys
Tensor.__bool__ = _truth
Tensor.__getitem__ = index
Tensor.__setitem__ = lambda self, key, values: self.assign(values, key)
Tensor.__iter__ = lambda self: (index(self, i) for i in range(len(self)))
Tensor.__len__ = lambda self: len(self.data)
Tensor.T = property(transpose)
