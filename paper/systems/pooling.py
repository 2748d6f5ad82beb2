"""Pooling with filter size F = 2, eq. 12 to 16: each operation with its inverse, which is its transpose.

Maps are (batch, channels, h, w). Pooling drops an odd last row or column, so the inverse puts zeros there.
The paper's nearest upsampling to an odd size would put copies there; then <P x, y> = <x, P^-1 y> would not
hold, and no energy would give both directions.
"""

from torch import Tensor
from torch.nn import functional

F = 2
#: alpha of eq. 16 for which the inverse is the transpose of the average.
ADJOINT = float(F * F)


def average(x: Tensor) -> Tensor:
    """Average each F x F zone, eq. 15: y[i, j] = sum of x[F i + a, F j + b] over 0 <= a, b < F, over F^2."""
    return functional.avg_pool2d(x, F)


def spread(y: Tensor, size: tuple[int, int], alpha: float = ADJOINT) -> Tensor:
    """Invert `average`, eq. 16: copy y / alpha to each zone's F x F positions. size: (h, w) of the result."""
    large = functional.interpolate(y, scale_factor=F) / alpha
    return functional.pad(large, (0, size[1] - large.shape[3], 0, size[0] - large.shape[2]))


def maximum(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum of each F x F zone and its flat index into h x w, eq. 12 and 13."""
    pooled, indices = functional.max_pool2d(x, F, return_indices=True)
    return pooled, indices


def unpool(y: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """Invert `maximum`, eq. 14: put each value at its index, zeros elsewhere. size: (h, w) of the result."""
    return functional.max_unpool2d(y, indices, [F, F], output_size=list(size))
