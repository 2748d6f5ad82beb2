"""A batch of a data set: numbers of its images, and how each is shown."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .data import Data
from .epoch import Moves, moved


@dataclass(frozen=True)
class Batch:
    """Training samples between two commits, or test samples, in order."""

    data: Data
    #: Numbers of the images in the data set, (n,).
    numbers: np.ndarray
    #: Shifts and mirrorings of the images; None: unchanged.
    moves: Moves | None = None
    #: Whether they are test images.
    test: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels, int64 (n,)."""
        labels = self.data.test_labels if self.test else self.data.train_labels
        return labels[self.numbers].numpy()

    @cached_property
    def images(self) -> np.ndarray:
        """Images as they are shown, uint8 (n, ...)."""
        every = self.data.test_images if self.test else self.data.train_images
        images = every[self.numbers].numpy()
        return images if self.moves is None else moved(images, self.moves)
