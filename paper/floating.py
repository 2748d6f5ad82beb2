"""A network of the contract in floating point: the equations that `golden.model.fixed` approximates.

It runs in `paper.systems`: with `Dynamics.of` by the board's constants, or with any lambda and epsilon,
spiking or real-valued.
"""

from torch import Tensor

from nudge.golden.contract.shapes import Dense
from nudge.golden.contract.spec import Spec
from nudge.golden.model.parameters import Working
from nudge.paper.systems import phases
from nudge.paper.systems.network import Network, PaddedConv, Parameters
from nudge.paper.systems.neuron import Dynamics


def network(spec: Spec) -> Network:
    """Return the network of `spec`, without its number formats."""
    stages = (
        Dense(b.post.channels) if b.full else PaddedConv(b.post.channels, b.kernel, b.padding)
        for b in spec.bundles
    )
    return Network(
        tuple(stages), fold=False, feedback=2.0**-spec.schedule.feedback_shift, image=spec.input.shape
    )


def parameters(spec: Spec, working: Working) -> Parameters:
    """Return the fixed-point model's weights and biases in float64: integer * 2^-fraction."""
    f = spec.formats
    return Parameters(
        tuple(w.double() * 2.0**-f.weight_fraction for w in working.weights),
        tuple(b.double() * 2.0**-f.bias_fraction for b in working.biases),
    )


def pixels(spec: Spec, images: Tensor) -> Tensor:
    """Convert images (n, h, w) or (n, 3, h, w) uint8 to float64 (n, channels, h, w) as the board reads them:
    value / 256."""
    return images.reshape(-1, *spec.input.shape).double() / (1 << spec.formats.pixel_bits)


def infer(spec: Spec, working: Working, images: Tensor) -> Tensor:
    """Return predictions (n,) of images (n, h, w) or (n, 3, h, w) with the board's constants: the output with
    the largest average at the end of the free phase."""
    return phases.infer(network(spec), Dynamics.of(spec), parameters(spec, working), pixels(spec, images))
