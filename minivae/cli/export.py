"""The command that writes a model for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from minivae.cli.options import Name, checkpoint_option, device_option


@click.command()
@click.argument("run", type=Name())
@click.option("--out", type=Name(), metavar="FOLDER", help="A new folder.  [default: RUN/onnx]")
@checkpoint_option
@device_option
def export(run: str, out: str | None, which: str, device: str) -> None:
    """Write the model of RUN as ONNX: an encoder and a decoder.

    encoder.onnx takes images (count, height, width, channels), floats from 0 to 1, and gives mu and sigma, means and
    standard deviations of their codes (count, code); of a run with labels also probabilities (count, classes), and the
    codes are those under the most probable class. decoder.onnx takes codes, and of a run with labels classes (count,
    classes), one-hot, and gives images. Any count will do; the operators are those of opset 17.

    Before anything is written, both run in onnxruntime, where it is installed, and must agree with minivae to 1e-4. This
    takes pip install onnx onnxruntime.

    \b
    Examples:
      minivae export runs/digits-ff-1
      minivae export runs/digits-ff-1 --out onnx
    """
    from minivae.estimator import VAE
    from minivae.export import advice

    folder = out or Path(run) / "onnx"
    made = VAE.load(run, device, which).export(folder)
    for name, signature in made.signatures.items():
        click.echo(f"{Path(folder) / name}: {signature}")
    if made.differences is None:
        click.echo(f"opset {made.opset}; not compared with minivae's own outputs, since onnxruntime is not installed: "
                   f"{advice()}")
    else:
        largest = ", ".join(f"{name} {value:.1e}" for name, value in made.differences.items())
        click.echo(f"opset {made.opset}; largest differences in {made.runtime}: {largest}")
