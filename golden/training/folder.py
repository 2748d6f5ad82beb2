"""A training run's folder: what lies in it, and that one process at a time writes there."""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from golden.contract import values
from plumbing import files
from plumbing.errors import PlanError, WeightsError

from . import checkpoint, metrics
from .checkpoint import WEIGHTS
from .data import PATH, Source
from .metrics import Epoch, Row

METRICS = "metrics.csv"
EPOCHS = "epochs.csv"
#: The board's registers and counters at the last checkpoint, to look at: nothing is done as it says.
COUNTERS = "board.json"
#: Bytes of that file at most.
MOST_OF_COUNTERS = 1 << 16
CURVE = "learning-curve.png"
#: Weights at the end of an epoch, where the run ends with their mean.
EPOCH = "epoch-{}.safetensors"
#: How files begin that another program may have left under the same names.
BEGINS = {METRICS: metrics.as_text([]).encode(), EPOCHS: metrics.epochs_as_text([]).encode()} | {
    COUNTERS: b'{"board"',
    CURVE: files.PNG,
}

#: Where a run goes that is given no `--out`.
RUNS = Path("runs")


def unused(network: str, data: Source) -> Path:
    """The first folder of `RUNS` that isn't there: NETWORK-DATA-1, -2, ..."""
    name = re.sub(r"[^\w.-]+", "-", Path(data.path).stem if data.kind == PATH else data.kind) or "data"
    numbered = (RUNS / f"{network}-{name}-{number}" for number in itertools.count(1))
    return next(path for path in numbered if not os.path.lexists(path))


class RunFolder:
    """A folder by its path, whether it is there or not. It knows which rows are written, and adds those that aren't."""

    def __init__(self, path: Path):
        self.path = values.plain(Path, path, "--out", PlanError)
        try:
            os.fsencode(path).decode()
        except UnicodeError:
            raise PlanError(f"--out {str(path)!r}: its name isn't UTF-8, as a weight file's must be") from None
        #: Rows of the metrics file, and of the epochs' file; None: it has to be written anew.
        self._rows: int | None = None
        self._epochs: int | None = None

    @property
    def weights(self) -> Path:
        """The weight file: the run's checkpoint, and its result."""
        return self.path / WEIGHTS

    def after(self, epoch: int) -> Path:
        """The weight file after so many epochs, of a run that ends with a mean."""
        return self.path / EPOCH.format(epoch)

    @property
    def state(self) -> str | None:
        """SHA-256 of the weight file, to tell whether it has changed; None if there is none that can be read."""
        try:
            return hashlib.sha256(files.read(self.weights, checkpoint.MAX_BYTES, WeightsError)).hexdigest()
        except WeightsError:
            return None

    @contextmanager
    def owned(self, found: str | None) -> Iterator[None]:
        """While entered, this process alone trains here; the folder is made if need be, and removed if it stays empty.

        found: the `state` that the run began with. Raises `PlanError` for a folder that can't be made or is in use, or where
        another run has written since.
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
        """`PlanError` where something else stands in the place of a file that will be written."""
        try:
            for path in self.path.iterdir():
                if re.fullmatch(files.OF_A_RUN, path.name):
                    files.check_replaceable(path, BEGINS.get(path.name, b""))
        except OSError as error:
            raise PlanError(f"--out {error.filename}: {error.strerror}") from None

    def show(self, rows: list[Row], epochs: list[Epoch]) -> None:
        """Write down what has been measured, for whoever watches; where that can't be, the next checkpoint says so."""
        if self._rows is not None:
            try:
                metrics.append_metrics(self.path / METRICS, rows[self._rows :])
                self._rows = len(rows)
                self._write_epochs(epochs)
            except OSError:
                self.forget()

    def write(self, rows: list[Row], epochs: list[Epoch], counters: dict[str, Any] | None) -> None:
        """All that belongs to a checkpoint but the weights, each file whole even after a power cut. counters: of the board."""
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
        """The files of rows have to be written anew."""
        self._rows = self._epochs = None

    def clear(self) -> None:
        """A new run begins: what an earlier one counted isn't its own."""
        (self.path / COUNTERS).unlink(missing_ok=True)
