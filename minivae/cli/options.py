"""What several commands take: names to choose from, the device, lists of sizes."""

from __future__ import annotations

import click

# Names that the command line offers, written out here so that --help does not load the library.
ARCHITECTURES = ("ff", "conv")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop-plain", "rmsprop-centred", "rmsprop-momentum",
              "rmsprop", "adam", "amsgrad", "adamw", "adamax", "nadam", "radam", "lion", "lamb")
SCHEDULES = ("constant", "step", "exponential", "cosine", "one-cycle", "plateau")
LIKELIHOODS = ("squared-error", "gaussian", "bernoulli")
SEMI = ("shared", "m2")
GPU_ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")

device_option = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N",
                             help="Where to compute; auto takes a working GPU, else the CPU.")


class Sizes(click.ParamType):
    """Whole numbers with commas between them."""

    name = "sizes"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of sizes such as 512,512,256", param, ctx)
