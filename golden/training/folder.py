"""A training run's folder: its files, and exclusive access for one process at a time."""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nudge.golden.contract import values
from nudge.plumbing import files
from nudge.plumbing.errors import PlanError, WeightsError

from . import checkpoint, metrics
from .checkpoint import WEIGHTS
from .data import PATH, Source
from .metrics import Epoch, Row

METRICS = "metrics.csv"
EPOCHS = "epochs.csv"
#: The board's registers and counters at the last checkpoint, for people to read: no program acts on them.
COUNTERS = "board.json"
#: Largest size of that file in bytes.
MOST_OF_COUNTERS = 1 << 16
CURVE = "learning-curve.png"
#: Weights after an epoch, in runs that end with a mean.
EPOCH = "epoch-{}.safetensors"
#: First bytes of these files, to recognise files of other programs under the same names.
BEGINS = {METRICS: metrics.as_text([]).encode(), EPOCHS: metrics.epochs_as_text([]).encode()} | {
    COUNTERS: b'{"board"',
    CURVE: files.PNG,
}

#: Parent folder of runs without `--out`.
RUNS = Path("runs")


def unused(network: str, data: Source) -> Path:
    """Return the first folder of `RUNS` that doesn't exist: NETWORK-DATA-1, -2, ..."""
    name = re.sub(r"[^\w.-]+", "-", Path(data.path).stem if data.kind == PATH else data.kind) or "data"
    numbered = (RUNS / f"{network}-{name}-{number}" for number in itertools.count(1))
    return next(path for path in numbered if not os.path.lexists(path))


class RunFolder:
    """A run's folder, which may not exist yet. It tracks which rows are written, and appends the others."""

    def __init__(self, path: Path):
        self.path = values.plain(Path, path, "--out", PlanError)
        try:
            os.fsencode(path).decode()
        except UnicodeError:
            raise PlanError(
                f"--out {str(path)!r}: its name isn't UTF-8, as a weight file's must be"
            ) from None
        #: Rows in the metrics file, and in the epochs' file; None: the file must be rewritten.
        self._rows: int | None = None
        self._epochs: int | None = None

    @property
    def weights(self) -> Path:
        """The weight file: the run's checkpoint, and its result."""
        return self.path / WEIGHTS

    def after(self, epoch: int) -> Path:
        """Return the weight file after `epoch` epochs, of a run that ends with a mean."""
        return self.path / EPOCH.format(epoch)

    @property
    def state(self) -> str | None:
        """SHA-256 of the weight file, which reveals changes; None if it can't be read."""
        try:
            return hashlib.sha256(files.read(self.weights, checkpoint.MAX_BYTES, WeightsError)).hexdigest()
        except WeightsError:
            return None

    @contextmanager
    def owned(self, found: str | None) -> Iterator[None]:
        """While entered, only this process trains here.

        The folder is made if needed, and removed if it stays empty. found: the `state` that the run began
        with. Raises `PlanError` for a folder that can't be made or is in use, or if another run has written
        there since.
        """
        new = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlanError(f"--out {self.path}: {error.strerror}") from None
        try:
            with files.owned(self.path / files.LOCK, PlanError):
                files.remove_unfinished(self.path, files.OF_A_RUN)
                self._check()
                if self.state != found:
                    why = "was written by another run since this one began: `nudge resume` continues that"
                    raise PlanError(f"{self.weights} {why}")
                yield
        finally:
            with suppress(OSError):
                for folder in new:
                    folder.rmdir()

    def _check(self) -> None:
        """Raise `PlanError` if something else is in the place of a file that will be written."""
        try:
            for path in self.path.iterdir():
                if re.fullmatch(files.OF_A_RUN, path.name):
                    files.check_replaceable(path, BEGINS.get(path.name, b""))
        except OSError as error:
            raise PlanError(f"--out {error.filename}: {error.strerror}") from None

    def show(self, rows: list[Row], epochs: list[Epoch]) -> None:
        """Write the measurements so far, for anyone who watches.

        If that fails, the next checkpoint rewrites the files, and raises the error if it persists.
        """
        if self._rows is not None:
            try:
                metrics.append_metrics(self.path / METRICS, rows[self._rows :])
                self._rows = len(rows)
                self._write_epochs(epochs)
            except OSError:
                self.forget()

    def write(self, rows: list[Row], epochs: list[Epoch], counters: dict[str, Any] | None) -> None:
        """Write all files of a checkpoint but the weights, each whole even after a power cut.

        counters: the board's; None: no file.
        """
        metrics.write_metrics(self.path / METRICS, rows)
        self._rows = len(rows)
        self._write_epochs(epochs)
        if counters is not None:
            files.write(self.path / COUNTERS, json.dumps(counters), alike=len(BEGINS[COUNTERS]))

    def _write_epochs(self, epochs: list[Epoch]) -> None:
        if self._epochs != len(epochs):
            metrics.write_epochs(self.path / EPOCHS, epochs)
            self._epochs = len(epochs)

    def forget(self) -> None:
        """Have the files of rows rewritten by the next checkpoint."""
        self._rows = self._epochs = None

    def clear(self) -> None:
        """Begin a new run: delete an earlier run's counters."""
        (self.path / COUNTERS).unlink(missing_ok=True)
