"""Hardware configuration: the lanes and engines of a core.

It changes cycles and area, never a bit of a result.
"""

from dataclasses import dataclass, fields, replace

from nudge.plumbing.errors import ConfigError

from . import event_units
from .shapes import Bundle, Layer
from .spec import Spec

#: Largest number of bundles, and of layers 1..N: a board's register map has this many addresses for each.
MAX_BUNDLES = 8

#: Largest number of samples that a core processes at once, half a sweep apart; the compact core processes
#: one.
SLOTS = 2


@dataclass(frozen=True)
class Config:
    """A network and the lanes of each layer.

    One memory word stores `lanes[n]` neurons of layer n, and the engines process a word in one cycle. A
    layer's neurons are grouped by channel: word = (channel // lanes) * positions + position, lane = channel %
    lanes. A weight word of bundle n holds the `lanes[n] * lanes[n-1]` weights between one channel group of
    layer n and one of layer n - 1.
    """

    spec: Spec
    #: Neurons per memory word, for layers 0..N; 1 for the image, which is read a byte at a time.
    lanes: tuple[int, ...]
    #: Neurons that the layer's array processes in a cycle, for layers 0..N: divisors of `lanes`. Empty: whole
    #: words.
    arrays: tuple[int, ...] = ()
    #: Conv bundles with an event-driven synapse engine; those in neither set have line buffers.
    events: frozenset[int] = frozenset()
    #: Conv bundles with a scatter engine, whose cells grow with the lanes and whose cycles with the spikes.
    scatters: frozenset[int] = frozenset()
    #: Those of them that keep folded kernels in block RAM: a pre spike adds one of them for each pooled
    #: position that it reaches, instead of one for each tap.
    folded: frozenset[int] = frozenset()
    #: Whether the core is `hw.compact.compact_core`, which has one lane per layer, for the smallest parts.
    compact: bool = False
    #: Largest number of taps of the image's kernel that each lane multiplies in the same cycle.
    image_taps: int = 9
    #: Bundles whose update engine has one multiplier per lane for both nudged phases, and takes twice the
    #: cycles.
    shared: frozenset[int] = frozenset()
    #: Passes of event-driven engines over a spike window, (forward, backward); each pass computes a part of
    #: the sums.
    passes: tuple[int, int] = (1, 1)
    #: Whether event-driven engines keep their kernels in block RAM, one to five blocks per unit, instead of
    #: logic cells.
    kernel_blocks: bool = False
    #: Samples that step at once, 1 or 2. With 1 the memories of samples have half the banks, and in each half
    #: of a sweep either the odd or the even layers are idle. The compact core ignores it.
    slots: int = SLOTS

    def __post_init__(self) -> None:
        if len(self.lanes) != len(self.spec.layers):
            raise ConfigError(
                f"lanes must have {len(self.spec.layers)} entries (layers 0..N), not {len(self.lanes)}"
            )
        if self.arrays and len(self.arrays) != len(self.lanes):
            raise ConfigError(
                f"arrays must have {len(self.lanes)} entries (layers 0..N), not {len(self.arrays)}"
            )
        for layer, lanes in zip(self.spec.layers, self.lanes, strict=True):
            if lanes < 1 or layer.channels % lanes:
                raise ConfigError(
                    f"layer {layer.index}: lanes must divide {layer.channels} channels, not {lanes}"
                )
        for layer, lanes, array in zip(self.spec.layers, self.lanes, self.arrays or self.lanes, strict=True):
            if array < 1 or lanes % array:
                raise ConfigError(f"layer {layer.index}: arrays must divide {lanes} lanes, not {array}")
        if self.lanes[0] != 1:
            raise ConfigError(
                f"layer 0, the image, is read a byte at a time: lanes must be 1, not {self.lanes[0]}"
            )
        if not 1 <= self.slots <= SLOTS:
            raise ConfigError(f"slots must be 1 to {SLOTS}, not {self.slots}")
        if self.image_taps < 1:
            raise ConfigError(f"image_taps must be at least 1, not {self.image_taps}")
        kinds = {bundle.index: bundle.kind for bundle in self.spec.bundles}
        for index in self.events:
            if kinds.get(index) != "conv":
                raise ConfigError(
                    f"events must name conv bundles, not bundle {index} ({kinds.get(index, 'there is none')})"
                )
            bundle = self.spec.bundles[index - 1]
            if not event_units.takes(bundle):
                allowed = f"of kernel {event_units.KERNEL} without padding"
                what = f"kernel {bundle.kernel}, padding {bundle.padding}"
                raise ConfigError(f"events must name conv bundles {allowed}, not bundle {index} ({what})")
            rows = (self.groups(bundle.post), 2 * self.groups(bundle.pre))
            if any(passes < 1 or many % passes for passes, many in zip(self.passes, rows, strict=True)):
                raise ConfigError(
                    f"passes must divide {rows} rows of drives of bundle {index}, not {self.passes}"
                )
        for index in self.scatters:
            if kinds.get(index) != "conv" or index in self.events:
                which = "it is in events" if index in self.events else kinds.get(index, "there is none")
                raise ConfigError(f"scatters must name conv bundles, not bundle {index} ({which})")
        for index in self.folded - self.scatters:
            raise ConfigError(f"folded must name bundles in scatters, not bundle {index}")
        for index in self.shared - set(kinds):
            raise ConfigError(f"shared must name bundles 1..{len(kinds)}, not {index}")

    def engine(self, bundle: Bundle) -> str:
        """Synapse engine of a bundle: "event", "scatter", else `Bundle.kind` ("conv": the line engine)."""
        if bundle.index in self.scatters:
            return "scatter"
        return "event" if bundle.index in self.events else bundle.kind

    def groups(self, layer: Layer) -> int:
        """Channel groups of a layer: channels / lanes."""
        return layer.channels // self.lanes[layer.index]

    def words(self, layer: Layer) -> int:
        """Memory words of a layer: groups * positions."""
        return self.groups(layer) * layer.positions

    def turns(self, layer: Layer) -> int:
        """Cycles in which a layer's array processes one word: lanes / arrays."""
        return self.lanes[layer.index] // self.arrays[layer.index] if self.arrays else 1

    def item_cycles(self, bundle: Bundle) -> int:
        """Update cycles of a word and position: 1, or 1 for each product if they share a multiplier."""
        return self.spec.products(bundle) if bundle.index in self.shared else 1


#: Kinds of synapse engines; the first is the default, which the boards use. "event": convolutions of kernel 3
#: without padding have event-driven engines, which spend cycles on spikes only; other convolutions have line
#: engines; those that a table of lanes names in `scatters` have scatter engines. "line": the planes of a
#: convolution stream past kernels in registers. "scatter": adders work spike by spike. Dense engines read
#: every weight in each step whether neurons spike or not.
ENGINES = ("event", "line", "scatter")

#: `Config.image_taps` for each kind: event and scatter engines are meant for parts with few multipliers.
IMAGE_TAPS = {"line": 9, "event": 3, "scatter": 3}


def configuration(spec: Spec, engines: str = ENGINES[0], board: str = "") -> Config:
    """Return the network's configuration with these engines.

    Lanes are those of `[lanes.BOARD]` in its file, else of `[lanes.ENGINES]`, else one per layer.
    """
    if engines not in ENGINES:
        raise ConfigError(f"engines must be {' or '.join(ENGINES)}, not {engines!r}")
    convs = [bundle for bundle in spec.bundles if bundle.kind == "conv"]
    events = frozenset(bundle.index for bundle in convs if engines == "event" and event_units.takes(bundle))
    scatters = frozenset(bundle.index for bundle in convs if engines == "scatter")
    lanes, taps = (1,) * len(spec.layers), IMAGE_TAPS[engines]
    config = Config(spec, lanes, events=events, scatters=scatters, image_taps=taps)
    known = dict(spec.lanes)
    found = known.get(board) or known.get(engines)
    if found is None:
        return config
    said = {entry.name: getattr(found, entry.name) for entry in fields(found) if entry.name != "clock"}
    given = {key: value for key, value in said.items() if value is not None}
    for name in {"shared", "scatters", "folded"} & set(given):
        given[name] = frozenset(given[name])
    if "scatters" in given:
        given["events"] = events - given["scatters"]
    return replace(config, **given)


def check_schedule(spec: Spec) -> None:
    """Raise `ConfigError` if the layers step in an order that the gateware doesn't implement."""
    schedule, elsewhere = spec.schedule, "this network is for the model, --board golden"
    if schedule.order != "odd-even":
        raise ConfigError(
            f"{spec.name}: the gateware steps odd and even layers in turn, not in the order "
            f"{schedule.order!r}: {elsewhere}"
        )


#: Block RAM in bits of the largest part among the boards here, an LFE5U-85F: 208 blocks of 18 kbit.
LARGEST_MEMORY = 208 * 18 * 1024


def check_depth(spec: Spec) -> None:
    """Raise `ConfigError` if a network has more stages than a board has registers for."""
    if len(spec.stages) > MAX_BUNDLES:
        raise ConfigError(
            f"{spec.name}: a board has registers for {MAX_BUNDLES} stages, not {len(spec.stages)}: "
            "this network is for the model, --board golden"
        )


def buildable(spec: Spec, engines: str = ENGINES[0]) -> Config:
    """Return `configuration` for gateware.

    Raises `ConfigError` if the gateware doesn't implement the order, has too few registers, or no part here
    holds the weights.

    Each weight has a master and a working copy on the chip. A larger design couldn't be flashed, and a
    virtual board would need more than an hour to receive its weights through the port; its core alone can be
    simulated (`sim/core/whole/test_paper.py`).
    """
    formats = spec.formats
    needed = spec.parameters * (formats.master_bits + formats.weight_bits)
    if needed > LARGEST_MEMORY:
        raise ConfigError(
            f"{spec.name}: its {spec.parameters} weights and biases take {needed / 1e6:.1f} Mbit, and the "
            f"largest part here has {LARGEST_MEMORY / 1e6:.1f} Mbit: this network is for the model, --board "
            "golden"
        )
    check_schedule(spec)
    check_depth(spec)
    return configuration(spec, engines)
