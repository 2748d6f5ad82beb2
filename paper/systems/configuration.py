"""A trainable system: its network, its dynamics, and its learning rule."""

from dataclasses import dataclass

from .eqspike import Leaky
from .network import Network
from .neuron import Dynamics


@dataclass(frozen=True)
class Configuration:
    """A trainable system of Table II, or a variant of one."""

    name: str
    #: One of those of `configurations`, or "start", the configuration from which tuning starts.
    variant: str
    #: Row of Table II.
    row: str
    #: Column of Table II.
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
    #: Gain of the initial weights (`Network.initial`). The paper's "uniform Kaiming initialization" is read
    #: as torch's default, gain 1: sqrt(6) of He et al. 2015 saturates these networks.
    gain: float = 1.0
    #: Initial weights after Glorot: uniform in +-gain sqrt(6 / (inputs + outputs)), biases 0.
    glorot: bool = False
    #: Factor on the learning rates after each epoch.
    decay: float = 1.0
    #: Whether beta has a random sign in each batch, with two phases.
    random_sign: bool = False
    #: Whether updates are centred (`paper.systems.centre`).
    centred: bool = False
    #: The changes of a variant, in words.
    why: str = ""
