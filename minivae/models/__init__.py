"""Models: what all variational autoencoders share (vae.py), and one module an architecture."""

from minivae.models.conv import Convolutional
from minivae.models.ff import FeedForward
from minivae.models.vae import VAE

ARCHITECTURES = {"ff": FeedForward, "conv": Convolutional}     # the names on the command line

__all__ = ["ARCHITECTURES", "VAE", "Convolutional", "FeedForward"]
