"""Dynamics of a batch: the free phase and the two nudged phases, step by step."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nudge.golden.contract.spec import Spec

from . import fine_spikes, ops
from .engines import Engine
from .ops import State
from .parameters import Working
from .settings import Settings


class Step(NamedTuple):
    """State of all layers after one step; in the order "odd-even", after both halves of a sweep."""

    #: "free", "plus" or "minus".
    phase: str
    #: From 0 within the phase.
    t: int
    #: Layers 1..N in order.
    layers: list[State]
    #: phi of layers 1..N that this step read, before the left shift to d's LSB (second result of
    #: `ops.drive`): LSB 2^-9 without weak feedback and fine spikes.
    drives: list[Tensor]


def steps(
    spec: Spec, settings: Settings, engine: Engine, copies: Working, images: Tensor, labels: Tensor | None
) -> Iterator[Step]:
    """Yield every step of every phase; training, inference and traces all run through it.

    images: (batch, channels, height, width) integers. labels: (batch,), or None for the free phase alone.
    """
    biases = [b.to(engine.dtype)[:, None, None] for b in copies.biases]
    static = engine.static(images)
    last = settings.free_steps - 1
    rest = [
        torch.zeros((len(images), *layer.shape), dtype=engine.dtype, device=images.device)
        for layer in spec.layers[1:]
    ]

    def phase(
        name: str,
        layers: list[State],
        count: int,
        sign: int,
        target: Tensor | None,
        bases: list[fine_spikes.Base] | None = None,
    ) -> Iterator[Step]:
        """Yield the steps of one phase. bases: the layers' bases, if they send deviations."""
        for t in range(count):
            # the nudged phases keep the free phase's last lambda
            k, following = (
                spec.schedule.shift(min(x, count - 1) if target is None else last) for x in (t, t + 1)
            )
            layers, read = list(layers), list(rest)
            for turn in spec.turns:
                first = torch.zeros_like(static) if bases else static
                terms = engine.drives(first, [layer.s for layer in layers], turn)
                for n, (below, above) in zip(turn, terms, strict=True):
                    state, nudged = layers[n - 1], None
                    phi, shift = ops.drive(below, above, spec.drive_shifts(n, bases is not None))
                    if target is not None and n == len(layers):
                        xi = fine_spikes.whole(state.xi, bases[-1], spec) if bases else state.xi
                        nudged = ops.nudge(xi, target, settings.beta, sign, spec.formats)
                    if bases:
                        layers[n - 1] = fine_spikes.deviation(
                            state, bases[n - 1], phi, nudged, spec, n, shift, k
                        )
                    else:
                        layers[n - 1] = ops.neuron(
                            state, phi, biases[n - 1], nudged, spec, k, following, shift
                        )
                    read[n - 1] = phi
            yield Step(name, t, layers, read)

    kept = [State(z, z, z, z) for z in rest]
    for step in phase("free", kept, settings.free_steps, 0, None):
        yield step
        kept = step.layers
    if labels is None:
        return
    target = torch.zeros((len(images), spec.classes, 1, 1), dtype=engine.dtype, device=images.device)
    target.scatter_(1, labels[:, None, None, None], spec.formats.one)
    bases = None
    if spec.schedule.fine:
        k = spec.schedule.shift(last)
        begun = [
            fine_spikes.begin_deviation(state, bias, spec, k)
            for state, bias in zip(kept, biases, strict=True)
        ]
        kept, bases = [state for state, _ in begun], [base for _, base in begun]
    yield from phase("plus", kept, settings.nudged_steps, 1, target, bases)
    yield from phase("minus", kept, settings.nudged_steps, -1, target, bases)
