"""Messages of the link: frames, commands, statuses, payloads. Plain data only.

Frame on the wire: STUFFED(version, sequence, command, payload..., CRC-32) then one zero byte. CRC-32 is zlib's, little
endian, over everything before it. All integers are little endian. The board answers every request once, with the
command's top bit set, then a status byte, then the payload.

Stuffing removes the zeros. Answers have plain COBS (Cheshire and Baker, 1999). Requests have COBS with zero runs, after
the "zero run elimination" of the same authors' draft for PPP (draft-ietf-pppext-cobs-00): the code byte that begins a
block is below `FULL_BLOCK` for code - 1 bytes and then a zero, which is left out where the frame ends; `FULL_BLOCK` for as
many bytes and no zero; above it for code - `FULL_BLOCK` + 1 zeros and nothing else. A digit is mostly zeros: its 784 pixels
are 205 bytes in the mean, and the line carries four times as many.

Order: requests are executed in the order of their sequence numbers (mod 256). HELLO is always accepted and sets the
number that comes next. A number that was among the last `window` executed gets its stored answer again and is not
executed again; any other number is answered BAD_SEQUENCE. So a host may keep `window` requests in flight, repeat any of
them, and every request is executed exactly once, in order. HELLO says how many that is.
"""

import enum
import functools
import struct
from dataclasses import astuple, dataclass
from typing import Annotated, Self, get_type_hints

from .shapes import Input
from .spec import Spec

VERSION = 2

#: Requests a host may have in flight, unless a board says otherwise: it has this many frame buffers and keeps as many answers.
#: A USB adapter holds an answer back for 16 ms: this keeps a board busy that needs 16 ms / (WINDOW - 1)
#: or more for each.
WINDOW = 8

#: A board says in HELLO how many it has: a power of two up to this, so that a repeated number is told from a new one.
MAX_WINDOW = 64


def check_window(window: int) -> int:
    """The window, if it is one."""
    if not (1 <= window <= MAX_WINDOW and window & (window - 1) == 0):
        raise ValueError(f"window must be a power of two, 1..{MAX_WINDOW}, not {window!r}")
    return window


# -- frames

#: Largest decoded frame, CRC included, that a frame buffer holds: an image of MNIST with header fits, with room for weights.
#: Boards of networks with larger images have larger ones: `request_bytes`.
REQUEST_BYTES = 1024

#: Largest decoded answer, CRC included: the answer buffers stay within one small block RAM.
ANSWER_BYTES = 256

#: Code byte of a request's block of FULL_BLOCK - 1 bytes that no zero follows; codes above it stand for 2..32 zeros.
#: 32: longer runs would save 3 % of a digit, and the board spends a cycle on each zero.
FULL_BLOCK = 0xE0
LONGEST_RUN = 0xFF - FULL_BLOCK + 1

#: version, sequence, command.
REQUEST_HEADER = 3
#: version, sequence, command | ANSWER, status.
ANSWER_HEADER = 4
CRC_BYTES = 4
ANSWER = 0x80

#: Payload bytes that a request and an answer hold at most.
REQUEST_PAYLOAD = REQUEST_BYTES - REQUEST_HEADER - CRC_BYTES
ANSWER_PAYLOAD = ANSWER_BYTES - ANSWER_HEADER - CRC_BYTES


class Command(enum.IntEnum):
    """Request payload -> answer payload."""

    HELLO = 0x01  #: empty -> Identity
    READ_REGISTER = 0x02  #: RegisterRange -> count x u32
    WRITE_REGISTER = 0x03  #: RegisterValue -> empty
    READ_WEIGHTS = 0x04  #: Words -> count x lanes masters, in the order of `layout`
    WRITE_WEIGHTS = 0x05  #: WordAddress, then n x lanes masters -> empty. Takes effect at the next COMMIT
    INFER = 0x06  #: Sample -> Sampled
    TRAIN = 0x07  #: Sample -> Sampled
    COMMIT = 0x08  #: empty -> Committed
    DIGEST = 0x09  #: BundleNumber -> CRC-32 u32 over the bundle's master memory, words in order, lanes in order
    # `stored_messages`; a board without memory for samples answers BAD_COMMAND
    STORE = 0x0A  #: SampleNumber, then n records (Header) -> empty
    STORE_DIGEST = 0x0B  #: SampleRange -> CRC-32 u32 over their records
    TRAIN_STORED = 0x0C  #: n x Asked, n up to `MAX_ASKED` -> SampledStored. Trains all, then commits
    INFER_STORED = 0x0D  #: n x Asked, n up to `MAX_ASKED` -> SampledStored


class Status(enum.IntEnum):
    """First byte of an answer after its header. Anything but OK means: state unchanged, error counted; but see BAD_IMAGE."""

    OK = 0
    BAD_FRAME = 1  #: the last block is cut short
    BAD_CRC = 2  #: checksum mismatch
    BAD_LENGTH = 3  #: frame too short, too long, or of another size than its command has
    BAD_VERSION = 4  #: version other than VERSION
    BAD_COMMAND = 5  #: no such command
    BAD_SEQUENCE = 6  #: neither the next number nor one of the last `window`
    BAD_ORDER = 7  #: not allowed now: see ORDER_RULES
    BAD_RANGE = 8  #: address, bundle, count, label or register value out of range, or register not writable
    BAD_IMAGE = 9  #: a stored sample is damaged; those before it in the same request are done, and answered, but not committed
    NOT_STORED = 10  #: an index that is not below the number of stored samples; of STORE: above it


ORDER_RULES = """
- TRAIN: refused with BAD_ORDER when `batch` samples are pending, or weights were written since the last COMMIT.
- INFER: refused when weights were written since the last COMMIT. (Pending samples don't matter: the dynamics read the
  working weights, which only COMMIT refreshes.)
- READ_WEIGHTS, WRITE_WEIGHTS, DIGEST: refused while samples are pending: a master is only defined after COMMIT.
- COMMIT and registers: always allowed.
- TRAIN_STORED, INFER_STORED: as TRAIN and INFER. A TRAIN_STORED is refused as a whole when its samples and those that are
  pending would be more than `batch`; an INFER_STORED may have more.
- STORE, STORE_DIGEST: always allowed.
"""

# -- payloads

#: Of MNIST: bytes of an image; valid labels are 0..LABELS-1. A `Spec` has its own.
PIXELS, LABELS = Input().pixels, Input().classes

#: A register's value, or a digest.
VALUE_BYTES = 4

#: A weight or bias, whatever the formats: s16, LSB 2^-15.
MASTER_BITS = 16
MASTER_BYTES = MASTER_BITS // 8

#: Most that a payload's `count` says.
MAX_COUNT = 0xFF

U8 = Annotated[int, "B"]
U16 = Annotated[int, "H"]
U32 = Annotated[int, "I"]


class Fields:
    """A payload of fixed size: the dataclass's fields in order, little endian, no padding."""

    @classmethod
    @functools.cache
    def _codes(cls) -> dict[str, str]:
        """`struct`'s code of each field."""
        hints = get_type_hints(cls, include_extras=True)
        return {name: hint.__metadata__[0] for name, hint in hints.items()}

    @classmethod
    @functools.cache
    def _layout(cls) -> struct.Struct:
        return struct.Struct("<" + "".join(cls._codes().values()))

    @classmethod
    def size(cls) -> int:
        """Bytes of all fields."""
        return cls._layout().size

    @classmethod
    def at(cls, name: str) -> int:
        """Bytes before the field `name`."""
        codes = cls._codes()
        return struct.calcsize("<" + "".join(list(codes.values())[: list(codes).index(name)]))

    def encode(self) -> bytes:
        """As it is sent; `ValueError` if a value doesn't fit its field."""
        values = astuple(self)  # type: ignore[call-overload]  # each subclass is a dataclass
        try:
            return self._layout().pack(*values)
        except struct.error as error:
            raise ValueError(f"{self!r}: {error}") from None

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The inverse; `ValueError` for another number of bytes."""
        if len(data) != cls.size():
            raise ValueError(f"{cls.__name__} has {cls.size()} bytes, not {len(data)}")
        return cls(*cls._layout().unpack(data))


@dataclass(frozen=True)
class RegisterRange(Fields):
    """Which registers READ_REGISTER is to read."""

    address: U8  #: of the first
    count: U8  #: addresses in a row, 1..`MAX_REGISTERS`


@dataclass(frozen=True)
class RegisterValue(Fields):
    """What WRITE_REGISTER writes."""

    address: U8
    value: U32


@dataclass(frozen=True)
class WordAddress(Fields):
    """Where WRITE_WEIGHTS begins to write; 1..`writable_words` whole words of masters follow."""

    bundle: U8  #: `Bundle.index`, 1..N
    word: U32  #: of the bundle's master memory


@dataclass(frozen=True)
class Words(WordAddress):
    """What READ_WEIGHTS is to read."""

    count: U8  #: words, 1..`readable_words`


@dataclass(frozen=True)
class BundleNumber(Fields):
    """What DIGEST is to read."""

    bundle: U8  #: `Bundle.index`, 1..N


@dataclass(frozen=True)
class Label(Fields):
    """How the payload of TRAIN and INFER begins; the image follows."""

    label: U8  #: of a class of the network: below `Spec.classes`


@dataclass(frozen=True)
class Sample:
    """What TRAIN and INFER are given."""

    label: U8  #: of a class of the network
    pixels: bytes  #: `Input.pixels` of them, in raster order, channel after channel

    @staticmethod
    def size(pixels: int = PIXELS) -> int:
        """Bytes of a payload."""
        return Label.size() + pixels

    def encode(self) -> bytes:
        """label u8, then a u8 for each pixel; `ValueError` if the label doesn't fit its field."""
        return Label(self.label).encode() + self.pixels

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The inverse, of any number of pixels."""
        return cls(Label.decode(data[: Label.size()]).label, data[Label.size() :])


@dataclass(frozen=True)
class Sampled(Fields):
    """What TRAIN and INFER answer."""

    prediction: U8  #: below `Spec.classes`
    #: Clock cycles until the core was done with the sample, mod 2^32: since it was done with the sample before, or since it
    #: started this one if that was later. Samples overlap, so this is no sample's own time, but the sum over samples is the
    #: time in which the core had any. Of a sample alone, the time from its start.
    cycles: U32


@dataclass(frozen=True)
class Committed(Fields):
    """What COMMIT answers."""

    samples: U16  #: pending ones that it made final
    cycles: U32  #: clock cycles that the core took, mod 2^32


#: Most registers that one READ_REGISTER may ask for.
MAX_REGISTERS = ANSWER_PAYLOAD // VALUE_BYTES

#: Bytes of masters that one WRITE_WEIGHTS holds at most.
WEIGHTS_PAYLOAD = REQUEST_PAYLOAD - WordAddress.size()


def readable_words(lanes: int) -> int:
    """Most words of `lanes` masters that one READ_WEIGHTS may ask for."""
    return min(ANSWER_PAYLOAD // (MASTER_BYTES * lanes), MAX_COUNT)


def writable_words(lanes: int) -> int:
    """Most words of `lanes` masters that one WRITE_WEIGHTS holds."""
    return WEIGHTS_PAYLOAD // (MASTER_BYTES * lanes)


#: Payload bytes of each command's request; WRITE_WEIGHTS: at least these (one master). INFER, TRAIN: with images of MNIST.
PAYLOAD_BYTES: dict[Command, int] = {
    Command.HELLO: 0,
    Command.READ_REGISTER: RegisterRange.size(),
    Command.WRITE_REGISTER: RegisterValue.size(),
    Command.READ_WEIGHTS: Words.size(),
    Command.WRITE_WEIGHTS: WordAddress.size() + MASTER_BYTES,
    Command.INFER: Sample.size(),
    Command.TRAIN: Sample.size(),
    Command.COMMIT: 0,
    Command.DIGEST: BundleNumber.size(),
}


def payload_bytes(spec: Spec) -> dict[Command, int]:
    """`PAYLOAD_BYTES` of a board for a network."""
    return PAYLOAD_BYTES | dict.fromkeys((Command.INFER, Command.TRAIN), Sample.size(spec.input.pixels))


def request_bytes(spec: Spec) -> int:
    """Largest decoded frame of a board for a network: a power of two, at least `REQUEST_BYTES`, that holds an image."""
    sample = REQUEST_HEADER + Sample.size(spec.input.pixels) + CRC_BYTES
    return max(REQUEST_BYTES, 1 << (sample - 1).bit_length())


def window_for(spec: Spec, window: int) -> int:
    """Link window of a board for a network: as many of its frames as `window` of `REQUEST_BYTES` take memory, at least one."""
    return max(1, window * REQUEST_BYTES // request_bytes(spec))


#: Payload bytes of the answers that always have the same size.
ANSWERED_BYTES: dict[Command, int] = {
    Command.WRITE_REGISTER: 0,
    Command.WRITE_WEIGHTS: 0,
    Command.INFER: Sampled.size(),
    Command.TRAIN: Sampled.size(),
    Command.COMMIT: Committed.size(),
    Command.DIGEST: VALUE_BYTES,
}
