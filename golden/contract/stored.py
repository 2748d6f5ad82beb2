"""Samples in a board's memory: records, the table of their addresses, what fits, and how one is asked for. Plain data only.

The memory has words of 16 bits, addressed by word; bytes lie in words little endian. At power-up its content is unknown.

- Table, from word 0: for each index 0..`MAX_SAMPLES` - 1 the word address of its record, u32.
- Log, from word `LOG_AT`: records, one behind the other, each at the end of those before it.
- Record: `Header`, then the image, coded as `stuffing.stuff` does; behind a last odd byte one more. It lies as it was sent.

Beside it the board knows two numbers, both as after power-up when it is reset: `count`, samples stored (indices 0..count - 1),
and `end`, the word at which the next record will begin. So nothing has to be erased, and what an unknown memory holds is never
taken for a sample. STORE of index `count` appends; of a smaller one it appends as well, and the table then names the new
record: the space of the old one is lost, but only damage is ever stored again. A larger index is refused.

The CRC covers index, label and pixels: a flipped bit of the table, which leads to another sample's record, is found too.
"""

import enum
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from .messages import CRC_BYTES, PIXELS, U8, U16, U32, Fields
from .shapes import Input
from .stuffing import FULL

WORD_BYTES = 2

#: Bytes of a board's memory, if it has one: those of the ULX3S's chips that all of them have.
CAPACITY = 1 << 25

#: Bits of an index: MNIST and FashionMNIST have 60,000 samples for training and 10,000 for the test.
INDEX_BITS = 17
MAX_SAMPLES = 1 << INDEX_BITS

#: Words of an address in the table.
ENTRY_WORDS = 2

#: First word of the log.
LOG_AT = ENTRY_WORDS * MAX_SAMPLES

#: Bytes of a coded image that no zero makes shorter: a code byte for each full block, and one for the rest.
MAX_CODED = PIXELS + PIXELS // FULL + 1


class ImageStatus(enum.IntEnum):
    """What became of a STORE, or of an image that was asked for. Anything but OK: nothing was changed but the counter."""

    OK = 0
    NEVER_STORED = 1  #: index not below `count`; a STORE: above it
    FULL = 2  #: a STORE: no room in the log, or no such index in the table
    TOO_LONG = 3  #: more coded bytes than `MAX_CODED`, or more pixels than an image has
    TRUNCATED = 4  #: no coded bytes, a last block cut short, or fewer pixels than an image has
    BAD_CRC = 5  #: index, label and pixels don't have the CRC that the record says


#: Those that a fetched image can have because its bits in memory changed.
DAMAGED = (ImageStatus.TOO_LONG, ImageStatus.TRUNCATED, ImageStatus.BAD_CRC)


@dataclass(frozen=True)
class Header(Fields):
    """Begins a record. The coded image follows; where its bytes are odd in number, one more, which may be anything."""

    coded: U16  #: bytes of the coded image, 1..`MAX_CODED`
    label: U8  #: of a class
    unused: U8  #: anything, better 0
    crc: U32  #: CRC-32 (zlib's) over index u32, label u8 and pixels, not coded: `image_crc`


HEADER_WORDS = Header.size() // WORD_BYTES

#: Words of the longest record.
MAX_RECORD_WORDS = HEADER_WORDS + -(-MAX_CODED // WORD_BYTES)


def image_crc(index: int, label: int, pixels: bytes) -> int:
    """CRC-32 (zlib's) over index u32, label u8 and pixels."""
    return zlib.crc32(pixels, zlib.crc32(struct.pack("<IB", index, label)))


def storable(shown: Input) -> bool:
    """Whether a network's samples can be stored: those of MNIST's shape and classes, which records are made for."""
    return shown == Input()


def sealed(label: int, crc: int, coded: bytes) -> bytes:
    """A record, with the CRC as it is said."""
    return Header(len(coded), label, 0, crc).encode() + coded + bytes(len(coded) % WORD_BYTES)


def record(index: int, label: int, pixels: bytes, coded: bytes) -> bytes:
    """The record of a sample."""
    return sealed(label, image_crc(index, label, pixels), coded)


def record_digest(records: Iterable[bytes]) -> int:
    """What STORE_DIGEST answers for samples with these records, in the order of their indices."""
    crc = 0
    for data in records:
        crc = zlib.crc32(data, crc)
    return crc


def record_words(coded: int) -> int:
    """Words of a record with this many coded bytes."""
    return HEADER_WORDS + -(-coded // WORD_BYTES)


def fitting(coded: Iterable[int], capacity: int) -> int:
    """How many samples, with these numbers of coded bytes, a memory of `capacity` bytes holds, in order."""
    end, count = LOG_AT, 0
    for length in coded:
        end += record_words(length)
        if end * WORD_BYTES > capacity or count == MAX_SAMPLES:
            break
        count += 1
    return count


#: Pixels that an image is moved by, at most, in each direction.
MAX_MOVE = 4


@dataclass(frozen=True)
class Asked:
    """A stored sample that is asked for, and how its image is moved. Four bytes: `encode`.

    The image is moved first: pixel (y, x) comes to (y + dy, x + dx), what leaves the image is lost and zeros come in. Then it
    is mirrored: (y, x) comes to (y, 27 - x).
    """

    index: int  #: below the register `stored`
    dy: int = 0  #: down, -`MAX_MOVE`..`MAX_MOVE`
    dx: int = 0  #: to the right, likewise
    mirrored: bool = False  #: 1 if it is

    def encode(self) -> bytes:
        """u32: index in bits 0..22, mirrored in bit 23, dy s4 in bits 24..27, dx s4 in 28..31; `ValueError` out of range."""
        if not 0 <= self.index < 1 << 23:
            raise ValueError(f"index must be 0..{(1 << 23) - 1}, not {self.index}")
        if not (abs(self.dy) <= MAX_MOVE and abs(self.dx) <= MAX_MOVE):
            raise ValueError(f"an image is moved by at most {MAX_MOVE} pixels, not ({self.dy}, {self.dx})")
        high = self.mirrored << 23 | (self.dy & 15) << 24 | (self.dx & 15) << 28
        return (self.index | high).to_bytes(ASKED_BYTES, "little")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The inverse; a board refuses moves of more than `MAX_MOVE`, which this returns."""
        (value,) = struct.unpack("<I", data)
        dy, dx = (((value >> at & 15) ^ 8) - 8 for at in (24, 28))
        return cls(value & (1 << 23) - 1, dy, dx, bool(value >> 23 & 1))


ASKED_BYTES = 4

assert Header.size() == 4 + CRC_BYTES
