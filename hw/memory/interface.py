"""The memory's pins, its commands, and how the gateware asks for words."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import stored
from golden.contract.messages import LABELS, PIXELS
from golden.contract.stored import ImageStatus

#: Banks, rows of each, words of a row that are used: the AS4C32M16 has twice as many. 32 MB.
BANK_BITS, ROW_BITS, COLUMN_BITS = 2, 13, 9
ADDRESS_BITS = BANK_BITS + ROW_BITS + COLUMN_BITS

#: Bits of a word.
WORD_BITS = 16

assert stored.CAPACITY == (1 << ADDRESS_BITS) * WORD_BITS // 8

#: Words of an access, at most: their words never cross a multiple of this, so they lie in one row.
BURST = 16


class Command(enum.Enum, shape=3):
    """RAS, CAS and WE, from the highest bit; set where the pin is asserted. CS always is."""

    NOP = 0b000
    ACTIVATE = 0b100
    READ = 0b010
    WRITE = 0b011
    PRECHARGE = 0b101
    REFRESH = 0b110
    MODE = 0b111


#: Address bit that makes READ and WRITE precharge their bank, and PRECHARGE all banks.
PRECHARGE_BIT = 10


class Pins(wiring.Signature):
    """The chip, seen from the controller; registers in the pins may delay both ways by whole cycles, all outputs alike.

    Members
    -------
    clock_enable : Out(1), command : Out(Command), bank : Out(2), address : Out(13), mask : Out(2)
        Every cycle. ``mask`` high keeps a byte from being written.
    data : Out(16), drive : Out(1)
        Word of a WRITE, and whether the pins drive it.
    captured : In(16)
        What the data pins showed.
    """

    def __init__(self):
        super().__init__(
            {
                "clock_enable": Out(1),
                "command": Out(Command),
                "bank": Out(BANK_BITS),
                "address": Out(ROW_BITS),
                "mask": Out(2),
                "data": Out(WORD_BITS),
                "drive": Out(1),
                "captured": In(WORD_BITS),
            }
        )


class Access(data.Struct):
    """Words in a row that are read or written."""

    write: 1
    #: Of the first word.
    address: unsigned(ADDRESS_BITS)
    #: Words, 1..`BURST`; the last one's address has the same multiple of `BURST` as the first one's.
    length: unsigned(bits_for(BURST))


class Port(wiring.Signature):
    """Memory as its user sees it. Accesses are done in order, a read sees all writes before it.

    A write is taken when its words are there, a read when there is room for its words: so words have to be given before their
    access is taken, and those read before must not wait for the next access.

    Members
    -------
    access : Out(stream.Signature(Access))
    write : Out(stream.Signature(16))
        The words of the writes, in order. At least `BURST` are taken before their access.
    read : In(stream.Signature(16))
        The words of the reads, in order.
    """

    def __init__(self):
        word = stream.Signature(WORD_BITS)
        super().__init__({"access": Out(stream.Signature(Access)), "write": Out(word), "read": In(word)})


#: Bits of an index of the table; as it is asked for it has more.
INDEX_BITS = stored.INDEX_BITS

#: Bits of a move in one direction.
MOVE_BITS = 4


class Move(data.Struct):
    """A stored sample that is wanted, and how its image is moved: `stored.Asked`."""

    index: unsigned(INDEX_BITS)
    mirrored: 1
    dy: signed(MOVE_BITS)
    dx: signed(MOVE_BITS)


class Found(data.Struct):
    """What became of it."""

    status: ImageStatus
    #: Of the sample, if the status is OK.
    label: range(LABELS)


class Record(data.Struct):
    """A record that is to be stored; its words follow."""

    #: At most the number of stored samples, and below `stored.MAX_SAMPLES`.
    index: unsigned(INDEX_BITS)
    #: Words of it, 1..`stored.MAX_RECORD_WORDS`; there is room for them.
    words: range(stored.MAX_RECORD_WORDS + 1)


class Range(data.Struct):
    """Stored samples in a row."""

    first: unsigned(INDEX_BITS)
    #: At least 1; all of them are stored.
    count: unsigned(INDEX_BITS + 1)


#: Address of a pixel in its image.
PIXEL_ADDRESS = range(PIXELS)


class Store(wiring.Signature):
    """The store of samples, seen from itself.

    Members
    -------
    record : In(stream.Signature(Record)), data : In(stream.Signature(16))
        A record to be stored, transferred when it is: then ``count`` and ``end`` have changed; and its words.
    forget : In(1)
        Two edges later no sample is stored any longer; until then there may be no record.
    count : Out(18), end : Out(24)
        Samples that are stored; word at which the next record will begin.
    move : In(stream.Signature(Move))
        Stored samples that are wanted, in order.
    found : Out(stream.Signature(Found))
        The oldest that was wanted; its transfer gives the image back.
    address : In(range(784)), pixel : Out(8)
        Synchronous read of that image.
    range : In(stream.Signature(Range)), digest : Out(32)
        Records whose digest is wanted; transferred when it is there: CRC-32 (zlib's) over their words.
    """

    def __init__(self):
        super().__init__(
            {
                "record": In(stream.Signature(Record)),
                "data": In(stream.Signature(WORD_BITS)),
                "forget": In(1),
                "count": Out(INDEX_BITS + 1),
                "end": Out(ADDRESS_BITS, init=stored.LOG_AT),
                "move": In(stream.Signature(Move)),
                "found": Out(stream.Signature(Found)),
                "address": In(PIXEL_ADDRESS),
                "pixel": Out(8),
                "range": In(stream.Signature(Range)),
                "digest": Out(32),
            }
        )
