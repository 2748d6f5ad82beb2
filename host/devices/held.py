"""Samples of a data set in a board's memory, and their indices there."""

from dataclasses import dataclass

import numpy as np

from nudge.golden.contract.protocol import Asked
from nudge.golden.training.batch import Batch
from nudge.golden.training.data import Data


@dataclass(frozen=True)
class Held:
    """The first `train` training samples, from index 0, followed by the first `test` test samples.

    seconds: duration of the upload.
    """

    data: Data
    train: int
    test: int
    seconds: float = 0.0

    def asked(self, batch: Batch) -> list[Asked] | None:
        """Return the entries of a batch for TRAIN_STORED or INFER_STORED; None unless all are stored."""
        mine, theirs, first, count = (
            (self.data.test_images, batch.data.test_images, self.train, self.test)
            if batch.test
            else (self.data.train_images, batch.data.train_images, 0, self.train)
        )
        if mine is not theirs or int(np.max(batch.numbers, initial=-1)) >= count:
            return None
        indices = (first + batch.numbers).tolist()
        if batch.moves is None:
            return [Asked(index) for index in indices]
        moves = zip(*(part.tolist() for part in batch.moves), strict=True)
        return [Asked(index, *move) for index, move in zip(indices, moves, strict=True)]
