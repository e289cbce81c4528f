"""minivae: variational autoencoders from scratch, with its own autodiff and its own CUDA kernels.

    import minivae as mv

    mv.VAE                                          fit, encode, decode, sample, score, save and load, on arrays
    mv.Tensor, mv.no_grad                           an array that remembers how it was computed
    mv.grad, mv.value_and_grad, mv.check_grad       gradients of functions
    mv.op, mv.launch, mv.add_kernels                own operations, with own CUDA kernels
    mv.ops, mv.nn, mv.optim                         operations, layers, optimizers
    mv.device, mv.work, mv.data                     where arrays live, what a launch covers, the data sets

docs/autodiff.md walks through them.
"""

__version__ = "0.1.0"

_HOMES = {"Tensor": "tensor", "no_grad": "tensor", "op": "tensor", "grad": "functional", "value_and_grad": "functional",
          "check_grad": "check", "launch": "kernels", "add_kernels": "kernels", "VAE": "estimator"}
_MODULES = ("data", "device", "nn", "ops", "optim", "work")
__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name: str):
    """The engine, at its first use: importing minivae alone loads no arrays, so that the command line starts at once."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"minivae.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'minivae' has no attribute {name!r}")
    import_module("minivae.ops")        # gives Tensors their operators
    return getattr(import_module(f"minivae.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
