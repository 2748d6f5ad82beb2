"""Messages of the link: frames, commands, statuses, payloads. Plain data only.

Frame on the wire: STUFFED(version, sequence, command, payload..., CRC-32), then one zero byte. CRC-32 is
zlib's, little endian, over everything before it. All integers are little endian. The board answers every
request once, with the command's top bit set, then a status byte, then the payload.

Stuffing removes the zeros. Answers use plain COBS (Cheshire and Baker, 1999). Requests use COBS with zero
runs, after the "zero run elimination" of the same authors' draft for PPP (draft-ietf-pppext-cobs-00). The
code byte that begins a block stands for:

- below `FULL_BLOCK`: code - 1 bytes, then a zero, which is left out at the end of the frame;
- `FULL_BLOCK`: `FULL_BLOCK` - 1 bytes and no zero;
- above `FULL_BLOCK`: code - `FULL_BLOCK` + 1 zeros and nothing else.

A digit is mostly zeros: its 784 pixels take 205 bytes on average, so the line carries nearly four times as
many.

Order: the board executes requests in the order of their sequence numbers (mod 256). HELLO is always accepted
and sets the next number. A number among the last `window` executed gets its stored answer again and is not
executed again; any other number is answered BAD_SEQUENCE. So a host may keep `window` requests in flight and
repeat any of them, and every request is executed exactly once, in order. The HELLO answer has the `window`.
"""

import enum
import functools
import struct
from dataclasses import astuple, dataclass
from typing import Annotated, Self, get_type_hints

from .shapes import Input
from .spec import Spec

VERSION = 2

#: Default `window`: requests that a host may have in flight. The board has as many frame buffers and stored
#: answers. A USB adapter holds an answer back for 16 ms: with this window the line keeps a board busy that
#: needs 16 ms / (WINDOW - 1) or more per request.
WINDOW = 8

#: Largest `window`, a power of two; the board sends its own in HELLO. With 8-bit sequence numbers, the board
#: can still tell a repeated number from a new one.
MAX_WINDOW = 64


def check_window(window: int) -> int:
    """Return the window; `ValueError` unless it is a power of two, 1..`MAX_WINDOW`."""
    if not (1 <= window <= MAX_WINDOW and window & (window - 1) == 0):
        raise ValueError(f"window must be a power of two, 1..{MAX_WINDOW}, not {window!r}")
    return window


# -- frames

#: Largest decoded frame in bytes, CRC included, that a frame buffer holds: enough for an MNIST image with its
#: header. Boards of networks with larger images have larger buffers: `request_bytes`.
REQUEST_BYTES = 1024

#: Largest decoded answer in bytes, CRC included: the answer buffers stay within one small block RAM.
ANSWER_BYTES = 256

#: Code byte of a request's block of FULL_BLOCK - 1 bytes without a following zero; higher codes stand for
#: 2..32 zeros. Runs longer than 32 would save 3 % of a digit, and the board spends a cycle on each zero.
FULL_BLOCK = 0xE0
LONGEST_RUN = 0xFF - FULL_BLOCK + 1

#: Bytes of version, sequence, command.
REQUEST_HEADER = 3
#: Bytes of version, sequence, command | ANSWER, status.
ANSWER_HEADER = 4
CRC_BYTES = 4
ANSWER = 0x80

#: Largest payload of a request and of an answer, in bytes.
REQUEST_PAYLOAD = REQUEST_BYTES - REQUEST_HEADER - CRC_BYTES
ANSWER_PAYLOAD = ANSWER_BYTES - ANSWER_HEADER - CRC_BYTES


class Command(enum.IntEnum):
    """Command codes. Comments: request payload -> answer payload."""

    HELLO = 0x01  #: empty -> Identity
    READ_REGISTER = 0x02  #: RegisterRange -> count x u32
    WRITE_REGISTER = 0x03  #: RegisterValue -> empty
    READ_WEIGHTS = 0x04  #: Words -> count x lanes masters, in the order of `layout`
    WRITE_WEIGHTS = 0x05  #: WordAddress, then n x lanes masters -> empty. Takes effect at the next COMMIT
    INFER = 0x06  #: Sample -> Sampled
    TRAIN = 0x07  #: Sample -> Sampled
    COMMIT = 0x08  #: empty -> Committed
    DIGEST = 0x09  #: BundleNumber -> CRC-32 u32 over the bundle's masters, words in order, lanes in order
    # Payloads in `stored_messages`; a board without sample memory answers BAD_COMMAND.
    STORE = 0x0A  #: SampleNumber, then n records (Header) -> empty
    STORE_DIGEST = 0x0B  #: SampleRange -> CRC-32 u32 over their records
    TRAIN_STORED = 0x0C  #: n x Asked, n up to `MAX_ASKED` -> SampledStored. Trains all, then commits
    INFER_STORED = 0x0D  #: n x Asked, n up to `MAX_ASKED` -> SampledStored


class Status(enum.IntEnum):
    """First byte after an answer's header. All but OK: state unchanged, error counted; but see BAD_IMAGE."""

    OK = 0
    BAD_FRAME = 1  #: the last block is cut short
    BAD_CRC = 2  #: checksum mismatch
    BAD_LENGTH = 3  #: frame too short, too long, or of another size than its command has
    BAD_VERSION = 4  #: version other than VERSION
    BAD_COMMAND = 5  #: no such command
    BAD_SEQUENCE = 6  #: neither the next number nor one of the last `window`
    BAD_ORDER = 7  #: not allowed now: see ORDER_RULES
    BAD_RANGE = 8  #: address, bundle, count, label or register value out of range, or register not writable
    BAD_IMAGE = 9  #: a stored sample is damaged; earlier ones are done and answered, but not committed
    NOT_STORED = 10  #: an index not below the number of stored samples; for STORE: above it


ORDER_RULES = """
- TRAIN: refused with BAD_ORDER when `batch` samples are pending, or weights were written since the last
  COMMIT.
- INFER: refused when weights were written since the last COMMIT. (Pending samples don't matter: the dynamics
  read the working weights, which only COMMIT refreshes.)
- READ_WEIGHTS, WRITE_WEIGHTS, DIGEST: refused while samples are pending: a master is only defined after
  COMMIT.
- COMMIT and registers: always allowed.
- TRAIN_STORED, INFER_STORED: as TRAIN and INFER. A TRAIN_STORED is refused as a whole when its samples and
  those that are pending would be more than `batch`; an INFER_STORED may have more.
- STORE, STORE_DIGEST: always allowed.
"""

# -- payloads

#: MNIST's bytes per image and number of labels, 0..LABELS-1. Other networks: `Spec.input`.
PIXELS, LABELS = Input().pixels, Input().classes

#: Bytes of a register's value or of a digest.
VALUE_BYTES = 4

#: Width of a master on the link, in bits, for all formats: s16, LSB 2^-15.
MASTER_BITS = 16
MASTER_BYTES = MASTER_BITS // 8

#: Largest value of a payload's `count`.
MAX_COUNT = 0xFF

U8 = Annotated[int, "B"]
U16 = Annotated[int, "H"]
U32 = Annotated[int, "I"]


class Fields:
    """A payload of fixed size: the dataclass's fields in order, little endian, no padding."""

    @classmethod
    @functools.cache
    def _codes(cls) -> dict[str, str]:
        """Return the `struct` format character of each field."""
        hints = get_type_hints(cls, include_extras=True)
        return {name: hint.__metadata__[0] for name, hint in hints.items()}

    @classmethod
    @functools.cache
    def _layout(cls) -> struct.Struct:
        return struct.Struct("<" + "".join(cls._codes().values()))

    @classmethod
    def size(cls) -> int:
        """Return the size of all fields in bytes."""
        return cls._layout().size

    @classmethod
    def at(cls, name: str) -> int:
        """Return the offset of the field `name` in bytes."""
        codes = cls._codes()
        return struct.calcsize("<" + "".join(list(codes.values())[: list(codes).index(name)]))

    def encode(self) -> bytes:
        """Return the bytes to send; `ValueError` if a value doesn't fit its field."""
        values = astuple(self)  # type: ignore[call-overload]  # each subclass is a dataclass
        try:
            return self._layout().pack(*values)
        except struct.error as error:
            raise ValueError(f"{self!r}: {error}") from None

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the payload that `encode` encoded; `ValueError` for another number of bytes."""
        if len(data) != cls.size():
            raise ValueError(f"{cls.__name__} has {cls.size()} bytes, not {len(data)}")
        return cls(*cls._layout().unpack(data))


@dataclass(frozen=True)
class RegisterRange(Fields):
    """Registers that READ_REGISTER reads."""

    address: U8  #: address of the first register
    count: U8  #: number of consecutive addresses, 1..`MAX_REGISTERS`


@dataclass(frozen=True)
class RegisterValue(Fields):
    """Register and value that WRITE_REGISTER writes."""

    address: U8
    value: U32


@dataclass(frozen=True)
class WordAddress(Fields):
    """Address at which WRITE_WEIGHTS begins to write; 1..`writable_words` whole words of masters follow."""

    bundle: U8  #: `Bundle.index`, 1..N
    word: U32  #: word address in the bundle's master memory


@dataclass(frozen=True)
class Words(WordAddress):
    """Words that READ_WEIGHTS reads."""

    count: U8  #: number of words, 1..`readable_words`


@dataclass(frozen=True)
class BundleNumber(Fields):
    """Bundle that DIGEST reads."""

    bundle: U8  #: `Bundle.index`, 1..N


@dataclass(frozen=True)
class Label(Fields):
    """Begins the payload of TRAIN and INFER; the image follows."""

    label: U8  #: class of the image, below `Spec.classes`


@dataclass(frozen=True)
class Sample:
    """Payload of TRAIN and INFER: a label and an image."""

    label: U8  #: class of the image, below `Spec.classes`
    pixels: bytes  #: `Input.pixels` bytes, in raster order, channel after channel

    @staticmethod
    def size(pixels: int = PIXELS) -> int:
        """Return the size of a payload in bytes."""
        return Label.size() + pixels

    def encode(self) -> bytes:
        """label u8, then a u8 for each pixel; `ValueError` if the label doesn't fit its field."""
        return Label(self.label).encode() + self.pixels

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the sample that `encode` encoded, with any number of pixels."""
        return cls(Label.decode(data[: Label.size()]).label, data[Label.size() :])


@dataclass(frozen=True)
class Sampled(Fields):
    """Answer to TRAIN and INFER."""

    prediction: U8  #: predicted class, below `Spec.classes`
    #: Clock cycles until the core finished this sample, mod 2^32, counted from the later of two events: it
    #: finished the sample before, or it started this one. Samples overlap, so this is not the sample's own
    #: time, but the sum over samples is the time in which the core was busy. For a single sample: the time
    #: from its start.
    cycles: U32


@dataclass(frozen=True)
class Committed(Fields):
    """Answer to COMMIT."""

    samples: U16  #: samples that were pending
    cycles: U32  #: clock cycles of the commit, mod 2^32


#: Largest number of registers in one READ_REGISTER.
MAX_REGISTERS = ANSWER_PAYLOAD // VALUE_BYTES

#: Largest number of master bytes in one WRITE_WEIGHTS.
WEIGHTS_PAYLOAD = REQUEST_PAYLOAD - WordAddress.size()


def readable_words(lanes: int) -> int:
    """Return the largest number of words of `lanes` masters in one READ_WEIGHTS."""
    return min(ANSWER_PAYLOAD // (MASTER_BYTES * lanes), MAX_COUNT)


def writable_words(lanes: int) -> int:
    """Return the largest number of words of `lanes` masters in one WRITE_WEIGHTS."""
    return WEIGHTS_PAYLOAD // (MASTER_BYTES * lanes)


#: Payload bytes of each command's request. WRITE_WEIGHTS: the least (one master). INFER, TRAIN: with MNIST
#: images.
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
    """Return `PAYLOAD_BYTES` for a network's board: INFER and TRAIN with its own image size."""
    return PAYLOAD_BYTES | dict.fromkeys((Command.INFER, Command.TRAIN), Sample.size(spec.input.pixels))


def request_bytes(spec: Spec) -> int:
    """Return the largest decoded frame of a network's board, in bytes.

    It is a power of two, at least `REQUEST_BYTES`, that holds an image.
    """
    sample = REQUEST_HEADER + Sample.size(spec.input.pixels) + CRC_BYTES
    return max(REQUEST_BYTES, 1 << (sample - 1).bit_length())


def window_for(spec: Spec, window: int) -> int:
    """Return the link window of a network's board, at least 1.

    Its frames take no more memory than `window` frames of `REQUEST_BYTES`, unless a single one does.
    """
    return max(1, window * REQUEST_BYTES // request_bytes(spec))


#: Payload bytes of the answers with a fixed size.
ANSWERED_BYTES: dict[Command, int] = {
    Command.WRITE_REGISTER: 0,
    Command.WRITE_WEIGHTS: 0,
    Command.INFER: Sampled.size(),
    Command.TRAIN: Sampled.size(),
    Command.COMMIT: Committed.size(),
    Command.DIGEST: VALUE_BYTES,
}
