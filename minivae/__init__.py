"""minivae: variational autoencoders from scratch, with its own autodiff and its own CUDA kernels."""

__version__ = "0.1.0"
