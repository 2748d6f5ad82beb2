"""Maps and kernels laid out as one picture: tiles in rows, with a gap between them."""

import math

import numpy as np

#: Units of a dense layer in a row of its picture, at most.
ROW = 32

#: Rows and columns of a matrix's picture at most; larger ones are shown by the strongest of neighbouring values.
MOST = 128


def tiled(maps: np.ndarray, gap: float) -> np.ndarray:
    """Maps (..., n, h, w) as pictures (..., H, W): tiles in rows, the first at the top left, and `gap` between them and
    where none is. Dense layers, (..., n, 1, 1), have no gaps but fill rows of `ROW` at most.
    """
    *lead, count, height, width = maps.shape
    if height == width == 1:
        columns = min(count, ROW)
        rows = math.ceil(count / columns)
        flat = np.full((*lead, rows * columns), gap, maps.dtype)
        flat[..., :count] = maps[..., 0, 0]
        return flat.reshape(*lead, rows, columns)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    out = np.full((*lead, rows * (height + 1) - 1, columns * (width + 1) - 1), gap, maps.dtype)
    for i in range(count):
        y, x = i // columns * (height + 1), i % columns * (width + 1)
        out[..., y : y + height, x : x + width] = maps[..., i, :, :]
    return out


def matrix(values: np.ndarray) -> np.ndarray:
    """A weight tensor as one picture: kernels (post, pre, k, k) as tiles, a dense one (post, pre) as it is, shrunk to
    `MOST` rows and columns: of the values that share a place, the one of the largest magnitude.
    """
    if values.ndim == 4:
        flat = values.reshape(-1, *values.shape[2:])
        return tiled(flat[: MOST * 2].astype(np.float64), np.nan)
    picture = values.astype(np.float64)
    for axis in (0, 1):
        step = math.ceil(picture.shape[axis] / MOST)
        starts = np.arange(0, picture.shape[axis], step)
        high, low = (of.reduceat(picture, starts, axis) for of in (np.maximum, np.minimum))
        picture = np.where(high >= -low, high, low)
    return picture
