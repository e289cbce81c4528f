"""minivae: variational autoencoders from scratch, with its own autodiff and its own CUDA kernels."""

__version__ = "0.1.0"

_HOMES = {"Tensor": "minivae.tensor", "no_grad": "minivae.tensor", "op": "minivae.tensor", "grad": "minivae.functional",
          "value_and_grad": "minivae.functional", "check_grad": "minivae.check", "VAE": "minivae.estimator"}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str):
    """The engine, at its first use: importing minivae alone loads no arrays, so that the command line starts at once."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'minivae' has no attribute {name!r}")
    import_module("minivae.ops")        # gives Tensors their operators
    return getattr(import_module(_HOMES[name]), name)
