"""Writes event files for TensorBoard during a run: `nudge train --tensorboard DIR`.

Steps count training samples over all epochs. A resumed run adds a file to the directory, from its
checkpoint on.
"""

from pathlib import Path

from nudge.golden.training.checkpoint import names
from nudge.golden.training.run import Run
from nudge.plumbing import install
from nudge.plumbing.errors import ToolError, ViewError
from nudge.plumbing.progress import note

#: Names of a run's scalars.
BATCH = "error/batch"
SO_FAR = "error/epoch so far"
TRAINING = "error/training, whole epoch"
HELD_OUT = "error/held out"
TEST = "error/test"
RATE = "rate/samples per second"

#: Longest time in seconds until added values are on disk.
FLUSH_SECONDS = 10


class Events:
    """A callback for `Run.callbacks` that writes new rows and epochs after each commit.

    Raises `ToolError` without the package tensorboard, `ViewError` for a directory that can't be written. If
    writing fails later, as with a full disk, a note reports it once, and the training continues.
    """

    def __init__(self, folder: Path, run: Run):
        try:
            from torch.utils.tensorboard import SummaryWriter  # imported late, as it takes a second
        except ImportError:
            raise ToolError(
                f"--tensorboard needs the package tensorboard: {install('tensorboard')}"
            ) from None
        self._folder, self._rows, self._epochs, self._parameters = (
            folder,
            len(run.rows),
            len(run.epochs),
            run.parameters,
        )
        self._failed = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = SummaryWriter(str(folder), flush_secs=FLUSH_SECONDS)
        except OSError as error:
            raise ViewError(f"--tensorboard {folder}: {error.strerror or error}") from None
        except UnicodeError:
            raise ViewError(
                f"--tensorboard {folder}: its name isn't UTF-8, as that of event files must be"
            ) from None
        if not run.done:
            self._histograms(run, 0)

    def __call__(self, run: Run) -> None:
        """Write the new commits and epochs."""
        if not self._failed:
            try:
                self._new(run)
            except OSError as error:
                self._fail(error)

    def close(self, run: Run, test_error: float | None) -> None:
        """Write the remaining values, close the file. test_error: in percent; None if it wasn't tested."""
        if self._failed:
            return
        try:
            self._new(run)
            if test_error is not None:
                self._writer.add_scalar(TEST, test_error, run.done)
            self._writer.close()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._failed = True
        note(f"--tensorboard {self._folder}: {error.strerror or error}; the training goes on without")

    def _new(self, run: Run) -> None:
        # a run that returned to its checkpoint writes the repeated commits again
        self._rows, self._epochs = min(self._rows, len(run.rows)), min(self._epochs, len(run.epochs))
        for i, row in enumerate(run.rows[self._rows :], start=self._rows):
            step = row.epoch * run.plan.samples + row.position
            self._writer.add_scalar(BATCH, 100 * row.errors / row.samples, step)
            self._writer.add_scalar(SO_FAR, row.error_percent, step)
            took = row.seconds - (run.rows[i - 1].seconds if i else 0.0)
            if took > 0:
                self._writer.add_scalar(RATE, row.samples / took, step)
        for end in run.epochs[self._epochs :]:
            self._writer.add_scalar(TRAINING, end.training_error_percent, end.samples)
            if end.held_out_error_percent is not None:
                self._writer.add_scalar(HELD_OUT, end.held_out_error_percent, end.samples)
        self._rows, self._epochs = len(run.rows), len(run.epochs)
        if run.parameters is not self._parameters:
            self._histograms(run, run.saved)

    def _histograms(self, run: Run, step: int) -> None:
        """Write histograms of all weights and biases at the last checkpoint, in units of 1."""
        self._parameters = run.parameters
        lsb = 2.0**-run.spec.formats.master_fraction
        for bundle, weight, bias in zip(
            run.spec.bundles, run.parameters.weights, run.parameters.biases, strict=True
        ):
            for name, values in zip(names(bundle), (weight, bias), strict=True):
                self._writer.add_histogram(f"weights/{name}", values.double() * lsb, step)
