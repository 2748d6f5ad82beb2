"""One step of a neuron, eq. 3, 6 to 8 and 10, as pure functions: state and drive in, next state out.

The last three lines of eq. 10 lack a bracket, read as e[t+1] = (xi[t+1] - (1 - lambda) xi[t]) / lambda. rho
clips to [0, 1]. rho' is 1 on the whole interval, both edges included (otherwise no state could leave its zero
start), so it drops out.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nudge.golden.contract.schedule import turns
from nudge.golden.contract.spec import Spec


@dataclass(frozen=True)
class Dynamics:
    """Constants of the dynamics. The defaults are the board's; the paper has lambda 0.6, epsilon 0.9 or 1,
    beta 0.1 or 0.2, and a window of 1."""

    #: Steps of the free phase.
    free: int
    #: Steps of each nudged phase.
    nudged: int
    #: Averaging window: number of last steps of a phase over which xi is averaged; 1 takes the last xi.
    window: int = 8
    #: lambda of eq. 7.
    prediction: float = 0.5
    #: epsilon of eq. 10.
    rate: float = 1.0
    #: Strength of the nudge.
    beta: float = 0.5
    #: False: neurons exchange xi itself, without encoder and decoder.
    spiking: bool = True
    #: True: the image is encoded in spikes as a neuron's xi is. False: its pixels drive layer 1 directly.
    image_spikes: bool = False
    #: theta of eq. 6.
    threshold: float = 0.5
    #: Annealing (O'Connor et al. 2019): lambda_t = prediction / t^prediction_decay, t from 1, counted on
    #: through the nudged phases.
    prediction_decay: float = 0.0
    #: The same for epsilon: epsilon_t = rate / t^rate_decay.
    rate_decay: float = 0.0
    #: False adds the nudge after the clip, so that the output may leave [0, 1] (Ernoult et al. 2019).
    clip_nudge: bool = True
    #: True: the update of eq. 5, from both nudged phases. False: that of eq. 4, from the free phase and one.
    three_phases: bool = True
    #: Order in which layers step, one of `golden.contract.schedule.ORDERS`.
    order: str = "all"
    #: Steps of the free phase, from 0, at each of which lambda halves, as on the board (`Schedule.halvings`).
    halvings: tuple[int, ...] = ()
    #: A sample's free phase ends with the first step in which none of its xi changes by more than this; None:
    #: it has all steps. Requires a window of 1 and no spikes, since with spikes xi never comes to rest.
    still: float | None = None
    #: Fine spikes: in the nudged phases a spike of layer n = 1..N has the weight 2^-fine[n-1] and encodes the
    #: layer's deviation from the end of the free phase (`paper.systems.deviation`). None: ordinary spikes.
    fine: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        assert self.still is None or (not self.spiking and self.window == 1), (
            "spikes, or a window, never stand still"
        )
        assert self.fine is None or self.spiking, "without spikes none is fine"

    @classmethod
    def of(cls, spec: Spec) -> "Dynamics":
        """Return the board's dynamics for this network."""
        schedule = spec.schedule
        prediction = 2.0**-schedule.decay_shift
        beta, order, fine = spec.learning.beta, schedule.order, schedule.fine or None
        lengths = schedule.free, schedule.nudged, schedule.window
        return cls(*lengths, prediction, beta=beta, order=order, halvings=schedule.halvings, fine=fine)

    def turns(self, layers: int) -> tuple[tuple[int, ...], ...]:
        """Return the groups of layers 1 to `layers` that step together, in their order within a step."""
        return turns(self.order, layers)

    def at(self, t: int) -> "Dynamics":
        """Return these dynamics with the step sizes of a sample's step t, counted from 0 over all its phases:

        lambda_t = min(1, prediction / (2^h (t+1)^prediction_decay)), h the number of `halvings` up to step t;
        epsilon_t = min(1, rate / (t+1)^rate_decay).
        """
        if not self.prediction_decay and not self.rate_decay and not self.halvings:
            return self
        halved = self.prediction / 2 ** sum(at <= min(t, self.free - 1) for at in self.halvings)
        prediction = min(1.0, halved / (t + 1) ** self.prediction_decay)
        return replace(self, prediction=prediction, rate=min(1.0, self.rate / (t + 1) ** self.rate_decay))


class State(NamedTuple):
    """State of a layer; each tensor is (batch, c, h, w)."""

    #: Decoder: leaky average of the drive.
    d: Tensor
    #: Membrane potential.
    V: Tensor
    #: Output to the neighbours: a spike 0/1, or xi if not spiking.
    s: Tensor
    xi: Tensor


class Spike(torch.autograd.Function):
    """1 where x > 0, else 0. The surrogate derivative, used by BPTT only, is the triangle max(0, 1 - |x|)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0] * (1 - x.abs()).clamp(min=0)


def spike(x: Tensor, threshold: float) -> Tensor:
    """Return sigma of eq. 6: 1 where x > threshold (strictly), else 0."""
    if not x.requires_grad:
        return (x > threshold).to(x.dtype)
    fired: Tensor = Spike.apply(x - threshold)
    return fired


# lerp(a, b, w) = a + w (b - a) in one pass over memory: these functions dominate the run time.


def encode(V: Tensor, xi: Tensor, before: Tensor, dynamics: Dynamics) -> tuple[Tensor, Tensor]:
    """Encode xi by predictive coding and sigma-delta, the last three lines of eq. 10: (s[t+1], V[t+1]).

    e[t+1] = (xi[t+1] - (1 - lambda) xi[t]) / lambda,  s[t+1] = (V[t] + e[t+1] > threshold),
    V[t+1] = V[t] + e[t+1] - s[t+1].  before: xi[t].
    """
    e = torch.lerp(before, xi, 1 / dynamics.prediction)
    x = V + e
    s = spike(x, dynamics.threshold)
    return s, x - s


def moved(before: Tensor, drive: Tensor, nudge: Tensor | float, dynamics: Dynamics) -> Tensor:
    """Return xi[t+1] = clip((1 - epsilon) xi[t] + epsilon (drive + nudge), 0, 1); with `clip_nudge` False the
    nudge is added after the clip, without epsilon.

    before: xi[t]. drive: includes the bias. nudge: the number 0 if there is none.
    """
    pushed = isinstance(nudge, Tensor)
    if pushed and dynamics.clip_nudge:
        drive = drive + nudge
    xi = (drive if dynamics.rate == 1 else torch.lerp(before, drive, dynamics.rate)).clamp(0, 1)
    return xi + nudge if pushed and not dynamics.clip_nudge else xi


def neuron(state: State, phi: Tensor, bias: Tensor, nudge: Tensor | float, dynamics: Dynamics) -> State:
    """Return the state after one step of eq. 10, with the nudge -beta dL/dxi that eq. 10 omits:

    d[t+1] = (1 - lambda) d[t] + lambda phi[t]
    xi[t+1] = clip((1 - epsilon) xi[t] + epsilon (d[t+1] + b + nudge), 0, 1)    (`moved`)
    s[t+1], V[t+1] by `encode`.

    Not spiking, eq. 3: phi takes the place of d, and s = xi. nudge: beta (y - xi) or that of a readout
    (`phases.nudge`); the number 0 if there is none.
    """
    d = torch.lerp(state.d, phi, dynamics.prediction) if dynamics.spiking else state.d
    xi = moved(state.xi, (d if dynamics.spiking else phi) + bias, nudge, dynamics)
    if not dynamics.spiking:
        return State(d, state.V, xi, xi)
    s, V = encode(state.V, xi, state.xi, dynamics)
    return State(d, V, s, xi)


def image(state: State, pixels: Tensor, dynamics: Dynamics) -> State:
    """Return layer 0 after a step: xi is the pixels, s the pixels or, with `image_spikes`, their spikes."""
    if not dynamics.image_spikes:
        return state._replace(s=pixels, xi=pixels)
    s, V = encode(state.V, pixels, state.xi, dynamics)
    return State(state.d, V, s, pixels)
