"""Model of the sample store in a board's memory (`hw.memory`), exact to the byte, in plain Python."""

import zlib

from nudge.golden.contract.messages import PIXELS
from nudge.golden.contract.spec import IMAGE_SIDE
from nudge.golden.contract.stored import (
    ENTRY_WORDS,
    HEADER_WORDS,
    LOG_AT,
    MAX_CODED,
    MAX_SAMPLES,
    WORD_BYTES,
    Asked,
    Header,
    ImageStatus,
    image_crc,
    record_words,
    sealed,
)
from nudge.golden.contract.stuffing import unstuff_partly


def moved(pixels: bytes, dy: int, dx: int, mirrored: bool) -> bytes:
    """Return an image (raster order), moved and mirrored as `Asked` defines; zeros come in."""
    out = bytearray(PIXELS)
    for y in range(IMAGE_SIDE):
        for x in range(IMAGE_SIDE):
            to_y, to_x = y + dy, x + dx
            if 0 <= to_y < IMAGE_SIDE and 0 <= to_x < IMAGE_SIDE:
                out[to_y * IMAGE_SIDE + (IMAGE_SIDE - 1 - to_x if mirrored else to_x)] = pixels[
                    y * IMAGE_SIDE + x
                ]
    return bytes(out)


class ImageStore:
    """A memory of `capacity` bytes with its table and log, as after power-up.

    Addresses wrap as in the board's memory. count: samples stored. end: word at which the next record begins.
    damaged: damaged images fetched so far.
    """

    def __init__(self, capacity: int):
        self.words = bytearray(capacity)
        self.reset()

    def reset(self) -> None:
        """Return to the state after power-up; the memory keeps its content."""
        self.count, self.end, self.damaged = 0, LOG_AT, 0

    def flip(self, word: int, bit: int) -> None:
        """Invert one bit of the memory."""
        self.words[word * WORD_BYTES + bit // 8] ^= 1 << bit % 8

    def store(self, index: int, label: int, crc: int, coded: bytes) -> ImageStatus:
        """`append` a record of this label, CRC and coded image."""
        return self.append(index, sealed(label, crc, coded))

    def append(self, index: int, record: bytes) -> ImageStatus:
        """Model STORE: append a record unchanged, unused bytes included, or refuse it and change nothing."""
        if index > self.count:
            return ImageStatus.NEVER_STORED
        if not (coded := Header.decode(record[: Header.size()]).coded):
            return ImageStatus.TRUNCATED
        if coded > MAX_CODED:
            return ImageStatus.TOO_LONG
        end = self.end + record_words(coded)
        if index >= MAX_SAMPLES or end * WORD_BYTES > len(self.words):
            return ImageStatus.FULL
        self.write(self.end, record)
        self.write(index * ENTRY_WORDS, self.end.to_bytes(ENTRY_WORDS * WORD_BYTES, "little"))
        self.count, self.end = max(self.count, index + 1), end
        return ImageStatus.OK

    def fetch(self, asked: Asked) -> tuple[ImageStatus, int, bytes]:
        """Return status, label and moved image of a sample; label and image are valid only with status OK."""
        if asked.index >= self.count:
            return ImageStatus.NEVER_STORED, 0, b""
        lying, coded = self.record(asked.index)
        header = Header.decode(lying)
        status, pixels = judged(asked.index, header, coded[: header.coded])
        self.damaged += status is not ImageStatus.OK
        if status is not ImageStatus.OK:
            return status, 0, b""
        return status, header.label, moved(pixels, asked.dy, asked.dx, asked.mirrored)

    def digest(self, first: int, count: int) -> int | None:
        """Model STORE_DIGEST: CRC-32 over the records of a range of indices, as stored.

        None if one of them was never stored. Of a record with more coded bytes in its header than
        `MAX_CODED`, only the header counts.
        """
        if first + count > self.count:
            return None
        crc = 0
        for index in range(first, first + count):
            crc = zlib.crc32(b"".join(self.record(index)), crc)
        return crc

    def record(self, index: int) -> tuple[bytes, bytes]:
        """Return header and coded bytes of a record, in whole words; no coded bytes beyond `MAX_CODED`."""
        at = int.from_bytes(self._read(index * ENTRY_WORDS, ENTRY_WORDS), "little")
        header = self._read(at, HEADER_WORDS)
        coded = Header.decode(header).coded
        return header, self._read(
            at + HEADER_WORDS, record_words(coded) - HEADER_WORDS if coded <= MAX_CODED else 0
        )

    def _read(self, word: int, count: int) -> bytes:
        return bytes(
            self.words[n % len(self.words)] for n in range(word * WORD_BYTES, (word + count) * WORD_BYTES)
        )

    def write(self, word: int, data: bytes) -> None:
        """Write bytes to the memory from word `word` on."""
        self.words[word * WORD_BYTES : word * WORD_BYTES + len(data)] = data


def judged(index: int, header: Header, coded: bytes) -> tuple[ImageStatus, bytes]:
    """Return the status of a record, and its pixels."""
    if header.coded > MAX_CODED:
        return ImageStatus.TOO_LONG, b""
    pixels, cut = unstuff_partly(coded)
    if len(pixels) > PIXELS:
        return ImageStatus.TOO_LONG, b""
    if cut or len(pixels) < PIXELS:
        return ImageStatus.TRUNCATED, b""
    good = image_crc(index, header.label, pixels) == header.crc
    return (ImageStatus.OK if good else ImageStatus.BAD_CRC), pixels
