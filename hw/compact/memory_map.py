"""Memory map of the compact core: the regions of its single-port memories, as data.

`MemoryMap(config)` has a `Region` for each quantity, and raises `ConfigError` for a network that doesn't
fit. All addresses come from here.

Memories `low` and `high` share an address; together they are the 32-bit memory `PARAMETERS`::

    low   15..0   bits 15..0 of a master
    high  9, 8    bits 17, 16 of the master
    high  7..0    the working copy, if the master is a weight

Above the image bundle's masters only `low` is used, as a memory of its own: `LOW`.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Value
from amaranth.utils import bits_for, exact_log2

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.spec import IMAGE_SIDE
from nudge.hw.lib.single_port_memory import DEPTH, WIDTH
from nudge.plumbing.errors import ConfigError

#: Names of the memories: `low` and `high` together, and the two with the neurons' state.
PARAMETERS, LEFT, RIGHT = "low, high", "left", "right"

#: `low` alone; `high` isn't used at the same addresses.
LOW = "low"

#: Width of a word of each memory.
WORD_BITS = {PARAMETERS: 2 * WIDTH, LOW: WIDTH, LEFT: WIDTH, RIGHT: WIDTH}

#: Bits of `high` with a master's upper bits, and with the working copy.
TOP_BITS, WORKING_BITS = slice(8, 10), slice(0, 8)

#: Write masks of `high`, one bit for each nibble, for these two.
TOP_NIBBLES, WORKING_NIBBLES = 0b100, 0b011

#: Boxes, sums of 2x2 pixels: columns stored for each row, a power of two, so that an address needs no
#: product; number of rows; column of each row's first box, two because a box is complete two columns late.
BOX_STRIDE, BOX_ROWS, FIRST_BOX = 32, IMAGE_SIDE - 1, 2

#: Words of the image bundle's bank that its masters may take.
IMAGE_MASTERS = 4096

#: Width of a stored master: all of `low`, then `TOP_BITS`.
MASTER_BITS = WIDTH + TOP_BITS.stop - TOP_BITS.start


@dataclass(frozen=True)
class Region:
    """The words of one memory that hold one quantity, in one bank or several.

    Raises `ConfigError` if a bank has fewer words, or a word fewer bits, than the network needs.
    """

    #: Name of the quantity, for messages.
    name: str
    #: `PARAMETERS`, `LOW`, `LEFT` or `RIGHT`.
    memory: str
    #: Address of bank 0; a multiple of span * banks, so that an address needs no adder.
    base: int
    #: Words of a bank, a power of two.
    span: int
    #: Words that the network needs in each bank, one entry a bank; the number of banks is a power of two.
    words: tuple[int, ...]
    #: Bits that the network needs in a word.
    bits: int

    def __post_init__(self):
        if self.base % (self.span * self.banks):
            raise ValueError(f"{self.name}: base must be a multiple of all banks, not {self.base}")
        for available, unit, needed in (
            (self.span, "words", max(self.words)),
            (WORD_BITS[self.memory], "bits", self.bits),
        ):
            if needed > available:
                raise ConfigError(f"the compact core has {available} {unit} for {self.name}, not {needed}")

    @property
    def banks(self) -> int:
        return len(self.words)

    @property
    def index_bits(self) -> int:
        """Width of a word's number within its bank."""
        return exact_log2(self.span)

    @property
    def end(self) -> int:
        """Address after the last bank."""
        return self.base + self.span * self.banks

    def used(self) -> list[range]:
        """Addresses that the network needs, one range a bank."""
        banks = zip(range(self.base, self.end, self.span), self.words, strict=True)
        return [range(start, start + words) for start, words in banks]

    def address(self, index, bank=0):
        """Return the address of word ``index`` of a bank, as an Amaranth expression of wires only.

        Bits of ``index`` above `index_bits` are ignored.
        """
        above = Const(self.base // (self.span * self.banks), bits_for(DEPTH - 1))
        parts = _sized(index, self.index_bits), _sized(bank, exact_log2(self.banks)), above
        return Cat(*parts)[: bits_for(DEPTH - 1)]


def _sized(value, bits):
    """Return the low ``bits`` bits of a value, zero-extended where it has fewer."""
    return Cat(Value.cast(value), Const(0, bits))[:bits]


class MemoryMap:
    """All regions for one network. Neurons of both layers are numbered as in `LoopCounters.n`."""

    def __init__(self, config: Config):
        spec, f = config.spec, config.spec.formats
        image, dense = spec.bundles
        hidden, outputs = spec.layers[1].neurons, spec.layers[2].neurons
        neurons = hidden + outputs
        masters = (layout.master_words(config, dense), layout.master_words(config, image))
        for width, available, what in (
            (f.master_bits, MASTER_BITS, "a master"),
            (f.weight_bits, WORKING_BITS.stop, "a working weight"),
        ):
            if width > available:
                raise ConfigError(f"the compact core has {available} bits for {what}, not {width}")
        static = (spec.static_bound + (1 << (spec.static_shift - 1))) >> spec.static_shift
        static_bits = signed_bits(-static, static)
        boxes = BOX_STRIDE * BOX_ROWS
        if masters[1] > IMAGE_MASTERS:
            raise ConfigError(
                f"the compact core has {IMAGE_MASTERS} words for masters of the image, not {masters[1]}"
            )

        #: Masters and working copies, in the order of `golden.contract.layout`: weights, then biases. Bank 0:
        #: dense bundle; bank 1: image bundle.
        self.parameters = Region("masters", PARAMETERS, 0, 8192, masters, 2 * WIDTH)
        #: d of each neuron. Banks: `Step.state_read`, `state_write`.
        self.decoders = Region("d", LEFT, 0, 1024, (neurons, neurons), f.decoder_bits)
        #: Window sums of each neuron in the free phase, then in the +beta phase.
        self.plus_sums = Region("sums (free, +beta)", LEFT, 2048, 1024, (neurons,), spec.sum_bits)
        #: Boxes, for static drives.
        self.left_boxes = Region("boxes", LEFT, 3072, 1024, (boxes,), f.pixel_bits + 2)
        #: U of each neuron. Banks: `Step.state_read`, `state_write`.
        self.membranes = Region("U", RIGHT, 0, 1024, (neurons, neurons), spec.membrane_bits)
        #: Window sums of each neuron in the -beta phase.
        self.minus_sums = Region("sums (-beta)", RIGHT, 2048, 1024, (neurons,), spec.sum_bits)
        #: Static drive of each neuron of layer 1.
        self.static_drives = Region("static drives", LOW, 12288, 1024, (hidden,), static_bits)
        #: Boxes, for updates.
        self.low_boxes = Region("boxes", LOW, 13312, 1024, (boxes,), f.pixel_bits + 2)

    @property
    def regions(self) -> tuple[Region, ...]:
        """All regions."""
        return tuple(value for value in vars(self).values() if isinstance(value, Region))

    def address_bits(self, memory: str) -> int:
        """Return the width of an address that covers all regions of a memory."""
        return bits_for(max(region.end for region in self.regions if region.memory == memory) - 1)
