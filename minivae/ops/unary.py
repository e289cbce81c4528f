"""Functions of one number, elementwise (kernels/unary.cu)."""

from __future__ import annotations

import math

from minivae.device import empty_like
from minivae.kernels import launch
from minivae.tensor import Tensor, op
from minivae.work import elements

# As with_kind() in kernels/unary.cu numbers them.
(AFFINE, OVER, DIVIDED_BY, SQUARE, POWER, POWER_OF, EXP, LOG, SQRT, TANH, SIGMOID, SOFTPLUS, LEAKY_RELU, ELU, GELU, ABS, CLIP,
 AT_LEAST, AT_MOST) = range(19)
FROM_VALUE = frozenset({EXP, SQRT, TANH, SIGMOID, POWER_OF})      # whose slope is told by the value; of others by x


def apply_kind(kind: int, x, a: float = 0.0, b: float = 0.0):
    """(y, backward) of the function of that number with settings a and b, as an op's function returns them."""
    n = x.size
    y, work = empty_like(x), elements(n)
    launch("unary", work, x, y, n, kind, a, b)
    saved = y if kind in FROM_VALUE else x

    def backward(dy, into):
        dx = dy if into[0] is None else into[0]     # in place: fewer bytes
        launch("unary_backward", work, dy, saved, dx, n, kind, a, b)
        return dx

    return y, backward


@op
def affine(needs, x, *, scale: float = 1.0, shift: float = 0.0):
    """scale x + shift, of numbers in x's dtype."""
    return apply_kind(AFFINE, x, scale, shift)


def negative(x) -> Tensor:
    """-x."""
    return affine(x, scale=-1.0)


@op
def over(needs, x, *, number: float):
    """number / x."""
    return apply_kind(OVER, x, number)


@op
def divided_by(needs, x, *, number: float):
    """x / number."""
    return apply_kind(DIVIDED_BY, x, number)


@op
def square(needs, x):
    """x^2."""
    return apply_kind(SQUARE, x)


@op
def to_power(needs, x, *, exponent: float):
    """x^exponent; NaN for negative x and an exponent that is not whole."""
    return apply_kind(POWER, x, exponent)


@op
def power_of(needs, x, *, base: float):
    """base^x; a base below 0 has no gradient (NaN), and where the base is 0 the slope at x >= 0 is 0."""
    return apply_kind(POWER_OF, x, base, math.log(base) if base > 0 else 0.0 if base == 0 else math.nan)


@op
def exp(needs, x):
    """e^x."""
    return apply_kind(EXP, x)


@op
def log(needs, x):
    """The natural logarithm; -inf at 0, NaN below. In float32 numbers below 1.2e-38 count as 0, as on a GPU."""
    return apply_kind(LOG, x)


@op
def sqrt(needs, x):
    """The square root; NaN below 0."""
    return apply_kind(SQRT, x)


@op
def tanh(needs, x):
    """The hyperbolic tangent."""
    return apply_kind(TANH, x)


@op
def sigmoid(needs, x):
    """1 / (1 + e^-x)."""
    return apply_kind(SIGMOID, x)


@op
def softplus(needs, x):
    """log(1 + e^x)."""
    return apply_kind(SOFTPLUS, x)


@op
def relu(needs, x):
    """max(x, 0); the slope at 0 is 0."""
    return apply_kind(LEAKY_RELU, x)


@op
def leaky_relu(needs, x, *, slope: float = 0.01):
    """x, times `slope` where it is below 0; the slope at 0 is `slope`."""
    return apply_kind(LEAKY_RELU, x, slope)


@op
def elu(needs, x, *, alpha: float = 1.0):
    """x where it is at least 0, else alpha (e^x - 1) (Clevert et al. 2016)."""
    return apply_kind(ELU, x, alpha)


@op
def gelu(needs, x):
    """x P(N(0, 1) < x), the exact form by the error function (Hendrycks & Gimpel 2016)."""
    return apply_kind(GELU, x)


@op
def hard_tanh(needs, x):
    """x between -1 and 1, which hold beyond; the slope at the edges is 1."""
    return apply_kind(CLIP, x, -1.0, 1.0)


@op
def abs(needs, x):      # noqa: A001  (NumPy's name)
    """|x|; the slope at 0 is 0."""
    return apply_kind(ABS, x)


@op
def clip(needs, x, *, low: float = -math.inf, high: float = math.inf):
    """x between low and high, which hold beyond; the slope at the edges is 1."""
    return apply_kind(CLIP, x, low, high)


@op
def at_least(needs, x, *, number: float):
    """The larger of x and the number; NaN where x is. Where they are equal the slope is 1/2."""
    return apply_kind(AT_LEAST, x, number)


@op
def at_most(needs, x, *, number: float):
    """The smaller of x and the number; NaN where x is. Where they are equal the slope is 1/2."""
    return apply_kind(AT_MOST, x, number)
