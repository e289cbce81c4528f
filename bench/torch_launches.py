"""How many kernels PyTorch's eager step would launch on a GPU, counted from its profiler on a CPU."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
import torch_training
from torch.profiler import ProfilerActivity, profile

from minivae import data
from minivae.training import Trainer

# Calls that launch nothing themselves: they make views, take memory, ask, or pass on to others.
NOTHING = {f"aten::{name}" for name in (
    "view reshape _reshape_alias _unsafe_view view_as t transpose permute expand expand_as as_strided slice select split "
    "chunk narrow unsqueeze squeeze detach detach_ alias empty empty_like empty_strided resize_ set_ result_type unflatten "
    "flatten unbind lift_fresh resolve_conj resolve_neg item _local_scalar_dense is_nonzero contiguous ones_like zeros_like "
    "to _to_copy broadcast_tensors new_empty new_empty_strided unsafe_split hardtanh_").split()}
# Calls that are two launches on a GPU: a loss and its sum; a fill with zeros, then what is not zero.
TWO = {"aten::mse_loss", "aten::mse_loss_backward", "aten::max_pool2d_with_indices_backward"}


def count(trainer: Trainer, arch: str, dataset: data.Dataset) -> Counter:
    """Launches by the name of the call, of one step of the eager model that does what `trainer` does.

    Each outermost call of the library counts as one, without those that launch nothing and whatever a CPU makes of it:
    a product, an elementwise call, a batch norm, a call on a list of tensors. A convolution's backward pass counts as
    one for each gradient. What a GPU may add (changes of layout, the second kernel of a reduction) is left out: PyTorch launches
    at least so many.
    """
    peer = torch_training.Peer(trainer.model, arch, "eager", np.float32)
    step = peer.stepper(trainer.optimizer, dataset.train_images, trainer.settings.batch_size)
    step()      # begins the epoch
    step()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        step()
    found: Counter = Counter()
    for event in recorded.events():
        if event.cpu_parent is None:
            _descend(event, found)
    return found


def _descend(event, found: Counter) -> None:
    """Count the launches of a call and, where it only passes on, of those within."""
    name = event.name
    if not name.startswith("aten::") or name in NOTHING:
        for child in event.cpu_children:
            _descend(child, found)
    elif name == "aten::convolution_backward":
        found[name] += sum(event.concrete_inputs[-1])       # which of input, weight and bias get a gradient
    else:
        found[name] += 2 if name in TWO else 1
