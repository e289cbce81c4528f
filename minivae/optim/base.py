"""What all optimizers share: the flat arrays, what is done to the gradient first, saving and restoring."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minivae.device import device_of
from minivae.errors import MinivaeError
from minivae.kernels import launch
from minivae.nn import Flat
from minivae.parallel.group import ALONE
from minivae.work import blocks, elements

NORM_PARTS, NORM_SHARE = 256, 1024      # at most so many blocks take the norm, each of at least so many elements


class Optimizer:
    """What all optimizers share.

    Before an update the gradient of the cost goes through this, in the kernel that uses it (kernels/optimizer.cuh):
    g <- g limit / max(limit, |g|) over all parameters together, and 0.1 p instead where the norm |g| is not finite,
    which shrinks the parameters instead of breaking them; then every element to at most +-clip; then, for coupled
    weight decay, g <- g + weight_decay p. Weight decay is for all parameters alike.

    Of several processes that share memory each makes the step for its part of the numbers, and they exchange the results;
    not where WHOLE says that a number's step depends on others.

    Args:
        flat: the parameters.
        lr: learning rate, > 0; may be changed between steps.
        limit: the global norm that a gradient is rescaled to where it is longer; infinity to guard against gradients
            that are not finite and no more; None for neither, which saves the launch that takes the norm.
        clip: the largest size of an element of the gradient; None for any.
        weight_decay: its factor, >= 0.

    Attributes:
        state: name to array of parameter-shaped state, saved and restored with a run; of processes that divide the steps
            one for all, see meet().
        steps: how many steps were made.
    """

    KERNEL: str
    STATE: tuple[str, ...] = ()
    WHOLE = False           # whether a number's step depends on others than its own and on the norm of the gradient
    DECOUPLED = False       # whether weight decay changes the parameters directly, and not through the gradient
    FACTS: tuple[str, ...] = ("steps",)     # attributes that are state too

    def __init__(self, flat: Flat, lr: float, *, limit: float | None = None, clip: float | None = None,
                 weight_decay: float = 0.0):
        self.flat, self.lr, self.steps = flat, lr, 0
        self.limit, self.clip, self.weight_decay = limit, clip, weight_decay
        device, self._group = device_of(flat.values), ALONE if self.WHOLE else flat.group
        self.state = {name: self._group.common_zeros(device, flat.values.shape, flat.values.dtype) for name in self.STATE}
        parts = min(NORM_PARTS, -(-flat.values.size // NORM_SHARE))
        self._partial = device.empty((parts,), flat.values.dtype)

    def step(self) -> None:
        """Update all parameters from their gradients, and forget the gradients."""
        self.flat.require_grad(self.WHOLE)
        norm = self._squared_norm()
        self.steps += 1
        self._update(*norm, _or_infinity(self.limit), _or_infinity(self.clip))
        self._group.spread(self.flat.values)
        self.flat.changed()
        self.flat.clear_grad()

    def _own(self, array):
        """Of an array like the parameters what this process works on."""
        return array[self._group.part_of(array)] if self._group.divides else array

    def _squared_norm(self) -> tuple[Any, int]:
        """(array of parts of the square of the gradient's norm, how many there are: none without a limit)."""
        if self.limit is None:
            return self._partial, 0
        grads = self._own(self.flat.grads)
        if grads.size:
            launch("squared_norm", blocks(self._partial.size), grads, self._partial, grads.size)
        else:       # there are fewer numbers than processes
            self._partial[...] = 0
        partial = self._group.gather(self._partial).reshape(-1) if self._group.divides else self._partial
        return partial, partial.size

    def _update(self, partial, parts: int, limit: float, clip: float) -> None:
        """Launch the update; `partial` has `parts` numbers of the norm."""
        values, grads, *state = map(self._own, (self.flat.values, self.flat.grads, *self.state.values()))
        launch(self.KERNEL, elements(values.size), values, grads, *state, partial, values.size, parts, limit, clip,
               0.0 if self.DECOUPLED else self.weight_decay, *self._numbers())

    def _numbers(self) -> tuple[float, ...]:
        """What the kernel takes after the weight decay, for step number `steps`."""
        raise NotImplementedError

    def facts(self) -> dict[str, float]:
        """The state that is plain numbers; JSON gives them back exactly."""
        return {name: getattr(self, name) for name in self.FACTS}

    def restore(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, float]) -> None:
        """Go on where another optimizer of this kind was saved: the next steps are the same, bit for bit.

        Args:
            arrays: its `state`, on the host.
            facts: its facts().

        Raises:
            MinivaeError: they are of another kind of optimizer, or of other parameters; nothing is changed then.
        """
        for what, found, wanted in (("arrays", arrays, self.state), ("numbers", facts, self.FACTS)):
            if set(found) != set(wanted):
                raise MinivaeError(f"the saved optimizer has the {what} {', '.join(sorted(found)) or 'none'}, but "
                                   f"{type(self).__name__} needs {', '.join(sorted(wanted)) or 'none'}: take the optimizer "
                                   "that was saved")
        for name, array in self.state.items():
            if arrays[name].shape != array.shape or arrays[name].dtype != array.dtype:
                raise MinivaeError(f"the saved optimizer's {name} has {arrays[name].shape} numbers of {arrays[name].dtype}, "
                                   f"but this model needs {array.shape} of {array.dtype}: take the model that was saved")
        device = device_of(self.flat.values)
        self.meet()
        for name, array in self.state.items():
            array[...] = device.from_host(arrays[name])
        for name in self.FACTS:
            setattr(self, name, facts[name])

    def meet(self) -> None:
        """Of processes that have one state together, go on when none still reads it: whoever writes to it between steps calls
        this first, in all of them, and all write the same."""
        self._group.meet()

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The arguments of the class and what they are where nothing is said; `lr` is the first."""
        own, shared = (inspect.signature(kind.__init__).parameters.values() for kind in (cls, Optimizer))
        found = {p.name: p.default for p in (*own, *shared) if p.default is not p.empty}
        return {**found, **{p.name: p.default for p in own if p.default is not p.empty}}

    @classmethod
    def title(cls) -> str:
        """The docstring's first paragraph: name and paper."""
        return " ".join(inspect.getdoc(cls).split("\n\n")[0].split())

    @classmethod
    def equation(cls) -> str:
        """The docstring's second paragraph: the update."""
        return " ".join(inspect.getdoc(cls).split("\n\n")[1].split())


def _or_infinity(value: float | None) -> float:
    return math.inf if value is None else value
