"""Models: what all variational autoencoders share (vae.py), and one module an architecture."""

from minivae.models.ff import FeedForward
from minivae.models.vae import VAE

ARCHITECTURES = {"ff": FeedForward}     # the names on the command line

__all__ = ["ARCHITECTURES", "VAE", "FeedForward"]
