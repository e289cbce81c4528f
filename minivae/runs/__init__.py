"""Run folders: what a training leaves behind, how to go on with it, and how to use it again.

    runs/<name>/
        settings.toml                       what was asked for
        versions.json                       what it was made with
        metrics.csv                         a line an epoch
        checkpoints/step-00012000.safetensors ...   parameters, statistics, state of the training: the last few
        checkpoints/best.safetensors        the model with the lowest test cost
        checkpoint.safetensors              in place of those: of older runs, and of models saved from Python
        events/                             the metrics for TensorBoard
        eval.json                           what `minivae eval` has measured
        source.png reconstructions.png samples.png
        grid.png transfer.png               of a run with labels: draws, and test images, in every class
"""

from minivae.runs.folder import PICTURES, Run
from minivae.runs.model import OPTIMIZER, build, model_state
from minivae.runs.settings import Settings, checked

__all__ = ["OPTIMIZER", "PICTURES", "Run", "Settings", "build", "checked", "model_state"]
