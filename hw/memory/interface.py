"""Interfaces of the memory: pins, commands, accesses; and of the store of samples."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import stored
from nudge.golden.contract.messages import LABELS, PIXELS
from nudge.golden.contract.stored import ImageStatus

#: Address bits for the banks, the rows of a bank, and the words of a row that are used (the AS4C32M16 has
#: twice as many words): 32 MB.
BANK_BITS, ROW_BITS, COLUMN_BITS = 2, 13, 9
ADDRESS_BITS = BANK_BITS + ROW_BITS + COLUMN_BITS

#: Bits of a word.
WORD_BITS = 16

assert stored.CAPACITY == (1 << ADDRESS_BITS) * WORD_BITS // 8

#: Maximum number of words of an access, which never crosses a multiple of this: its words are in one row.
BURST = 16


class Command(enum.Enum, shape=3):
    """RAS, CAS and WE, from the highest bit: 1 where the pin is asserted. CS is always asserted."""

    NOP = 0b000
    ACTIVATE = 0b100
    READ = 0b010
    WRITE = 0b011
    PRECHARGE = 0b101
    REFRESH = 0b110
    MODE = 0b111


#: Address bit by which READ and WRITE precharge their bank, and PRECHARGE precharges all banks.
PRECHARGE_BIT = 10


class Pins(wiring.Signature):
    """The pins of the chip, seen from the controller.

    Registers in the pins may delay outputs and inputs by whole cycles, all outputs by the same number.

    Members
    -------
    clock_enable : Out(1), command : Out(Command), bank : Out(2), address : Out(13), mask : Out(2)
        Valid in every cycle. A bit of ``mask`` that is high keeps its byte from being written.
    data : Out(16), drive : Out(1)
        Word of a WRITE, and the output enable of the data pins.
    captured : In(16)
        Sampled data pins.
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
    """A read or write of consecutive words."""

    write: 1
    #: Address of the first word.
    address: unsigned(ADDRESS_BITS)
    #: Number of words, 1..`BURST`; first and last word are in the same aligned block of `BURST` words.
    length: unsigned(bits_for(BURST))


class Port(wiring.Signature):
    """The memory, seen from its user. Accesses are executed in order; a read sees all writes before it.

    A write is taken once its words have arrived, a read once there is room for its words. So the user must
    offer the words of a write without waiting for the access to be taken, and must take words that were read
    without waiting for its next access.

    Members
    -------
    access : Out(stream.Signature(Access))
    write : Out(stream.Signature(16))
        The words of the writes, in order. At least `BURST` words are taken before their access.
    read : In(stream.Signature(16))
        The words of the reads, in order.
    """

    def __init__(self):
        word = stream.Signature(WORD_BITS)
        super().__init__({"access": Out(stream.Signature(Access)), "write": Out(word), "read": In(word)})


#: Bits of a sample's index in the table. Requests have wider fields for it.
INDEX_BITS = stored.INDEX_BITS

#: Bits of a move in one direction.
MOVE_BITS = 4


class Move(data.Struct):
    """A requested sample, and the move of its image: `stored.Asked`."""

    index: unsigned(INDEX_BITS)
    mirrored: 1
    dy: signed(MOVE_BITS)
    dx: signed(MOVE_BITS)


class Found(data.Struct):
    """Result of fetching a sample."""

    status: ImageStatus
    #: Label of the sample, if the status is OK.
    label: range(LABELS)


class Record(data.Struct):
    """A record to be stored; its words follow."""

    #: At most the number of stored samples, and below `stored.MAX_SAMPLES`.
    index: unsigned(INDEX_BITS)
    #: Number of its words, 1..`stored.MAX_RECORD_WORDS`, for which the memory must have room.
    words: range(stored.MAX_RECORD_WORDS + 1)


class Range(data.Struct):
    """A range of stored samples."""

    first: unsigned(INDEX_BITS)
    #: At least 1; all samples of the range must be stored.
    count: unsigned(INDEX_BITS + 1)


#: Address of a pixel in its image.
PIXEL_ADDRESS = range(PIXELS)


class Store(wiring.Signature):
    """The store of samples, seen from the store.

    Members
    -------
    record : In(stream.Signature(Record)), data : In(stream.Signature(16))
        A record to be stored, and its words. ``record`` is transferred when it has been stored; ``count`` and
        ``end`` change with the transfer.
    forget : In(1)
        Empties the store, two clock edges later; until then no record may be offered.
    count : Out(18), end : Out(24)
        Number of stored samples; address of the word at which the next record will begin.
    move : In(stream.Signature(Move))
        Requested samples, in order.
    found : Out(stream.Signature(Found))
        Result for the oldest requested sample; the transfer releases its image.
    address : In(range(784)), pixel : Out(8)
        Synchronous read of that image.
    range : In(stream.Signature(Range)), digest : Out(32)
        Records of which a digest is requested: CRC-32 (zlib's) over their words, valid with the transfer of
        ``range``.
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
