"""A system that can be trained: what it is made of, its dynamics, and how it learns."""

from dataclasses import dataclass

from .eqspike import Leaky
from .network import Network
from .neuron import Dynamics


@dataclass(frozen=True)
class Configuration:
    """A system that can be trained."""

    name: str
    #: As `configurations` has them, or "start", which those that are tuned are chosen from.
    variant: str
    #: Of Table II.
    row: str
    #: Of Table II.
    column: str
    network: Network
    #: `Leaky` if the rule is "eqspike".
    dynamics: Dynamics | Leaky
    #: Learning rate of each link, input to output.
    rates: tuple[float, ...]
    #: "ep", "bptt" or "eqspike".
    rule: str = "ep"
    batch: int = 125
    epochs: int = 250
    #: Of the initial weights. The paper's "uniform Kaiming initialization" is read as torch's own, 1: sqrt(6) of He et al.
    #: 2015 saturates these networks.
    gain: float = 1.0
    #: Glorot's initial weights, in [-1, 1] times sqrt(6 / (inputs + outputs)), times gain, and biases of 0.
    glorot: bool = False
    #: Factor on the rates after each epoch.
    decay: float = 1.0
    #: Whether beta has a random sign in each batch, with two phases.
    random_sign: bool = False
    #: Updates are those of `centre`.
    centred: bool = False
    #: What a tuned variant changes.
    why: str = ""
