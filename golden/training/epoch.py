"""Order of an epoch's images, and how each is moved and mirrored: functions of the seed alone."""

from typing import NamedTuple

import numpy as np


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return an epoch's order of `count` samples: a permutation by numpy's PCG64 from (seed, epoch)."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(count)


class Moves(NamedTuple):
    """Shifts and mirrorings of images; zeros come in, and mirroring follows the shift. Arrays (n,)."""

    #: Pixels that the content moves down and to the right; negative: up and to the left.
    down: np.ndarray
    right: np.ndarray
    #: Whether left and right are swapped, after the shift.
    mirrored: np.ndarray


def drawn_moves(numbers: np.ndarray, shift: int, flip: bool, seed: int, epoch: int) -> Moves:
    """Draw shifts of up to `shift` pixels in each direction; with `flip`, half of the images are mirrored.

    The draws for a sample depend on (seed, epoch, sample number) alone, so a batch may be split or repeated
    at will.
    """
    made = Moves(*(np.zeros(len(numbers), kind) for kind in (np.int64, np.int64, np.bool_)))
    for i, number in enumerate(numbers):
        random = np.random.Generator(np.random.PCG64([seed, epoch, int(number)]))
        y, x = random.integers(0, 2 * shift, 2, endpoint=True)
        made.down[i], made.right[i] = shift - y, shift - x
        made.mirrored[i] = flip and random.integers(0, 1, endpoint=True)
    return made


def augmented(
    images: np.ndarray, numbers: np.ndarray, shift: int, flip: bool, seed: int, epoch: int
) -> np.ndarray:
    """Return images (n, ..., h, w) with these numbers as `drawn_moves` shows them."""
    return moved(images, drawn_moves(numbers, shift, flip, seed, epoch))


def moved(images: np.ndarray, moves: Moves) -> np.ndarray:
    """Return images (n, ..., h, w), moved and mirrored."""
    far = max((int(np.abs(part).max(initial=0)) for part in moves[:2]), default=0)
    padded = np.pad(images, (*[(0, 0)] * (images.ndim - 2), (far, far), (far, far)))
    height, width = images.shape[-2:]
    made = np.empty_like(images)
    for i, (down, right, mirrored) in enumerate(zip(*moves, strict=True)):
        shown = padded[i, ..., far - down : far - down + height, far - right : far - right + width]
        made[i] = shown[..., ::-1] if mirrored else shown
    return made
