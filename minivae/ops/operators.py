"""The operators of Tensors: they are attached here, since the engine knows no operation."""

from __future__ import annotations

from minivae.ops import binary, unary
from minivae.ops.matmul import matmul
from minivae.ops.shape import transpose
from minivae.ops.take import index
from minivae.tensor import Tensor

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
Tensor.__getitem__ = index
Tensor.__setitem__ = lambda self, key, values: self.assign(values, key)
Tensor.__iter__ = lambda self: (index(self, i) for i in range(len(self)))
Tensor.__len__ = lambda self: len(self.data)
Tensor.T = property(transpose)
