"""Frames on the wire: COBS(body, CRC-32), then a zero byte."""

import zlib
from collections.abc import Iterator

from cobs import cobs  # type: ignore[import-untyped]

from hw.protocol import ANSWER_BYTES, CRC_BYTES

#: Longest encoded answer: COBS adds one byte for each 254.
MAX_ENCODED = ANSWER_BYTES + ANSWER_BYTES // 254 + 1


class FrameError(ValueError):
    """Bytes between two zeros that are no frame: broken COBS, wrong checksum, too short or too long."""


def encode(body: bytes) -> bytes:
    """The frame of a body (header and payload), zero byte included."""
    return cobs.encode(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")) + b"\0"


def decode(frame: bytes) -> bytes:
    """The body of a frame without its zero byte; `FrameError` if it is damaged."""
    try:
        data = cobs.decode(frame)
    except cobs.DecodeError as error:
        raise FrameError(f"no COBS: {error}") from None
    if not intact(data):
        raise FrameError(f"checksum mismatch in {len(data)} bytes")
    return data[:-CRC_BYTES]


def intact(data: bytes) -> bool:
    """Whether body and CRC, as decoded, belong together."""
    return len(data) >= CRC_BYTES and zlib.crc32(data[:-CRC_BYTES]) == int.from_bytes(data[-CRC_BYTES:], "little")


class Splitter:
    """Cuts received bytes into frames. Holds at most `MAX_ENCODED` bytes, whatever comes in; empty frames are skipped.

    damaged: pieces that were no frame.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._rest = bytearray()

    def clear(self) -> None:
        """Forget the beginning of a frame."""
        self._rest.clear()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies of all frames that `data` completes; an empty one for each piece that was no frame."""
        *pieces, last = (bytes(self._rest) + data).split(b"\0")
        self._rest = bytearray(last[: MAX_ENCODED + 1])
        for piece in pieces:
            if piece:
                try:
                    if len(piece) > MAX_ENCODED:
                        raise FrameError(f"longer than {MAX_ENCODED} bytes")
                    body = decode(piece)
                except FrameError:
                    self.damaged += 1
                    body = b""
                yield body
