"""What an epoch makes of a data set: the order of its images, and how each is moved and mirrored. By the seed alone."""

from typing import NamedTuple

import numpy as np


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits `count` samples: a permutation by numpy's PCG64 from (seed, epoch)."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(count)


class Moves(NamedTuple):
    """How images are shown: moved, zeros come in, and then mirrored. Arrays (n,)."""

    #: Pixels that the content goes down, and to the right; negative: up, and to the left.
    down: np.ndarray
    right: np.ndarray
    #: Left and right change places, after the move.
    mirrored: np.ndarray


def drawn_moves(numbers: np.ndarray, shift: int, flip: bool, seed: int, epoch: int) -> Moves:
    """Moves of up to `shift` pixels in each direction; with `flip`, half of the images are mirrored.

    What happens to a sample depends on (seed, epoch, sample number) alone, so a batch may be split or repeated at will.
    """
    made = Moves(*(np.zeros(len(numbers), kind) for kind in (np.int64, np.int64, np.bool_)))
    for i, number in enumerate(numbers):
        random = np.random.Generator(np.random.PCG64([seed, epoch, int(number)]))
        y, x = random.integers(0, 2 * shift, 2, endpoint=True)
        made.down[i], made.right[i] = shift - y, shift - x
        made.mirrored[i] = flip and random.integers(0, 1, endpoint=True)
    return made


def augmented(images: np.ndarray, numbers: np.ndarray, shift: int, flip: bool, seed: int, epoch: int) -> np.ndarray:
    """Images (n, ..., h, w) of these numbers, as `drawn_moves` has them shown."""
    return moved(images, drawn_moves(numbers, shift, flip, seed, epoch))


def moved(images: np.ndarray, moves: Moves) -> np.ndarray:
    """Images (n, ..., h, w) as `moves` show them."""
    far = max((int(np.abs(part).max(initial=0)) for part in moves[:2]), default=0)
    padded = np.pad(images, (*[(0, 0)] * (images.ndim - 2), (far, far), (far, far)))
    height, width = images.shape[-2:]
    made = np.empty_like(images)
    for i, (down, right, mirrored) in enumerate(zip(*moves, strict=True)):
        shown = padded[i, ..., far - down : far - down + height, far - right : far - right + width]
        made[i] = shown[..., ::-1] if mirrored else shown
    return made
