"""Test error and confusion matrix of the weights that a board holds."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .progress import Meter
from .spec import CLASSES

#: Images between two steps of the progress bar; it changes no result.
CHUNK = 128


class Predictor(Protocol):
    """What `evaluate` needs of a board or a model."""

    def infer(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray | Tensor:
        """Predictions (n,) of images (n, 28, 28)."""


@dataclass(frozen=True)
class Evaluation:
    """confusion[label][prediction]: how many images."""

    confusion: np.ndarray

    @property
    def samples(self) -> int:
        return int(self.confusion.sum())

    @property
    def errors(self) -> int:
        return self.samples - int(np.trace(self.confusion))

    @property
    def error_percent(self) -> float:
        return 100 * self.errors / self.samples

    def table(self) -> str:
        """The confusion matrix as text: a row for each label, a column for each prediction."""
        width = max(len(str(self.confusion.max())), 2) + 1
        head = "label\\prediction" + "".join(f"{c:{width}}" for c in range(CLASSES))
        rows = (f"{label:16}" + "".join(f"{n:{width}}" for n in row) for label, row in enumerate(self.confusion))
        return "\n".join([head, *rows])


def evaluate(board: Predictor, images: Tensor, labels: Tensor) -> Evaluation:
    """Infer images (n, 28, 28) on the board with the weights and settings it has."""
    confusion = np.zeros((CLASSES, CLASSES), np.int64)
    with Meter("evaluating", len(images)) as meter:
        for at in range(0, len(images), CHUNK):
            part = labels[at : at + CHUNK].numpy()
            predictions = torch.as_tensor(board.infer(images[at : at + CHUNK].numpy(), part)).cpu().numpy()
            np.add.at(confusion, (part, predictions), 1)
            meter.advance(len(part), f"error {100 * (1 - np.trace(confusion) / confusion.sum()):.2f} %")
    return Evaluation(confusion)
