"""Gradients of functions, as functions."""

from __future__ import annotations

from collections.abc import Callable

from minivae import ops  # noqa: F401  (gives Tensors their operators)
from minivae.device import device_of
from minivae.tensor import Tensor


def value_and_grad(f: Callable[..., Tensor], argnums: int | tuple[int, ...] = 0) -> Callable:
    """A function that returns f's value and its gradient with respect to some of its arguments.

    Args:
        f: takes Tensors, and whatever else it likes, and returns a Tensor of one element.
        argnums: which positional arguments, counted from 0 (or from the end, below 0).

    Returns:
        g(*args, **settings) -> (value, gradient): the value an array; the gradient an array of its argument's shape and
        dtype (zeros where f does not depend on it), or for a tuple of argnums a tuple of them. Those arguments are arrays
        or Tensors; a Tensor's own `grad` is left alone.

    Raises (g):
        IndexError: f got no argument of such a number.
        ValueError: f returned more than one element.
        TypeError: f returned no Tensor.
    """
    several = isinstance(argnums, tuple)
    numbers = argnums if several else (argnums,)

    def g(*args, **settings):
        given = list(args)
        for number in numbers:
            if not -len(given) <= number < len(given):
                raise IndexError(f"grad: argnums names argument {number}, but there are {len(given)}")
        leaves = {number % len(given): None for number in numbers}
        for number in leaves:
            value = given[number]
            given[number] = leaves[number] = Tensor(value.data if isinstance(value, Tensor) else value, requires_grad=True)
        value = f(*given, **settings)
        if not isinstance(value, Tensor):
            raise TypeError(f"grad: the function returned {type(value).__name__}, not a Tensor")
        if value.requires_grad:
            value.backward()
        elif value.size != 1:
            raise ValueError(f"grad: the function returned shape {value.shape}, not one element")
        found = tuple(_gradient(leaves[number % len(given)]) for number in numbers)
        return value.data, found if several else found[0]

    return g


def grad(f: Callable[..., Tensor], argnums: int | tuple[int, ...] = 0) -> Callable:
    """A function that returns f's gradient alone: see value_and_grad."""
    both = value_and_grad(f, argnums)

    def g(*args, **settings):
        return both(*args, **settings)[1]

    return g


def _gradient(leaf: Tensor):
    return device_of(leaf.data).zeros(leaf.shape, leaf.dtype) if leaf.grad is None else leaf.grad
