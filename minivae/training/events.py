"""The metrics of a run for TensorBoard: event files, as that reads them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping

from minivae.errors import MinivaeError, MinivaeWarning, UsageError
from minivae.runs.folder import Run
from minivae.runs.metrics import Metrics
from minivae.training.epochs import Epoch

TAGS = {"train_cost": "cost/train", "test_cost": "cost/test", "test_reconstruction": "cost/test_reconstruction",
        "test_kl": "cost/test_kl", "test_error": "test_error", "images_per_second": "images_per_second"}


class Events:
    """Follows a training and writes what metrics.csv has, against the steps made.

    All of metrics.csv is written anew at the start, so that of a run that goes on no epoch is there twice. tensorboardX's own
    writer is not taken, but what lies below it: that has a thread, which dies where the disk is full, and the training would
    wait for it.

    Args:
        run: the run folder, whose metrics are cut to where the training is.

    Raises:
        UsageError: tensorboardX is missing.
        MinivaeError: the events cannot be written.
    """

    def __init__(self, run: Run):
        require()
        from tensorboardX.event_file_writer import EventsWriter

        self.folder = run.events
        try:
            self.folder.mkdir(exist_ok=True)
            for path in self.folder.glob("events.out.tfevents.*"):
                path.unlink()
            self._writer = EventsWriter(str(self.folder / "events"))
            rows = Metrics(run.metrics).rows()
            for row in rows:
                self._add(row, time.time() - ((rows[-1]["seconds"] or 0) - (row["seconds"] or 0)))
            self._writer.flush()
        except OSError as error:
            raise MinivaeError(f"cannot write {self.folder}: {error.strerror or error}; make room there, or leave --tensorboard "
                               "out") from error

    def progress(self, images: int, cost: float) -> None:
        """Nothing."""

    def epoch(self, epoch: Epoch) -> None:
        """Write an epoch; where that fails, warn."""
        try:
            self._add(epoch.row(), time.time())
            self._writer.flush()
        except OSError as error:
            warnings.warn(f"cannot write {self.folder}: {error.strerror or error}. Training goes on; --resume writes all events "
                          "anew", MinivaeWarning, stacklevel=2)

    def _add(self, row: Mapping[str, float | None], when: float) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, tag in TAGS.items():
            if row.get(name) is not None:
                self._writer.write_event(Event(wall_time=when, step=int(row["step"]), summary=scalar(tag, row[name])))


def require() -> None:
    """
    Raises:
        UsageError: tensorboardX is missing.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise UsageError("--tensorboard needs a package that is missing: pip install 'minivae[tensorboard]', or pip install "
                         "tensorboardX") from error
