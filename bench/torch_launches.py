"""How many kernels PyTorch's eager step would launch on a GPU, counted from its profiler on a CPU.

    pip install torch
    python bench/torch_launches.py [--arch ff|conv]
"""

from __future__ import annotations

from collections import Counter

import needs

needs.require(__file__, __doc__, "torch")

import click  # noqa: E402
import numpy as np  # noqa: E402
import torch_training  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

from minivae import data  # noqa: E402
from minivae.bench.iterations import BATCH_SIZES, DATA, endless  # noqa: E402
from minivae.device import cpu  # noqa: E402
from minivae.training.trainer import Trainer  # noqa: E402

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


def of_a_step(arch: str) -> Counter:
    """The launches of a step of that architecture at its usual batch."""
    dataset = data.load(DATA)
    return count(Trainer(endless(arch, BATCH_SIZES[arch]), dataset, cpu()), arch, dataset)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--arch", type=click.Choice((*BATCH_SIZES, "both")), default="both", show_default=True)
def main(arch: str) -> None:
    """Count the kernels that PyTorch's eager step would launch on a GPU, by call."""
    for name in BATCH_SIZES if arch == "both" else (arch,):
        found = of_a_step(name)
        click.echo(f"{name}, batch {BATCH_SIZES[name]}: at least {sum(found.values())} launches")
        for call, times in found.most_common():
            click.echo(f"{times:5} {call}")


if __name__ == "__main__":
    main()
