"""Run folders: what a training leaves behind, how to go on with it, and how to use it again.

    runs/<name>/
        settings.toml                       what was asked for
        metrics.csv                         a line an epoch
        checkpoint.safetensors              parameters, statistics, optimizer state
        eval.json                           what `minivae eval` has measured
        source.png reconstructions.png samples.png
        grid.png transfer.png               of a run with labels: draws, and test images, in every class
"""

from minivae.runs.folder import PICTURES, Run
from minivae.runs.model import OPTIMIZER, build, model_state
from minivae.runs.settings import Settings, checked

__all__ = ["OPTIMIZER", "PICTURES", "Run", "Settings", "build", "checked", "model_state"]
