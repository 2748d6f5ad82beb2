"""Weights and biases: masters, which learning changes; working copies, which steps read; running means."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nudge.golden.contract import values
from nudge.golden.contract.spec import Spec
from nudge.plumbing.errors import ModelError

from . import ops


class Parameters(NamedTuple):
    """State of all bundles after a commit, int64: masters, LSB 2^-15, and running means for the next one."""

    #: One tensor per bundle, of `Bundle.weight_shape`.
    weights: tuple[Tensor, ...]
    #: One tensor (post channels,) per bundle.
    biases: tuple[Tensor, ...]
    #: One tensor (pre channels,) per bundle, as `golden.model.centring.follow` returns it; empty unless
    #: commits are centred.
    means: tuple[Tensor, ...] = ()

    def to(self, device: torch.device | str) -> "Parameters":
        return Parameters(*(tuple(x.to(device) for x in group) for group in self))


class Working(NamedTuple):
    """Working copies of all bundles, integers: weights in LSBs of 2^-7, biases in LSBs of 2^-12.

    Shapes are those of `Parameters`.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]


def shapes(spec: Spec) -> tuple[list[tuple[int, ...]], ...]:
    """Return the tensor shapes of each group of `Parameters`, bundle by bundle."""
    bundles = spec.bundles
    means: list[tuple[int, ...]] = [(b.pre.channels,) for b in bundles if spec.schedule.centred]
    return [b.weight_shape for b in bundles], [(b.post.channels,) for b in bundles], means


def zeros(spec: Spec, device: torch.device | str = "cpu") -> Parameters:
    """Return all-zero parameters; also the start of a batch's summed updates."""
    groups = (
        tuple(torch.zeros(shape, dtype=torch.int64, device=device) for shape in group)
        for group in shapes(spec)
    )
    return Parameters(*groups)


def initial(spec: Spec, seed: int) -> Parameters:
    """Return initial parameters: weights uniform in +-gain/sqrt(fan_in), biases and means zero.

    The weights are drawn as integers by numpy's PCG64, bundle by bundle. Bundle 1's bound is `image_gain`
    times as large; unless that is 1, each neuron's weights are reduced by their mean, rounded half up, and
    clipped to [-1, 1).
    """
    seed = values.plain(int, seed, "seed", ModelError)
    if seed < 0:
        raise ModelError(f"seed must be 0 or more, not {seed}")
    random, f = np.random.Generator(np.random.PCG64(seed)), spec.formats
    weights = []
    for bundle in spec.bundles:
        factor = spec.learning.image_gain if bundle.index == 1 else 1
        largest = (1 << f.master_fraction) * spec.learning.gain * factor / bundle.fan_in**0.5
        bound = min(round(largest), f.master_high)
        drawn = random.integers(-bound, bound, (bundle.post.channels, bundle.fan_in), np.int64, endpoint=True)
        if factor != 1:
            mean = (2 * drawn.sum(1, keepdims=True) + bundle.fan_in) // (2 * bundle.fan_in)
            drawn = (drawn - mean).clip(f.master_low, f.master_high)
        weights.append(torch.from_numpy(drawn.reshape(bundle.weight_shape)))
    return zeros(spec)._replace(weights=tuple(weights))


def check_parameters(spec: Spec, parameters: Parameters) -> Parameters:
    """Return the parameters; `ModelError` unless shapes fit the network and values are those that a board
    takes."""
    means, wanted = [tuple(x.shape) for x in parameters.means], shapes(spec)[2]
    if means != wanted:
        raise ModelError(f"running means must be {wanted}, not {means}")
    for bundle, w, b in zip(spec.bundles, parameters.weights, parameters.biases, strict=True):
        if tuple(w.shape) != bundle.weight_shape or tuple(b.shape) != (bundle.post.channels,):
            raise ModelError(
                f"bundle {bundle.index}: weight and bias must be {bundle.weight_shape} and "
                f"({bundle.post.channels},), not {tuple(w.shape)} and {tuple(b.shape)}"
            )
    f = spec.formats
    masters = "masters", range(f.master_low, f.master_high + 1), f" (LSB 2^-{f.master_fraction})"
    for group, (what, allowed, lsb) in zip(
        parameters, (masters, masters, ("running means", spec.mean_range, "")), strict=True
    ):
        for bundle, tensor in zip(spec.bundles, group, strict=False):
            if wrong := [x for x in map(int, tensor.aminmax()) if x not in allowed]:
                raise ModelError(
                    f"bundle {bundle.index}: {what} must be {allowed[0]}..{allowed[-1]}{lsb}, not {wrong[0]}"
                )
    return parameters


def accumulate(parameters: Parameters, updates: Parameters) -> Parameters:
    """Add a batch's updates, means included, to masters or to other updates.

    No clipping: 18 bits hold the sum of any allowed batch (`Formats.update_bound`).
    """
    groups = zip(parameters, updates, strict=True)
    return Parameters(*(tuple(old + new for old, new in zip(*pair, strict=True)) for pair in groups))


def commit(spec: Spec, parameters: Parameters) -> Parameters:
    """Clip the masters to [-1, 1) at the end of a batch."""
    weights, biases = (
        tuple(ops.commit(x, spec.formats) for x in group) for group in (parameters.weights, parameters.biases)
    )
    return parameters._replace(weights=weights, biases=biases)


def working(spec: Spec, parameters: Parameters) -> Working:
    """Return the working copies: masters as of the last commit, rounded to 8 and 13 bits."""
    return Working(
        tuple(ops.working_weight(w, spec.formats) for w in parameters.weights),
        tuple(ops.working_bias(b, spec.formats) for b in parameters.biases),
    )


def mean(several: Sequence[Parameters]) -> Parameters:
    """Return the mean of several networks' parameters, rounded half up: noise of the last batches cancels."""
    count = len(several)

    def of(tensors: tuple[Tensor, ...]) -> Tensor:
        return torch.div(2 * torch.stack(tensors).sum(0) + count, 2 * count, rounding_mode="floor")

    return Parameters(
        *(tuple(of(each) for each in zip(*group, strict=True)) for group in zip(*several, strict=True))
    )
