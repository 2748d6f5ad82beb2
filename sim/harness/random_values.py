"""Random values for unit benches, with frequent extremes."""

import random
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


def generator() -> np.random.Generator:
    """A random generator that depends on the seed of the running test."""
    return np.random.default_rng(random.getrandbits(32))


def integers(low: int, high: int, shape: Iterable[int], kind: str | None = None) -> Tensor:
    """int64 within low..high. kind: all "low" or "high", "uniform", "mixed" (half extremes); None: any."""
    rng, shape = generator(), tuple(shape)
    kind = kind or random.choice(("low", "high", "uniform", "mixed", "mixed"))
    if kind in ("low", "high"):
        return torch.full(shape, low if kind == "low" else high)
    values = rng.integers(low, high, shape, np.int64, endpoint=True)
    if kind == "mixed":
        values = np.choose(
            rng.integers(0, 4, shape), (np.full(shape, low), np.full(shape, high), values, values)
        )
    return torch.from_numpy(values)


def various(low: int, high: int, shape: Iterable[int]) -> Tensor:
    """int64 values within low..high, where each entry of the first axis has its own kind as in `integers`."""
    count, *rest = shape
    return torch.stack([integers(low, high, rest) for _ in range(count)])


def spikes(shape: Iterable[int], *, all_on: bool = False, fine: bool = False) -> Tensor:
    """Spikes of random density: none, few, half or all. fine: none, half or all of them are negative."""
    density = 1.0 if all_on else random.choice((0.0, 0.1, 0.5, 0.5, 1.0))
    fired = torch.from_numpy((generator().random(tuple(shape)) < density).astype(np.int64))
    if not fine:
        return fired
    share = random.choice((0.0, 1.0) if all_on else (0.0, 0.5, 0.5, 1.0))
    return fired * (1 - 2 * torch.from_numpy((generator().random(tuple(shape)) < share).astype(np.int64)))
