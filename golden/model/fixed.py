"""The bit-exact model of the board: a board's state and counters, on top of the functions for a batch."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from nudge.golden.contract.spec import Spec
from nudge.plumbing.errors import BoardError

from . import centring, native
from .batch import checked_labels, engine_here, run_batch, tensor
from .parameters import Parameters, accumulate, check_parameters, commit, zeros
from .result import Result
from .settings import Settings


class FixedModel:
    """A board without the link: the same operations, state and counters.

    It refuses the same requests as a board: `train` beyond a full batch raises `BoardError`. Making the first
    model compiles the compiled engine.
    """

    #: Samples trained and inferred since `clear`.
    samples: int
    #: Wrong predictions since `clear`.
    errors: int
    #: Spikes of layers 1..N since `clear`, all phases, mod 2^32.
    spikes: list[int]
    #: Samples trained since the last commit.
    pending: int

    def __init__(
        self,
        spec: Spec,
        settings: Settings | None = None,
        parameters: Parameters | None = None,
        *,
        device: torch.device | str = "cpu",
        engine: str = "auto",
        threads: int | None = None,
    ):
        self.spec = spec
        self.settings = settings or Settings.of(spec)
        self.engine = engine
        self.threads = threads
        self.device = device
        self.pending = 0
        if engine_here(engine, torch.device(device), spec) == "native":
            native.library()  # compile now, not in the first batch, which is timed
        self.clear()
        self.load(parameters if parameters is not None else zeros(spec))

    @property
    def parameters(self) -> Parameters:
        """Masters and running means as of the last commit."""
        return self._committed

    def load(self, parameters: Parameters) -> None:
        """Write all masters and commit. Refused while samples are pending."""
        check_parameters(self.spec, parameters)
        if self.pending:
            raise BoardError(
                f"weights can't be written while {self.pending} samples are pending: commit first"
            )
        self._committed = commit(self.spec, parameters.to(self.device))
        self._updates = zeros(self.spec, self.device)

    def write_settings(self, settings: Settings) -> None:
        """Set steps, beta and rates."""
        settings.check(self.spec)
        self.settings = settings

    def read(self) -> Parameters:
        """Return the masters as of the last commit, on the CPU. Refused while samples are pending."""
        if self.pending:
            raise BoardError(f"masters can't be read while {self.pending} samples are pending: commit first")
        return self._committed.to("cpu")

    def train(self, images: Tensor | ArrayLike, labels: Tensor | ArrayLike) -> np.ndarray:
        """Train on images (n, channels, height, width) and return predictions (n,); masters change at
        `commit`."""
        images = tensor(images, "images")
        if self.pending + len(images) > self.spec.formats.max_batch:
            raise BoardError(
                f"{self.pending} pending samples and {len(images)} more: at most "
                f"{self.spec.formats.max_batch} between commits"
            )
        result = self._compute(images, tensor(labels, "labels"))
        self._updates = accumulate(self._updates, result.updates) if self.pending else result.updates
        self.pending += len(images)
        return self._count(result, labels)

    def commit(self) -> int:
        """Add the pending samples' updates to the masters and clip them; return the number of samples."""
        if self.pending and self.spec.schedule.centred:
            self._committed = centring.commit(self.spec, self._committed, self._updates, self.pending)
        elif self.pending:
            self._committed = commit(self.spec, accumulate(self._committed, self._updates))
        done, self.pending = self.pending, 0
        return done

    def infer(self, images: Tensor | ArrayLike, labels: Tensor | ArrayLike | None = None) -> np.ndarray:
        """Return predictions (n,). Without labels no errors are counted."""
        images = tensor(images, "images")
        if labels is not None:
            checked_labels(labels, len(images), self.spec)
        return self._count(self._compute(images, None), labels)

    def _compute(self, images: Tensor, labels: Tensor | None) -> Result:
        """Train with labels, infer without; leaves state and counters as they are."""
        return run_batch(self.spec, self.settings, self._committed, images, labels, self.engine, self.threads)

    def clear(self) -> None:
        """Zero all counters but `pending`."""
        self.samples = self.errors = 0
        self.spikes = [0] * len(self.spec.bundles)

    def _count(self, result: Result, labels: Tensor | ArrayLike | None) -> np.ndarray:
        """The predictions, counted."""
        predictions: np.ndarray = result.predictions.cpu().numpy()
        self.samples += len(predictions)
        if labels is not None:
            self.errors += int((predictions != tensor(labels, "labels").cpu().numpy()).sum())
        self.spikes = [(total + new) % 2**32 for total, new in zip(self.spikes, result.spikes, strict=True)]
        return predictions
