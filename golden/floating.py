"""The same network in floating point, as the paper writes it: any lambda and epsilon, spiking or real-valued.

For experiments, and to check what `golden.fixed` approximates. Equation numbers are the paper's (Scaling SNNs trained
using equilibrium propagation to convolutional architectures, 2024). States are in [0, 1]; pixels are value/256, as the
board reads them. Every operation is differentiable but the spikes, so autograd can check the learning rule.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional, grad

from .engines import Working
from .spec import CLASSES, Bundle, Spec


@dataclass(frozen=True)
class Dynamics:
    """How states evolve. The defaults are the board's; the paper has lambda .6, epsilon .9 or 1, beta .1 or .2, window 1.

    prediction: lambda of eq. 7. rate: epsilon of eq. 10. beta: strength of the nudge. free, nudged: steps of the phases.
    window: xi is averaged over the last so many steps of a phase; 1 takes the last xi. spiking: False lets neurons
    exchange xi itself, without encoder and decoder. image_spikes: the image goes through a neuron's encoder too, instead
    of driving layer 1 with its pixels. threshold: theta of eq. 6.
    """

    free: int
    nudged: int
    window: int = 8
    prediction: float = 0.5
    rate: float = 1.0
    beta: float = 0.5
    spiking: bool = True
    image_spikes: bool = False
    threshold: float = 0.5

    @classmethod
    def of(cls, spec: Spec) -> "Dynamics":
        """What the board does for this network."""
        schedule = spec.schedule
        return cls(schedule.free, schedule.nudged, schedule.window, 2.0**-schedule.decay_shift, beta=spec.learning.beta)


class Weights(NamedTuple):
    """Weights in torch's shapes and biases (channels,) of all bundles, float."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    @classmethod
    def of(cls, spec: Spec, working: Working) -> "Weights":
        """The values that the integers of the fixed-point model stand for, in float64."""
        f = spec.formats
        return cls(
            tuple(w.double() * 2.0**-f.weight_fraction for w in working.weights),
            tuple(b.double() * 2.0**-f.bias_fraction for b in working.biases),
        )


class State(NamedTuple):
    """Of a layer, (batch, c, h, w): decoder d, membrane V, what is sent (spike 0/1, or xi if not spiking), state xi."""

    d: Tensor
    V: Tensor
    s: Tensor
    xi: Tensor


def forward(bundle: Bundle, s: Tensor, w: Tensor) -> Tensor:
    """P(w * s) of eq. 9 with P the 2x2 average, or w . s: (batch, *pre.shape) to (batch, *post.shape)."""
    if bundle.kind == "dense":
        return (s.flatten(1) @ w.T)[:, :, None, None]
    return functional.avg_pool2d(functional.conv2d(s, w), 2)


def unpool(bundle: Bundle, s: Tensor) -> Tensor:
    """Transpose of the average (P^-1 of eq. 16 with alpha = 4): nearest x2 over 4, zeros where pooling dropped an odd edge."""
    large = functional.interpolate(s, scale_factor=2) / 4
    return functional.pad(large, (0, bundle.map_width - large.shape[3], 0, bundle.map_height - large.shape[2]))


def backward(bundle: Bundle, s: Tensor, w: Tensor) -> Tensor:
    """Transpose of `forward`, the second terms of eq. 9: (batch, *post.shape) to (batch, *pre.shape)."""
    if bundle.kind == "dense":
        return (s.flatten(1) @ w).unflatten(1, bundle.pre.shape)
    return functional.conv_transpose2d(unpool(bundle, s), w)


def encode(V: Tensor, xi: Tensor, before: Tensor, dynamics: Dynamics) -> tuple[Tensor, Tensor]:
    """Predictive coding and sigma-delta, the last three lines of eq. 10: (spikes, new V)."""
    e = (xi - (1 - dynamics.prediction) * before) / dynamics.prediction
    s = (V + e > dynamics.threshold).to(V.dtype)
    return s, V + e - s


def neuron(state: State, phi: Tensor | float, bias: Tensor, nudge: Tensor | float, dynamics: Dynamics) -> State:
    """One step, eq. 10 with the nudge -beta dL/dxi = beta (y - xi) that its text leaves out.

    rho is the clip to [0, 1]; rho' is 1 on all of it, both edges included, so it drops out.
    """
    epsilon = dynamics.rate
    if not dynamics.spiking:
        xi = ((1 - epsilon) * state.xi + epsilon * (phi + bias + nudge)).clamp(0, 1)
        return State(state.d, state.V, xi, xi)
    d = (1 - dynamics.prediction) * state.d + dynamics.prediction * phi
    xi = ((1 - epsilon) * state.xi + epsilon * (d + bias + nudge)).clamp(0, 1)
    s, V = encode(state.V, xi, state.xi, dynamics)
    return State(d, V, s, xi)


class Step(NamedTuple):
    """Layers 1..N after a step. phase: "free", "plus" or "minus"; t from 0 within it."""

    phase: str
    t: int
    layers: list[State]


def steps(spec: Spec, dynamics: Dynamics, parameters: Weights, images: Tensor, labels: Tensor | None) -> Iterator[Step]:
    """Every step of all phases on images (batch, 28, 28) uint8; labels None: the free phase alone.

    Both nudged phases start from the state at the end of the free one. All drives use what was sent in the step before.
    """
    pixels = images[:, None].to(parameters.weights[0].dtype) / (1 << spec.formats.pixel_bits)
    target = None if labels is None else functional.one_hot(labels, CLASSES).to(pixels.dtype)[:, :, None, None]

    def drives(layers: list[State]) -> list[Tensor | float]:
        """phi of eq. 9 for layers 0..N (nothing drives the image)."""
        phi: list[Tensor | float] = [0.0]
        phi += [forward(b, layers[b.index - 1].s, w) for b, w in zip(spec.bundles, parameters.weights, strict=True)]
        for b, w in list(zip(spec.bundles, parameters.weights, strict=True))[1:]:
            phi[b.index - 1] = phi[b.index - 1] + backward(b, layers[b.index].s, w)
        return phi

    def phase(name: str, layers: list[State], count: int, sign: int) -> Iterator[tuple[str, int, list[State]]]:
        """layers: 0..N, the image in front."""
        for t in range(count):
            nudges: list[Tensor | float] = [0.0] * len(layers)
            if target is not None:
                nudges[-1] = sign * dynamics.beta * (target - layers[-1].xi)
            each = zip(layers[1:], drives(layers)[1:], parameters.biases, nudges[1:], strict=True)
            moved = [neuron(state, phi, bias[:, None, None], nudge, dynamics) for state, phi, bias, nudge in each]
            layers = [_image(layers[0], pixels, dynamics), *moved]
            yield name, t, layers

    zero = [pixels.new_zeros((len(images), *layer.shape)) for layer in spec.layers]
    kept = [State(z, z, z, z) for z in zero]
    if not dynamics.image_spikes:
        kept[0] = _image(kept[0], pixels, dynamics)
    for name, t, layers in phase("free", kept, dynamics.free, 0):
        yield Step(name, t, layers[1:])
        kept = layers
    for name, sign in (("plus", 1), ("minus", -1)) if target is not None else ():
        for _, t, layers in phase(name, kept, dynamics.nudged, sign):
            yield Step(name, t, layers[1:])


def _image(state: State, pixels: Tensor, dynamics: Dynamics) -> State:
    """Layer 0 after a step: its xi are the pixels, and what it sends is the pixels too or their spikes."""
    if not dynamics.image_spikes:
        return state._replace(s=pixels, xi=pixels)
    s, V = encode(state.V, pixels, state.xi, dynamics)
    return State(state.d, V, s, pixels)


def averages(
    spec: Spec, dynamics: Dynamics, parameters: Weights, images: Tensor, labels: Tensor | None
) -> dict[str, list[Tensor]]:
    """xi of layers 1..N averaged over the last `window` steps of each phase."""
    lengths = {"free": dynamics.free, "plus": dynamics.nudged, "minus": dynamics.nudged}
    sums: dict[str, list[Tensor]] = {}
    for phase, t, layers in steps(spec, dynamics, parameters, images, labels):
        if t == lengths[phase] - dynamics.window:
            sums[phase] = [layer.xi for layer in layers]
        elif t > lengths[phase] - dynamics.window:
            sums[phase] = [total + layer.xi for total, layer in zip(sums[phase], layers, strict=True)]
    return {phase: [total / dynamics.window for total in each] for phase, each in sums.items()}


def infer(spec: Spec, dynamics: Dynamics, parameters: Weights, images: Tensor) -> Tensor:
    """Predictions (n,): the output with the largest average at the end of the free phase."""
    return averages(spec, dynamics, parameters, images, None)["free"][-1].flatten(1).argmax(1)


def update(spec: Spec, dynamics: Dynamics, parameters: Weights, images: Tensor, labels: Tensor) -> Weights:
    """Mean over the batch of Delta w, eq. 11, and of Delta b: minus the gradient of the loss 1/2 |y - xi_N|^2."""
    xi = averages(spec, dynamics, parameters, images, labels)
    pixels = images[:, None].to(parameters.weights[0].dtype) / (1 << spec.formats.pixel_bits)
    scale = 1 / (2 * dynamics.beta * len(images))

    def products(bundle: Bundle, layers: list[Tensor]) -> Tensor:
        pre, post = pixels if bundle.index == 1 else layers[bundle.index - 2], layers[bundle.index - 1]
        if bundle.kind == "dense":
            return post.flatten(1).T @ pre.flatten(1)
        return grad.conv2d_weight(pre, bundle.weight_shape, unpool(bundle, post))

    weights = tuple(scale * (products(b, xi["plus"]) - products(b, xi["minus"])) for b in spec.bundles)
    biases = tuple(
        scale * (plus - minus).sum(dim=(0, 2, 3)) for plus, minus in zip(xi["plus"], xi["minus"], strict=True)
    )
    return Weights(weights, biases)


def learn(
    parameters: Weights, delta: Weights, rates: tuple[float, ...], bias_rates: tuple[float, ...] | None = None
) -> Weights:
    """w + rate * Delta w for each bundle (bias_rates None: the same for biases)."""
    return Weights(
        tuple(w + r * d for w, r, d in zip(parameters.weights, rates, delta.weights, strict=True)),
        tuple(b + r * d for b, r, d in zip(parameters.biases, bias_rates or rates, delta.biases, strict=True)),
    )
