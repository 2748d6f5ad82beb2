"""Where the compact core keeps what: the regions of its single-port memories, as data.

`MemoryMap(config)` has a `Region` for each quantity, and refuses a network that doesn't fit. No
address is written anywhere else.

Memories `low` and `high` share an address; as `PARAMETERS` they are one memory of 32 bits::

    low   15..0   bits 15..0 of a master
    high  9, 8    bits 17, 16 of the master
    high  7..0    its working copy, if it is a weight's

Behind the image bundle's masters only `low` is used, as a memory of its own, `LOW`.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Value
from amaranth.utils import bits_for, exact_log2

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.formats import signed_bits
from golden.contract.spec import IMAGE_SIDE
from hw.lib.single_port_memory import DEPTH, WIDTH
from plumbing.errors import ConfigError

#: The memories by name: `low` and `high` together, and the two of the neurons.
PARAMETERS, LEFT, RIGHT = "low, high", "left", "right"

#: `low` alone; where it is used, `high` at the same address isn't.
LOW = "low"

#: Bits of a word of each.
WORD_BITS = {PARAMETERS: 2 * WIDTH, LOW: WIDTH, LEFT: WIDTH, RIGHT: WIDTH}

#: Where `high` has the upper bits of a master, and its working copy.
TOP_BITS, WORKING_BITS = slice(8, 10), slice(0, 8)

#: The nibbles of `high` to write for each of these.
TOP_NIBBLES, WORKING_NIBBLES = 0b100, 0b011

#: Boxes, sums of 2x2 pixels: columns in memory for each of their rows, so that an address needs no
#: product; the rows that there are; the column of a row's first, which is there two columns late.
BOX_STRIDE, BOX_ROWS, FIRST_BOX = 32, IMAGE_SIDE - 1, 2

#: Words of the image bundle's bank that masters may take.
IMAGE_MASTERS = 4096

#: Width of a stored master: all of `low`, then `TOP_BITS`.
MASTER_BITS = WIDTH + TOP_BITS.stop - TOP_BITS.start


@dataclass(frozen=True)
class Region:
    """Words of one memory that hold one quantity, in one bank or several.

    Raises `ConfigError` if a bank has fewer words, or a word fewer bits, than the network needs.
    """

    #: What its words hold, for messages.
    name: str
    #: `PARAMETERS`, `LOW`, `LEFT` or `RIGHT`.
    memory: str
    #: First word of bank 0; a multiple of all banks' words, so that an address needs no adder.
    base: int
    #: Words of a bank, a power of two.
    span: int
    #: Words that the network needs in each bank; as many entries as banks, a power of two.
    words: tuple[int, ...]
    #: Bits that it needs in a word.
    bits: int

    def __post_init__(self):
        if self.base % (self.span * self.banks):
            raise ValueError(f"{self.name}: base must be a multiple of all banks, not {self.base}")
        for available, unit, needed in (
            (self.span, "words", max(self.words)),
            (WORD_BITS[self.memory], "bits", self.bits),
        ):
            if needed > available:
                raise ConfigError(
                    f"the compact core has {available} {unit} for {self.name}, not {needed}"
                )

    @property
    def banks(self) -> int:
        return len(self.words)

    @property
    def index_bits(self) -> int:
        """Width of a word's number within its bank."""
        return exact_log2(self.span)

    @property
    def end(self) -> int:
        """The first word behind all banks."""
        return self.base + self.span * self.banks

    def used(self) -> list[range]:
        """Addresses that the network needs, one range a bank."""
        banks = zip(range(self.base, self.end, self.span), self.words, strict=True)
        return [range(start, start + words) for start, words in banks]

    def address(self, index, bank=0):
        """Of word `index` of a bank, as an Amaranth expression: wires only.

        Bits of `index` above `index_bits` don't count.
        """
        above = Const(self.base // (self.span * self.banks), bits_for(DEPTH - 1))
        parts = _sized(index, self.index_bits), _sized(bank, exact_log2(self.banks)), above
        return Cat(*parts)[: bits_for(DEPTH - 1)]


def _sized(value, bits):
    """The low bits of a value; zeros above where it has fewer."""
    return Cat(Value.cast(value), Const(0, bits))[:bits]


class MemoryMap:
    """All regions for one network. Neurons are numbered as in `Counters`, over both layers."""

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
            raise ConfigError(f"the compact core has {IMAGE_MASTERS} words for masters of the image, not {masters[1]}")

        #: Masters and working copies, in the order of `golden.contract.layout`: weights, then
        #: biases. Bank 0: those of the dense bundle, 1: of the image bundle.
        self.parameters = Region("masters", PARAMETERS, 0, 8192, masters, 2 * WIDTH)
        #: d of each neuron. Bank: of the step (`Step.state_read`, `state_write`).
        self.decoders = Region("d", LEFT, 0, 1024, (neurons, neurons), f.decoder_bits)
        #: Window sums of each neuron, of the free and +beta phase.
        self.plus_sums = Region("sums (free, +beta)", LEFT, 2048, 1024, (neurons,), spec.sum_bits)
        #: Boxes, for static drives.
        self.left_boxes = Region("boxes", LEFT, 3072, 1024, (boxes,), f.pixel_bits + 2)
        #: U of each neuron. Bank: of the step.
        self.membranes = Region("U", RIGHT, 0, 1024, (neurons, neurons), spec.membrane_bits)
        #: Window sums of each neuron, of the -beta phase.
        self.minus_sums = Region("sums (-beta)", RIGHT, 2048, 1024, (neurons,), spec.sum_bits)
        #: What the image adds to phi of each neuron of layer 1.
        self.static_drives = Region("static drives", LOW, 12288, 1024, (hidden,), static_bits)
        #: Boxes, for updates.
        self.low_boxes = Region("boxes", LOW, 13312, 1024, (boxes,), f.pixel_bits + 2)

    @property
    def regions(self) -> tuple[Region, ...]:
        """All of them."""
        return tuple(value for value in vars(self).values() if isinstance(value, Region))

    def address_bits(self, memory: str) -> int:
        """Width of an address that reaches all regions of a memory."""
        return bits_for(max(region.end for region in self.regions if region.memory == memory) - 1)
