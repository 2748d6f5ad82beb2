"""The same network in floating point, as the paper writes it: any lambda and epsilon, spiking or real-valued.

For experiments, and to check what `golden.model.fixed` approximates: `paper.systems` on the networks of
`golden.contract.spec`. Pixels are value/256, as the board reads them. Every operation is differentiable but the spikes, so
autograd can check the learning rule.
"""

from collections.abc import Iterator

from torch import Tensor

from golden.contract.shapes import Bundle, Dense
from golden.contract.spec import Spec
from golden.model.parameters import Working
from paper.systems.network import Link, Network, PaddedConv, Parameters
from paper.systems.neuron import Dynamics, State, encode, neuron
from paper.systems.phases import Step

from .systems import equilibrium, network, phases

__all__ = ["Dynamics", "State", "Step", "Weights", "averages", "encode", "infer", "learn", "neuron", "steps", "update"]


class Weights(Parameters):
    """Weights in torch's shapes and biases (channels,) of all bundles, float."""

    @classmethod
    def of(cls, spec: Spec, working: Working) -> "Weights":
        """The values that the integers of the fixed-point model stand for, in float64."""
        f = spec.formats
        return cls(
            tuple(w.double() * 2.0**-f.weight_fraction for w in working.weights),
            tuple(b.double() * 2.0**-f.bias_fraction for b in working.biases),
        )


def general(spec: Spec) -> Network:
    """The network of `spec`, without its number formats."""
    stages = (Dense(b.post.channels) if b.kind == "dense" else PaddedConv(b.post.channels, b.kernel) for b in spec.bundles)
    return Network(tuple(stages), fold=False, feedback=2.0**-spec.schedule.feedback_shift)


def link(bundle: Bundle) -> Link:
    """Shapes of `bundle` for the functions of `paper.systems.network`."""
    kind = "dense" if bundle.kind == "dense" else "average"
    return Link(kind, bundle.pre.shape, bundle.post.shape, bundle.kernel, fold=False)


def forward(bundle: Bundle, s: Tensor, w: Tensor) -> Tensor:
    """P(w * s) of eq. 9 with P the 2x2 average, or w . s: (batch, *pre.shape) to (batch, *post.shape)."""
    return network.forward(link(bundle), s, w)[0]


def backward(bundle: Bundle, s: Tensor, w: Tensor) -> Tensor:
    """Transpose of `forward`, the second terms of eq. 9: (batch, *post.shape) to (batch, *pre.shape)."""
    return network.backward(link(bundle), s, w, None)


def _pixels(spec: Spec, parameters: Parameters, images: Tensor) -> Tensor:
    return images[:, None].to(parameters.weights[0].dtype) / (1 << spec.formats.pixel_bits)


def steps(spec: Spec, dynamics: Dynamics, parameters: Parameters, images: Tensor, labels: Tensor | None) -> Iterator[Step]:
    """Every step of all phases on images (batch, 28, 28) uint8; labels None: the free phase alone.

    Both nudged phases start from the state at the end of the free one. All drives use what was sent in the step before.
    """
    return phases.steps(general(spec), dynamics, parameters, _pixels(spec, parameters, images), labels)


def averages(
    spec: Spec, dynamics: Dynamics, parameters: Parameters, images: Tensor, labels: Tensor | None
) -> dict[str, list[Tensor]]:
    """xi of layers 1..N averaged over the last `window` steps of each phase."""
    return phases.averages(general(spec), dynamics, parameters, _pixels(spec, parameters, images), labels)


def infer(spec: Spec, dynamics: Dynamics, parameters: Parameters, images: Tensor) -> Tensor:
    """Predictions (n,): the output with the largest average at the end of the free phase."""
    return phases.infer(general(spec), dynamics, parameters, _pixels(spec, parameters, images))


def update(spec: Spec, dynamics: Dynamics, parameters: Parameters, images: Tensor, labels: Tensor) -> Parameters:
    """Mean over the batch of Delta w, eq. 11, and of Delta b: minus the gradient of the loss 1/2 |y - xi_N|^2."""
    return equilibrium.update(general(spec), dynamics, parameters, _pixels(spec, parameters, images), labels).delta


def learn(
    parameters: Parameters, delta: Parameters, rates: tuple[float, ...], bias_rates: tuple[float, ...] | None = None
) -> Weights:
    """w + rate * Delta w for each bundle (bias_rates None: the same for biases)."""
    return Weights(
        tuple(w + r * d for w, r, d in zip(parameters.weights, rates, delta.weights, strict=True)),
        tuple(b + r * d for b, r, d in zip(parameters.biases, bias_rates or rates, delta.biases, strict=True)),
    )
