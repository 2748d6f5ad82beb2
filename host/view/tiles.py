"""Lays out maps and kernels as one picture: tiles in rows, with a gap between them."""

import math

import numpy as np

from nudge.golden.contract.shapes import Bundle

#: Most units of a dense layer in a row of its picture.
ROW = 32

#: Most rows and columns of a matrix's picture; larger matrices show the value of largest magnitude in each
#: block.
MOST = 128

#: Most weights in a picture of the first layer.
FIELDS = 1 << 15


def tiled(maps: np.ndarray, gap: float) -> np.ndarray:
    """Lay out maps (..., n, h, w) as pictures (..., H, W): tiles in rows, the first at the top left.

    `gap` fills the lines between tiles, and places without a tile. Dense layers, (..., n, 1, 1), have no
    lines between them, and rows of `ROW` units at most.
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


def weights_picture(bundle: Bundle, values: np.ndarray) -> np.ndarray:
    """Return a value for each weight of a bundle as one picture, float64, with nan in gaps.

    Weights from the image: a tile for each channel or unit of layer 1, (h, colours * w), the parts for red,
    green and blue side by side; only the first tiles, up to `FIELDS` weights. Other weights: `matrix`.
    """
    if not bundle.on_image:
        return matrix(values)
    maps = values.reshape(len(values), *(bundle.pre.shape if bundle.full else bundle.weight_shape[1:]))
    channels, height, width = maps.shape[1:]
    maps = maps[: max(1, FIELDS // maps[0].size)].transpose(0, 2, 1, 3)
    return tiled(maps.reshape(-1, height, channels * width).astype(np.float64), np.nan)


def matrix(values: np.ndarray) -> np.ndarray:
    """Return a weight tensor as one picture, float64.

    Kernels (post, pre, k, k) become tiles, the first 2 * `MOST` of them. A dense tensor (post, pre) keeps its
    shape, or is shrunk to `MOST` rows and columns at most: each value is the one of largest magnitude in its
    block.
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
