"""Pooling with filter size F = 2, eq. 12 to 16: each operation with its inverse, which is its transpose.

Maps are (batch, channels, h, w). An odd last row or column is dropped by pooling, so the inverse puts zeros there. The
paper's nearest upsampling to an odd size would put copies: then <P x, y> = <x, P^-1 y> doesn't hold, and there is no
energy that both directions come from.
"""

from torch import Tensor
from torch.nn import functional

F = 2
#: alpha of eq. 16 for which the inverse is the transpose of the average.
ADJOINT = float(F * F)


def average(x: Tensor) -> Tensor:
    """Eq. 15."""
    return functional.avg_pool2d(x, F)


def spread(y: Tensor, size: tuple[int, int], alpha: float = ADJOINT) -> Tensor:
    """Eq. 16, the inverse of `average`: each value over alpha at its F x F positions. size: (h, w) of the result."""
    large = functional.interpolate(y, scale_factor=F) / alpha
    return functional.pad(large, (0, size[1] - large.shape[3], 0, size[0] - large.shape[2]))


def maximum(x: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 12 and 13: the largest of each zone and where it was (flat indices into h x w)."""
    pooled, indices = functional.max_pool2d(x, F, return_indices=True)
    return pooled, indices


def unpool(y: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """Eq. 14, the inverse of `maximum`: each value where the largest was, zeros elsewhere."""
    return functional.max_unpool2d(y, indices, [F, F], output_size=list(size))
