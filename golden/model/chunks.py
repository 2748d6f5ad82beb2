"""A batch computed by torch alone, in chunks of as many samples as fit the caches."""

from collections.abc import Iterator

import torch
from torch import Tensor

from nudge.golden.contract.spec import Spec

from . import centring
from .engines import Engine, Sums
from .parameters import Parameters, working, zeros
from .phases import Step, steps
from .result import Result
from .settings import Settings

#: Samples computed at once: larger chunks don't fit the caches, smaller ones leave the GEMMs idle.
CHUNK = 256

#: Correlations (weights times samples) computed at once, for the same reason.
CORRELATIONS = 1 << 19


def run(
    spec: Spec,
    settings: Settings,
    parameters: Parameters,
    images: Tensor,
    targets: Tensor | None,
    engine: type[Engine],
) -> Result:
    """Return predictions, spikes and, with targets, updates.

    parameters: masters, int64. images: uint8 (n, channels, height, width). targets: int64 (n,). All on one
    device.
    """
    device = images.device
    copies = working(spec, parameters)
    runner = engine(spec, copies)
    spikes: list[Tensor | int] = [0] * len(spec.bundles)
    updates = zeros(spec, device)
    predictions = [torch.zeros(0, dtype=torch.int64, device=device)]
    for at in range(0, len(images), CHUNK):
        pixels = images[at : at + CHUNK].to(runner.dtype)
        target = None if targets is None else targets[at : at + CHUNK]
        sums, fired = averaged(spec, settings, steps(spec, settings, runner, copies, pixels, target))
        spikes = [total + new for total, new in zip(spikes, fired, strict=True)]
        predictions.append(first_largest(sums["free"][-1].flatten(1)))
        if targets is not None:
            _add_updates(spec, settings, runner, pixels, sums, updates)
            for total, new in zip(updates.means, centring.read(pixels, sums["free"]), strict=False):
                total += new  # no means unless commits are centred
    return Result(torch.cat(predictions), [int(total) for total in spikes], updates)


def averaged(
    spec: Spec, settings: Settings, course: Iterator[Step]
) -> tuple[dict[str, list[Tensor]], list[Tensor | int]]:
    """Return window sums and spike counts of a run.

    Window sums: xi of layers 1..N, summed over the averaging window of each phase, by phase. Spike counts: of
    each layer, in all steps; tensors, so that nothing waits for the device and `torch.export` can follow.
    """
    first = {
        phase: length - spec.schedule.window
        for phase, length in zip(
            ("free", "plus", "minus"),
            (settings.free_steps, settings.nudged_steps, settings.nudged_steps),
            strict=True,
        )
    }
    sums: dict[str, list[Tensor]] = {}
    spikes: list[Tensor | int] = [0] * len(spec.bundles)
    for phase, t, layers, _ in course:
        spikes = [total + layer.s.count_nonzero() for total, layer in zip(spikes, layers, strict=True)]
        if t == first[phase]:
            sums[phase] = [layer.xi.clone() for layer in layers]
        elif t > first[phase]:
            for total, layer in zip(sums[phase], layers, strict=True):
                total += layer.xi
    return sums, spikes


def _add_updates(
    spec: Spec,
    settings: Settings,
    runner: Engine,
    pixels: Tensor,
    sums: dict[str, list[Tensor]],
    updates: Parameters,
) -> None:
    """Add a chunk's updates to `updates`, `CORRELATIONS` at a time."""
    for n, bundle in enumerate(spec.bundles):
        rates = settings.weight_rates[n], settings.bias_rates[n]
        size = max(1, CORRELATIONS // bundle.weights)
        for part in range(0, len(pixels), size):
            some = (tuple(x[part : part + size] for x in sums[phase]) for phase in Sums._fields)
            weight, bias = runner.updates(bundle, pixels[part : part + size], Sums(*some), rates)
            updates.weights[n].add_(weight)
            updates.biases[n].add_(bias)


def first_largest(sums: Tensor) -> Tensor:
    """Return the index of the largest sum in each row, the lowest on a tie.

    Torch's argmax doesn't define ties.
    """
    classes = sums.shape[1]
    scores = sums.long() * classes + torch.arange(classes - 1, -1, -1, device=sums.device)
    return scores.argmax(1)
