"""Hardware configuration: how wide each layer is processed. It changes cycles and area, never a bit of a result."""

from dataclasses import dataclass, fields, replace

from plumbing.errors import ConfigError

from .event_units import KERNEL
from .shapes import Bundle, Layer
from .spec import Spec

#: Bundles and layers that the addresses of a board's registers leave room for.
MAX_BUNDLES = 8

#: Samples that share the machine, half a sweep apart; the compact core has one alone.
SLOTS = 2


@dataclass(frozen=True)
class Config:
    """A network and the lanes of each layer.

    `lanes[n]` neurons of layer n are stored in one memory word, and engines process them in one cycle. A layer's neurons are
    grouped by channel: word = (channel // lanes) * positions + position, lane = channel % lanes. A weight word of
    bundle n holds the `lanes[n] * lanes[n-1]` weights between one group of each side.
    """

    spec: Spec
    #: Of layers 0..N; of the image 1, as it is read a byte at a time.
    lanes: tuple[int, ...]
    #: Of layers 0..N, neurons that the layer's array processes in a cycle: divisors of `lanes`. None given: whole words.
    arrays: tuple[int, ...] = ()
    #: Conv bundles whose synapse engine is event-driven instead of line-buffered.
    events: frozenset[int] = frozenset()
    #: Whether to take `hw.compact.compact_core`, which has one lane a layer, for the smallest parts.
    compact: bool = False
    #: Taps of the image's kernel that are multiplied side by side in each lane, at most.
    image_taps: int = 9
    #: Bundles whose update engine has one multiplier a lane for both nudged phases, and takes twice the cycles.
    shared: frozenset[int] = frozenset()
    #: Times that event-driven engines go through a window of spikes, forward and backward; each has a part of the sums.
    passes: tuple[int, int] = (1, 1)
    #: Whether event-driven engines keep their kernels in block RAM, one to five blocks for each unit, instead of cells.
    kernel_blocks: bool = False

    def __post_init__(self) -> None:
        if len(self.lanes) != len(self.spec.layers):
            raise ConfigError(f"lanes must have {len(self.spec.layers)} entries (layers 0..N), not {len(self.lanes)}")
        if self.arrays and len(self.arrays) != len(self.lanes):
            raise ConfigError(f"arrays must have {len(self.lanes)} entries (layers 0..N), not {len(self.arrays)}")
        for layer, lanes in zip(self.spec.layers, self.lanes, strict=True):
            if lanes < 1 or layer.channels % lanes:
                raise ConfigError(f"layer {layer.index}: lanes must divide {layer.channels} channels, not {lanes}")
        for layer, lanes, array in zip(self.spec.layers, self.lanes, self.arrays or self.lanes, strict=True):
            if array < 1 or lanes % array:
                raise ConfigError(f"layer {layer.index}: arrays must divide {lanes} lanes, not {array}")
        if self.lanes[0] != 1:
            raise ConfigError(f"layer 0, the image, is read a byte at a time: lanes must be 1, not {self.lanes[0]}")
        if self.image_taps < 1:
            raise ConfigError(f"image_taps must be at least 1, not {self.image_taps}")
        kinds = {bundle.index: bundle.kind for bundle in self.spec.bundles}
        for index in self.events:
            if kinds.get(index) != "conv":
                raise ConfigError(f"events must name conv bundles, not bundle {index} ({kinds.get(index, 'there is none')})")
            bundle = self.spec.bundles[index - 1]
            if bundle.kernel != KERNEL:
                raise ConfigError(f"events must name conv bundles of kernel {KERNEL}, not bundle {index} ({bundle.kernel})")
            rows = (self.groups(bundle.post), 2 * self.groups(bundle.pre))
            if any(passes < 1 or many % passes for passes, many in zip(self.passes, rows, strict=True)):
                raise ConfigError(f"passes must divide {rows} rows of drives of bundle {index}, not {self.passes}")
        for index in self.shared - set(kinds):
            raise ConfigError(f"shared must name bundles 1..{len(kinds)}, not {index}")

    def groups(self, layer: Layer) -> int:
        """Channel groups of a layer: channels / lanes."""
        return layer.channels // self.lanes[layer.index]

    def words(self, layer: Layer) -> int:
        """Memory words of a layer."""
        return self.groups(layer) * layer.positions

    def turns(self, layer: Layer) -> int:
        """Cycles in which a layer's array processes a word."""
        return self.lanes[layer.index] // self.arrays[layer.index] if self.arrays else 1

    def item_cycles(self, bundle: Bundle) -> int:
        """Cycles in which a bundle's update engine takes the products of one word and position, of both phases."""
        return 2 if bundle.index in self.shared else 1


#: Kinds of synapse engines, the default first, which is what the boards have. "event": spikes cost
#: time, silence does not, in convolutions of kernel 3; others have line engines. "line": conv planes
#: stream past kernels in registers, every dense weight is read in each step, whatever spikes.
ENGINES = ("event", "line")

#: `Config.image_taps` with each kind: multipliers are few where event engines are meant to go.
IMAGE_TAPS = {"line": 9, "event": 3}


def configuration(spec: Spec, engines: str = ENGINES[0], board: str = "") -> Config:
    """The network with these engines and the lanes of its file: `[lanes.BOARD]`, else `[lanes.ENGINES]`, else one a layer."""
    if engines not in ENGINES:
        raise ConfigError(f"engines must be {' or '.join(sorted(ENGINES))}, not {engines!r}")
    convs = {bundle.index for bundle in spec.bundles if bundle.kind == "conv" and bundle.kernel == KERNEL}
    events = convs if engines == "event" else ()
    config = Config(spec, (1,) * len(spec.layers), events=frozenset(events), image_taps=IMAGE_TAPS[engines])
    known = dict(spec.lanes)
    found = known.get(board) or known.get(engines)
    if found is None:
        return config
    said = {entry.name: getattr(found, entry.name) for entry in fields(found) if entry.name != "clock"}
    given = {key: value for key, value in said.items() if value is not None}
    if "shared" in given:
        given["shared"] = frozenset(given["shared"])
    return replace(config, **given)


def check_schedule(spec: Spec) -> None:
    """Raises `ConfigError` where layers step in a way that no gateware has."""
    schedule, elsewhere = spec.schedule, "this network is for the model, --board golden"
    if schedule.order != "odd-even":
        raise ConfigError(
            f"{spec.name}: the gateware steps odd and even layers in turn, not in the order {schedule.order!r}: {elsewhere}"
        )


#: Block RAM of the largest part that a board here has, an LFE5U-85F: 208 blocks of 18 kbit.
LARGEST_MEMORY = 208 * 18 * 1024


def check_depth(spec: Spec) -> None:
    """Raises `ConfigError` where a network has more stages than a board's registers have room for."""
    if len(spec.stages) > MAX_BUNDLES:
        raise ConfigError(
            f"{spec.name}: a board has registers for {MAX_BUNDLES} stages, not {len(spec.stages)}: "
            "this network is for the model, --board golden"
        )


def buildable(spec: Spec, engines: str = ENGINES[0]) -> Config:
    """`configuration`, for gateware: `ConfigError` where its order is another or no part here holds the weights.

    Each has a master and a working copy on the chip. Nobody could flash such a design, and on a virtual board more than an hour
    would pass until its weights have come through the port; its core alone can be simulated (`sim/core/test_core_paper.py`).
    """
    formats = spec.formats
    needed = spec.parameters * (formats.master_bits + formats.weight_bits)
    if needed > LARGEST_MEMORY:
        raise ConfigError(
            f"{spec.name}: its {spec.parameters} weights and biases take {needed / 1e6:.1f} Mbit, and the largest part here "
            f"has {LARGEST_MEMORY / 1e6:.1f} Mbit: this network is for the model, --board golden"
        )
    check_schedule(spec)
    check_depth(spec)
    return configuration(spec, engines)
