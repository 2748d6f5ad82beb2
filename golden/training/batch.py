"""A batch: which images, and how each is shown."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .data import Data
from .epoch import Moves, moved


@dataclass(frozen=True)
class Batch:
    """Training samples between two commits, or test samples, in order."""

    data: Data
    #: Of the images, (n,).
    numbers: np.ndarray
    #: How each is shown; None: as it is.
    moves: Moves | None = None
    #: Whether they are test images.
    test: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 (n,)."""
        labels = self.data.test_labels if self.test else self.data.train_labels
        return labels[self.numbers].numpy()

    @cached_property
    def images(self) -> np.ndarray:
        """uint8, as they are shown."""
        every = self.data.test_images if self.test else self.data.train_images
        images = every[self.numbers].numpy()
        return images if self.moves is None else moved(images, self.moves)
