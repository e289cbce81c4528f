"""What a module is: something with parameters, submodules, two modes and a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from minivae import trace
from minivae.device import Device, device_of
from minivae.errors import MinivaeError
from minivae.tape import changed
from minivae.tensor import Tensor


class Parameter(Tensor):
    """A Tensor that training changes. Its gradient's place is fixed, so a gradient costs no new memory."""

    __slots__ = ()

    def __init__(self, data):
        super().__init__(data, requires_grad=True)

    def move(self, data, grad) -> None:
        """Live in `data` and leave gradients in `grad` from now on; the value comes along.

        A backward pass of before still finds the numbers where they were.
        """
        data[...] = self.data
        self.data, self._grad, self._changed = data, grad, [0]


class Buffer(NamedTuple):
    """What an array must be that belongs to a module's state and that no optimizer changes."""

    shape: tuple[int, ...]
    dtype: object
    device: Device


class Module:
    """Something with parameters: its own, and those of the modules below it.

    Its attributes may be parameters and modules, or lists, tuples and dicts of them, nested as one likes; they are
    found by looking, so there is nothing to register. A subclass says in `forward` what the module computes; calling the
    module runs it. One that is reached in two ways, or a parameter that two modules share, counts once, by its first name.

    Attributes:
        training: whether layers that work differently in training do so, such as batch norm.
    """

    training = True

    def forward(self, *inputs, **settings):
        """What calling the module computes; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(): define what it computes")

    def __call__(self, *inputs, **settings):
        if trace.active is None:
            return self.forward(*inputs, **settings)
        return trace.active.visit(self, self.forward, *inputs, **settings)

    def buffers(self) -> dict[str, Buffer]:
        """What arrays, by attribute, belong to this module's own state beside its parameters.

        An attribute that is None stands for an array that is not computed yet; it is not in the state.
        """
        return {}

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of each module held directly; in lists by position, in dicts by key."""
        return _held(self, Module)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module and all below it, each before those that it holds."""
        return self._walk(prefix, set())

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter) of all parameters, in a fixed order."""
        seen = set()
        for prefix, module in self.named_modules():
            for name, parameter in _held(module, Parameter):
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield _dotted(prefix, name), parameter

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, in the order of named_parameters()."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Module, str, Buffer]]:
        """(dotted name, module, its attribute, what must be there) of all buffers, computed or not."""
        for prefix, module in self.named_modules():
            for name, buffer in module.buffers().items():
                yield _dotted(prefix, name), module, name, buffer

    def train(self, training: bool = True) -> None:
        """Work as in training (True), such as normalizing with each batch's own moments, or as in use (False)."""
        for module in self.modules():
            module.training = training

    def eval(self) -> None:
        """Work as in use from now on: train(False)."""
        self.train(False)

    def clear_grad(self) -> None:
        """Forget all gradients before the next backward pass."""
        for parameter in self.parameters():
            parameter.clear_grad()

    def state_dict(self) -> dict[str, object]:
        """Name to device array: all parameters, and the buffers that are computed. The arrays are the module's own."""
        state: dict[str, object] = {name: p.data for name, p in self.named_parameters()}
        for name, module, attribute, _ in self.named_buffers():
            if (value := getattr(module, attribute)) is not None:
                state[name] = value
        return state

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Take over copies of the values of state_dict(); a buffer that is not among them is no longer computed.

        Args:
            state: name to array, on the host or on any device.

        Raises:
            MinivaeError: names all that is missing, unexpected, or has another shape or dtype; nothing is loaded then.
        """
        parameters = dict(self.named_parameters())
        buffers = {name: rest for name, *rest in self.named_buffers()}
        expected = {name: (p.shape, p.dtype) for name, p in parameters.items()}
        expected.update((name, (buffer.shape, buffer.dtype)) for name, (_, _, buffer) in buffers.items())
        if wrong := _misfits(state, expected, parameters.keys() - state.keys()):
            raise MinivaeError(f"this state does not fit the model: {'; '.join(wrong)}; build the model with the settings "
                               "that it was trained with")
        for name, parameter in parameters.items():
            _copy(state[name], parameter.data, device_of(parameter.data))
        changed(parameter._changed for parameter in parameters.values())
        for name, (module, attribute, buffer) in buffers.items():
            place = None
            if name in state:
                place = buffer.device.empty(buffer.shape, buffer.dtype)
                _copy(state[name], place, buffer.device)
            setattr(module, attribute, place)

    def _walk(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, Module]]:
        if id(self) not in seen:
            seen.add(id(self))
            yield prefix, self
            for name, child in self.named_children():
                yield from child._walk(_dotted(prefix, name), seen)


def _held(module: Module, kind: type) -> Iterator[tuple[str, object]]:
    """(name, value) of the attributes of that kind, and of those in lists, tuples and dicts among the attributes."""
    for name, value in vars(module).items():
        yield from _within(name, value, kind)


def _within(name: str, value, kind: type) -> Iterator[tuple[str, object]]:
    if isinstance(value, kind):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            for found in _within(f"{name}.{key}", item, kind):
                if not isinstance(key, str) or "." in key:
                    raise MinivaeError(f"{name} holds {kind.__name__}s under the key {key!r}: a key becomes part of their "
                                       "names, so it must be a string without dots")
                yield found
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _within(f"{name}.{number}", item, kind)


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _misfits(state: Mapping[str, object], expected: dict[str, tuple], missing: set[str]) -> list[str]:
    """What is wrong with a state, in words; `expected` gives the (shape, dtype) of each name."""
    wrong = []
    if missing:
        wrong.append(f"missing {', '.join(sorted(missing))}")
    if unexpected := sorted(state.keys() - expected.keys()):
        wrong.append(f"unexpected {', '.join(unexpected)}")
    for name in sorted(state.keys() & expected.keys()):
        shape, dtype = expected[name]
        value = state[name]
        if value.shape != shape or value.dtype != dtype:
            wrong.append(f"{name} is {value.shape} {value.dtype}, expected {shape} {dtype}")
    return wrong


def _copy(value, place, device: Device) -> None:
    """Copy an array of any device into an array on `device`."""
    place[...] = value if device.owns(value) else device.from_host(device_of(value).to_host(value))
