"""One neuron's step, eq. 3 and eq. 6 to 8 and 10. Pure functions: a state and its drive in, the next state out.

The last three lines of eq. 10 lack a bracket: e = (xi^t - (1 - lambda) xi^(t-1)) / lambda. rho is the clip to [0, 1];
rho' is 1 on all of it, both edges included (else the zero initial state could never be left), so it drops out.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from golden.contract.schedule import turns
from golden.contract.spec import Spec


@dataclass(frozen=True)
class Dynamics:
    """How states evolve. The defaults are the board's; the paper has lambda .6, epsilon .9 or 1, beta .1 or .2, window 1."""

    #: Steps of the free phase.
    free: int
    #: Steps of each nudged phase.
    nudged: int
    #: Averaging window: the last steps of a phase, over which xi is averaged; 1 takes the last xi.
    window: int = 8
    #: lambda of eq. 7.
    prediction: float = 0.5
    #: epsilon of eq. 10.
    rate: float = 1.0
    #: Strength of the nudge.
    beta: float = 0.5
    #: False lets neurons exchange xi itself, without encoder and decoder.
    spiking: bool = True
    #: The image goes through a neuron's encoder too, instead of driving layer 1 with its pixels.
    image_spikes: bool = False
    #: theta of eq. 6.
    threshold: float = 0.5
    #: Annealing (O'Connor et al. 2019): lambda_t = prediction / t^prediction_decay, t from 1, counted on in the nudged phases.
    prediction_decay: float = 0.0
    #: The same for epsilon.
    rate_decay: float = 0.0
    #: False adds the nudge after the clip, so that the output may leave [0, 1] (Ernoult et al. 2019).
    clip_nudge: bool = True
    #: Eq. 5, else eq. 4.
    three_phases: bool = True
    #: One of `golden.contract.schedule.ORDERS`: in which order layers step.
    order: str = "all"
    #: Steps of the free phase, from 0, with each of which lambda halves, as the board can (`Schedule.halvings`).
    halvings: tuple[int, ...] = ()
    #: A sample's free phase ends with the first step in which none of its xi moves by more than this; None for never. Without
    #: spikes, whose xi never stand still, and with a window of 1.
    still: float | None = None
    #: Binary points of what a spike of layers 1 to N is worth in the nudged phases, 2^-fine, where layers send how far they are
    #: from the free phase's end (`paper.systems.deviation`); None: spikes as in the free phase.
    fine: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        assert self.still is None or (not self.spiking and self.window == 1), "spikes, or a window, never stand still"
        assert self.fine is None or self.spiking, "without spikes none is fine"

    @classmethod
    def of(cls, spec: Spec) -> "Dynamics":
        """What the board does for this network."""
        schedule = spec.schedule
        prediction = 2.0**-schedule.decay_shift
        beta, order, fine = spec.learning.beta, schedule.order, schedule.fine or None
        lengths = schedule.free, schedule.nudged, schedule.window
        return cls(*lengths, prediction, beta=beta, order=order, halvings=schedule.halvings, fine=fine)

    def turns(self, layers: int) -> tuple[tuple[int, ...], ...]:
        """Layers that step together, of 1 to `layers`, in the order in which they do within a step."""
        return turns(self.order, layers)

    def at(self, t: int) -> "Dynamics":
        """With the step sizes of step t of a sample, from 0."""
        if not self.prediction_decay and not self.rate_decay and not self.halvings:
            return self
        halved = self.prediction / 2 ** sum(at <= min(t, self.free - 1) for at in self.halvings)
        prediction = min(1.0, halved / (t + 1) ** self.prediction_decay)
        return replace(self, prediction=prediction, rate=min(1.0, self.rate / (t + 1) ** self.rate_decay))


class State(NamedTuple):
    """Of a layer, (batch, c, h, w)."""

    #: Decoder.
    d: Tensor
    #: Membrane potential.
    V: Tensor
    #: What is sent: a spike 0/1, or xi if not spiking.
    s: Tensor
    xi: Tensor


class Spike(torch.autograd.Function):
    """1 where x > 0, else 0. Its surrogate derivative, for BPTT alone, is the triangle 1 - |x| on [-1, 1]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0] * (1 - x.abs()).clamp(min=0)


def spike(x: Tensor, threshold: float) -> Tensor:
    """sigma of eq. 6: 1 where x > threshold, strictly, else 0."""
    if not x.requires_grad:
        return (x > threshold).to(x.dtype)
    fired: Tensor = Spike.apply(x - threshold)
    return fired


# lerp(a, b, w) = a + w (b - a), in one pass over memory: these functions are where the time goes.


def encode(V: Tensor, xi: Tensor, before: Tensor, dynamics: Dynamics) -> tuple[Tensor, Tensor]:
    """Predictive coding and sigma-delta, the last three lines of eq. 10: (spikes, new V)."""
    e = torch.lerp(before, xi, 1 / dynamics.prediction)
    x = V + e
    s = spike(x, dynamics.threshold)
    return s, x - s


def moved(before: Tensor, drive: Tensor, nudge: Tensor | float, dynamics: Dynamics) -> Tensor:
    """xi after a step, from the one before, the drive with its bias, and the nudge: a number if there is none, 0."""
    pushed = isinstance(nudge, Tensor)
    if pushed and dynamics.clip_nudge:
        drive = drive + nudge
    xi = (drive if dynamics.rate == 1 else torch.lerp(before, drive, dynamics.rate)).clamp(0, 1)
    return xi + nudge if pushed and not dynamics.clip_nudge else xi


def neuron(state: State, phi: Tensor, bias: Tensor, nudge: Tensor | float, dynamics: Dynamics) -> State:
    """One step, eq. 10 with the nudge -beta dL/dxi = beta (y - xi) that its text leaves out; not spiking: eq. 3.

    nudge: a number if there is none, 0.
    """
    d = torch.lerp(state.d, phi, dynamics.prediction) if dynamics.spiking else state.d
    xi = moved(state.xi, (d if dynamics.spiking else phi) + bias, nudge, dynamics)
    if not dynamics.spiking:
        return State(d, state.V, xi, xi)
    s, V = encode(state.V, xi, state.xi, dynamics)
    return State(d, V, s, xi)


def image(state: State, pixels: Tensor, dynamics: Dynamics) -> State:
    """Layer 0 after a step: its xi are the pixels, and what it sends is the pixels too or their spikes."""
    if not dynamics.image_spikes:
        return state._replace(s=pixels, xi=pixels)
    s, V = encode(state.V, pixels, state.xi, dynamics)
    return State(state.d, V, s, pixels)
