"""Free and nudged phases of a batch.

In the order "all" every layer reads the previous step's spikes. In "odd-even" a step is called a sweep: the
odd layers step first, then the even ones and the image, which read the odd layers' new spikes.

A sample starts from zero state. Both nudged phases start from the whole last state of the free phase (d, V, s
and xi), with fine spikes from that of `deviation.begin`.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from . import deviation
from .network import Network, Parameters, backward, forward, kernels, readout
from .neuron import Dynamics, State, image, neuron


class Step(NamedTuple):
    """All layers after one step."""

    #: "free", "plus" or "minus".
    phase: str
    #: Number of the step within the phase, from 0.
    t: int
    #: Layers 1..N in order.
    layers: list[State]


def drives(
    network: Network,
    w: list[Tensor],
    layers: list[State],
    turn: tuple[int, ...],
    static: Tensor | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Yield (n, phi), phi of eq. 9, for each layer n of the turn, from s of `layers` 0..N.

    static: the first term of layer 1, if the image is constant.
    """

    @cache  # unpooling into layer n takes the indices of the pooling into layer n + 1
    def below(n: int) -> tuple[Tensor, Tensor | None]:
        if n == 1 and static is not None:
            return static, None
        return forward(network.dynamic[n - 1], layers[n - 1].s, w[n - 1])

    for n in turn:
        phi = below(n)[0]
        if n < len(network.dynamic):
            link = network.dynamic[n]
            indices = below(n + 1)[1] if link.kind == "maximum" else None
            phi = phi + backward(link, layers[n + 1].s, w[n], indices)
        yield n, phi


def kept_where(kept: Tensor, before: State, after: State) -> State:
    """Return `before` for samples where kept, (batch,), is True, and `after` for the others."""
    return State(
        *(torch.where(kept[:, None, None, None], old, new) for old, new in zip(before, after, strict=True))
    )


def nudge(network: Network, parameters: Parameters, last: State, target: Tensor) -> Tensor:
    """Return -dL/dxi of the last layer: y - xi, or W^T (y - softmax(W xi + b)) with a readout.

    target: y, one-hot (batch, classes).
    """
    if not network.softmax:
        return target[:, :, None, None] - last.xi
    return ((target - readout(network, parameters, last.xi)) @ parameters.weights[-1]).unflatten(
        1, last.xi.shape[1:]
    )


def steps(
    network: Network,
    dynamics: Dynamics,
    parameters: Parameters,
    pixels: Tensor,
    labels: Tensor | None,
    signs: tuple[int, ...] | None = None,
) -> Iterator[Step]:
    """Yield every step of all phases on pixels (batch, channels, height, width) in [0, 1]; no labels: the
    free phase only.

    signs: sign of beta in each nudged phase; the default is (1, -1), or (1,) without `three_phases`.
    """
    w = kernels(network.dynamic, parameters.weights)
    static = None if dynamics.image_spikes else forward(network.dynamic[0], pixels, w[0])[0]
    turns = dynamics.turns(len(network.dynamic))
    target = None if labels is None else functional.one_hot(labels, network.classes).to(pixels.dtype)

    def phase(
        layers: list[State], start: int, count: int, strength: float, base: list[State] | None = None
    ) -> Iterator[tuple[int, list[State]]]:
        """Yield (t, layers) after each step of a phase.

        layers: 0..N. start: steps of earlier phases. base: with fine spikes, the end of the free phase.
        """
        awake = torch.ones(len(pixels), dtype=torch.bool, device=pixels.device)  # samples not yet settled
        for t in range(count):
            now = dynamics.at(start + t)
            before = layers
            for turn in turns:
                layers = moved(layers, turn, now, strength, base)
            if dynamics.still is None or strength:
                yield t, layers
                continue
            pairs = list(zip(before, layers, strict=True))
            layers = [kept_where(~awake, *pair) for pair in pairs]
            yield t, layers
            awake &= (
                torch.stack([(new.xi - old.xi).abs().amax((1, 2, 3)) for old, new in pairs]).amax(0)
                > dynamics.still
            )
            if not awake.any():
                return

    def moved(
        layers: list[State], turn: tuple[int, ...], now: Dynamics, strength: float, base: list[State] | None
    ) -> list[State]:
        after = list(layers)
        for n, phi in drives(network, w, layers, turn, None if base else static):
            push: Tensor | float = 0.0
            if strength and target is not None and n == len(layers) - 1:
                push = strength * nudge(network, parameters, layers[n], target)
            bias = parameters.biases[n - 1][:, None, None]
            if base:
                after[n] = deviation.neuron(layers[n], base[n], phi, bias, push, now, n)
            else:
                after[n] = neuron(layers[n], phi, bias, push, now)
        if turn is turns[-1] and not base:
            after[0] = image(layers[0], pixels, now)
        return after

    zero = [
        pixels.new_zeros((len(pixels), *shape))
        for shape in (pixels.shape[1:], *(k.post for k in network.dynamic))
    ]
    kept = [State(z, z, z, z) for z in zero]
    if not dynamics.image_spikes:
        kept[0] = image(kept[0], pixels, dynamics)
    for t, layers in phase(kept, 0, dynamics.free, 0.0):
        yield Step("free", t, layers[1:])
        kept = layers
    if target is None:
        return
    base, begin = (None, kept) if dynamics.fine is None else (kept, deviation.begin(kept, dynamics))
    for sign in signs or ((1, -1) if dynamics.three_phases else (1,)):
        for t, layers in phase(begin, dynamics.free, dynamics.nudged, sign * dynamics.beta, base):
            yield Step("plus" if sign > 0 else "minus", t, layers[1:])


def averages(
    network: Network,
    dynamics: Dynamics,
    parameters: Parameters,
    pixels: Tensor,
    labels: Tensor | None,
    signs: tuple[int, ...] | None = None,
) -> dict[str, list[Tensor]]:
    """Return xi of layers 1..N, averaged over the last `window` steps of each phase; with `still`, the last.

    The arguments are those of `steps`; the keys are "free", "plus" and "minus".
    """
    lengths = {"free": dynamics.free, "plus": dynamics.nudged, "minus": dynamics.nudged}
    sums: dict[str, list[Tensor]] = {}
    for phase, t, layers in steps(network, dynamics, parameters, pixels, labels, signs):
        if t == lengths[phase] - dynamics.window or dynamics.still is not None:
            sums[phase] = [layer.xi for layer in layers]
        elif t > lengths[phase] - dynamics.window:
            sums[phase] = [total + layer.xi for total, layer in zip(sums[phase], layers, strict=True)]
    return {phase: [total / dynamics.window for total in each] for phase, each in sums.items()}


#: `averages`, or another implementation of it.
Averages = Callable[
    [Network, Dynamics, Parameters, Tensor, Tensor | None, tuple[int, ...] | None], dict[str, list[Tensor]]
]


def output(network: Network, parameters: Parameters, last: Tensor) -> Tensor:
    """Return the output that is compared with the label, (batch, 10), from the last layer's averaged xi."""
    return readout(network, parameters, last) if network.softmax else last.flatten(1)


@torch.no_grad()
def infer(
    network: Network,
    dynamics: Dynamics,
    parameters: Parameters,
    pixels: Tensor,
    averages: Averages = averages,
) -> Tensor:
    """Return predictions (n,): the class with the largest output at the end of the free phase."""
    return output(
        network, parameters, averages(network, dynamics, parameters, pixels, None, None)["free"][-1]
    ).argmax(1)
