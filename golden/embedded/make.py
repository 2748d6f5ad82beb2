"""`python -m nudge.golden.embedded.make [ROOT]`: mnist-1500.npz from MNIST in ROOT (default: NUDGE_DATA)."""

import sys

import numpy as np
from torch import Tensor

from nudge.golden.training.data import EMBEDDED, Data, load

SEED = 2026
TRAIN_PER_CLASS = 100
TEST_PER_CLASS = 50


def choose(labels: Tensor, per_class: int, seed: int) -> np.ndarray:
    """Return `per_class` indices of each class, drawn without replacement by PCG64, then shuffled."""
    random = np.random.Generator(np.random.PCG64(seed))
    chosen = [
        random.choice(np.flatnonzero(labels.numpy() == label), per_class, replace=False)
        for label in range(10)
    ]
    return random.permutation(np.concatenate(chosen))


def subset(mnist: Data) -> dict[str, np.ndarray]:
    """Return the arrays of the file by `Data`'s field names, all uint8."""
    train = choose(mnist.train_labels, TRAIN_PER_CLASS, SEED)
    test = choose(mnist.test_labels, TEST_PER_CLASS, SEED + 1)
    parts = (
        mnist.train_images[train],
        mnist.train_labels[train],
        mnist.test_images[test],
        mnist.test_labels[test],
    )
    return {name: part.numpy().astype(np.uint8) for name, part in zip(Data._fields, parts, strict=True)}


if __name__ == "__main__":
    np.savez_compressed(EMBEDDED, **subset(load("mnist", *sys.argv[1:2])))  # type: ignore[arg-type]
