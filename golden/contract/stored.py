"""Samples in a board's memory: records, table of addresses, capacity, requests. Plain data only.

The memory has words of 16 bits, addressed by word; bytes lie in words little endian. At power-up its content
is unknown.

- Table, from word 0: for each index 0..`MAX_SAMPLES` - 1 the word address of its record, u32.
- Log, from word `LOG_AT`: records, one behind the other; a new one is appended at the end.
- Record: `Header`, then the image, coded by `stuffing.stuff` as it is sent, and one more byte if that is an
  odd number.

Besides, the board keeps two numbers: `count`, the samples stored (indices 0..count - 1), and `end`, the word
at which the next record will begin; at power-up and after a reset they are 0 and `LOG_AT`. So nothing has to
be erased, and unknown memory content is never taken for a sample. STORE of index `count` appends. STORE of a
smaller index appends as well, and the table then points to the new record: the old record's space is lost,
but only damaged samples are ever stored again. A larger index is refused.

The CRC covers index, label and pixels, so it also detects a flipped bit of the table, which leads to another
sample's record.
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

#: Size in bytes of a board's sample memory, if it has one: each of the ULX3S's chips has at least this much.
CAPACITY = 1 << 25

#: Width of an index: MNIST and FashionMNIST have 60,000 samples for training and 10,000 for the test.
INDEX_BITS = 17
MAX_SAMPLES = 1 << INDEX_BITS

#: Words per table entry.
ENTRY_WORDS = 2

#: First word of the log.
LOG_AT = ENTRY_WORDS * MAX_SAMPLES

#: Largest coded image in bytes, one without zeros: a code byte for each full block, and one for the rest.
MAX_CODED = PIXELS + PIXELS // FULL + 1


class ImageStatus(enum.IntEnum):
    """Result of a STORE, or of fetching an image. Anything but OK: nothing was changed but the counter."""

    OK = 0
    NEVER_STORED = 1  #: index not below `count`; for a STORE: above it
    FULL = 2  #: STORE only: no room in the log, or index beyond the table
    TOO_LONG = 3  #: more coded bytes than `MAX_CODED`, or more pixels than an image has
    TRUNCATED = 4  #: no coded bytes, a last block cut short, or fewer pixels than an image has
    BAD_CRC = 5  #: index, label and pixels don't match the record's CRC


#: Statuses of a fetched image with damaged bits in memory.
DAMAGED = (ImageStatus.TOO_LONG, ImageStatus.TRUNCATED, ImageStatus.BAD_CRC)


@dataclass(frozen=True)
class Header(Fields):
    """Begins a record. The coded image follows, and one more byte of any value if its length is odd."""

    coded: U16  #: bytes of the coded image, 1..`MAX_CODED`
    label: U8  #: class of the image
    unused: U8  #: any value; 0 is recommended
    crc: U32  #: CRC-32 (zlib's) over index u32, label u8 and pixels, not coded: `image_crc`


HEADER_WORDS = Header.size() // WORD_BYTES

#: Length of the longest record in words.
MAX_RECORD_WORDS = HEADER_WORDS + -(-MAX_CODED // WORD_BYTES)


def image_crc(index: int, label: int, pixels: bytes) -> int:
    """Return the CRC-32 (zlib's) over index u32, label u8 and pixels."""
    return zlib.crc32(pixels, zlib.crc32(struct.pack("<IB", index, label)))


def storable(shown: Input) -> bool:
    """Return whether a network's samples can be stored: records hold MNIST's shape and classes only."""
    return shown == Input()


def sealed(label: int, crc: int, coded: bytes) -> bytes:
    """Return a record with the given CRC."""
    return Header(len(coded), label, 0, crc).encode() + coded + bytes(len(coded) % WORD_BYTES)


def record(index: int, label: int, pixels: bytes, coded: bytes) -> bytes:
    """Return the record of a sample, with its CRC."""
    return sealed(label, image_crc(index, label, pixels), coded)


def record_digest(records: Iterable[bytes]) -> int:
    """Return the STORE_DIGEST answer for samples with these records, in the order of their indices."""
    crc = 0
    for data in records:
        crc = zlib.crc32(data, crc)
    return crc


def record_words(coded: int) -> int:
    """Return the length in words of a record with this many coded bytes."""
    return HEADER_WORDS + -(-coded // WORD_BYTES)


def fitting(coded: Iterable[int], capacity: int) -> int:
    """Return how many samples of these coded lengths, in order, a memory of `capacity` bytes holds."""
    end, count = LOG_AT, 0
    for length in coded:
        end += record_words(length)
        if end * WORD_BYTES > capacity or count == MAX_SAMPLES:
            break
        count += 1
    return count


#: Largest move of an image in each direction, in pixels.
MAX_MOVE = 4


@dataclass(frozen=True)
class Asked:
    """Request for one stored sample, and the transformation of its image. Four bytes: `encode`.

    The image is moved first: pixel (y, x) goes to (y + dy, x + dx); pixels beyond the edge are lost, and
    zeros come in. Then it is mirrored: (y, x) goes to (y, 27 - x).
    """

    index: int  #: below the register `stored`
    dy: int = 0  #: down, -`MAX_MOVE`..`MAX_MOVE`
    dx: int = 0  #: to the right, -`MAX_MOVE`..`MAX_MOVE`
    mirrored: bool = False  #: 1: mirrored

    def encode(self) -> bytes:
        """u32: bits 0..22 index, 23 mirrored, 24..27 dy (s4), 28..31 dx (s4); `ValueError` out of range."""
        if not 0 <= self.index < 1 << 23:
            raise ValueError(f"index must be 0..{(1 << 23) - 1}, not {self.index}")
        if not (abs(self.dy) <= MAX_MOVE and abs(self.dx) <= MAX_MOVE):
            raise ValueError(f"an image is moved by at most {MAX_MOVE} pixels, not ({self.dy}, {self.dx})")
        high = self.mirrored << 23 | (self.dy & 15) << 24 | (self.dx & 15) << 28
        return (self.index | high).to_bytes(ASKED_BYTES, "little")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the request that `encode` encoded.

        Moves beyond `MAX_MOVE`, which a board refuses, are returned too.
        """
        (value,) = struct.unpack("<I", data)
        dy, dx = (((value >> at & 15) ^ 8) - 8 for at in (24, 28))
        return cls(value & (1 << 23) - 1, dy, dx, bool(value >> 23 & 1))


ASKED_BYTES = 4

assert Header.size() == 4 + CRC_BYTES
