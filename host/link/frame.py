"""Frames on the wire, as `golden.contract.protocol` describes them: stuffed(body, CRC-32), then a zero byte."""

import functools
import zlib
from collections.abc import Iterator

from cobs import cobs  # type: ignore[import-untyped]

from golden.contract import stuffing
from golden.contract.protocol import ANSWER_BYTES, CRC_BYTES, VERSION

#: Longest encoded answer: COBS adds one byte for each 254.
MAX_ENCODED = ANSWER_BYTES + ANSWER_BYTES // 254 + 1


#: Frames whose coding is remembered: a host sends some twice, and one board of a test what the one before did.
REMEMBERED = 512


class FrameError(ValueError):
    """Bytes between two zeros that are no frame: a broken block, wrong checksum, too short or too long."""


#: COBS with zero runs: no zeros, and fewer bytes where there were many.
stuff = functools.lru_cache(REMEMBERED)(stuffing.stuff)


def unstuff(stuffed: bytes) -> bytes:
    """The inverse; `FrameError` if the last block is cut short, or there is a zero byte, which ends a frame."""
    data, cut = unstuff_partly(stuffed)
    if cut:
        raise FrameError(f"the last block of {len(stuffed)} bytes is cut short")
    return data


@functools.lru_cache(REMEMBERED)
def unstuff_partly(stuffed: bytes) -> tuple[bytes, bool]:
    """The inverse, as far as it goes; True if the last block is cut short. `FrameError` if there is a zero byte."""
    if 0 in stuffed:
        raise FrameError(f"byte {stuffed.index(0)} of {len(stuffed)} is zero, which ends a frame")
    return stuffing.unstuff_partly(stuffed)


def encode(body: bytes) -> bytes:
    """A request's frame of a body (header and payload), zero byte included."""
    return stuff(_sealed(body)) + b"\0"


def request(sequence: int, command: int, payload: bytes = b"", version: int = VERSION) -> bytes:
    """A request's frame, zero byte included."""
    return encode(bytes((version, sequence, command)) + payload)


def encode_answer(body: bytes) -> bytes:
    """The same of an answer, for a board in software."""
    return cobs.encode(_sealed(body)) + b"\0"


def _sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")


def decode(frame: bytes) -> bytes:
    """The body of a request's frame without its zero byte; `FrameError` if it is damaged."""
    return _opened(unstuff(frame))


def decode_answer(frame: bytes) -> bytes:
    """The body of an answer's frame without its zero byte; `FrameError` if it is damaged."""
    try:
        return _opened(cobs.decode(frame))
    except cobs.DecodeError as error:
        raise FrameError(f"no COBS: {error}") from None


def _opened(data: bytes) -> bytes:
    if not intact(data):
        raise FrameError(f"checksum mismatch in {len(data)} bytes")
    return data[:-CRC_BYTES]


def intact(data: bytes) -> bool:
    """Whether body and CRC, as decoded, belong together."""
    return len(data) >= CRC_BYTES and zlib.crc32(data[:-CRC_BYTES]) == int.from_bytes(data[-CRC_BYTES:], "little")


class Splitter:
    """Cuts received bytes into answers. Holds at most `MAX_ENCODED` bytes, whatever comes in; empty frames are skipped.

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
                    body = decode_answer(piece)
                except FrameError:
                    self.damaged += 1
                    body = b""
                yield body
