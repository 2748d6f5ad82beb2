"""Coding of frames: stuffed(body, CRC-32), then a zero byte, as defined in `golden.contract.messages`."""

import functools
import zlib
from collections.abc import Iterator

from cobs import cobs  # type: ignore[import-untyped]

from nudge.golden.contract import stuffing
from nudge.golden.contract.protocol import ANSWER_BYTES, ANSWER_HEADER, CRC_BYTES, VERSION


def encoded_bytes(decoded: int) -> int:
    """Largest size in bytes of a coded answer without its zero byte: COBS adds 1 + floor(decoded / 254)."""
    return decoded + decoded // 254 + 1


def answer_bytes(payload: int) -> int:
    """Largest size in bytes of an answer's frame, zero byte included, with a payload of so many bytes."""
    return encoded_bytes(ANSWER_HEADER + payload + CRC_BYTES) + 1


#: Longest coded answer in bytes, without its zero byte.
MAX_ENCODED = encoded_bytes(ANSWER_BYTES)

#: Size of the caches of coded frames: a host sends some frames twice, and tests send the same to several
#: boards.
REMEMBERED = 512


class FrameError(ValueError):
    """The bytes between two zeros aren't a frame: a broken block, a wrong checksum, too short or too long."""


#: COBS with zero runs: the result has no zero byte, and is short for data with many zeros.
stuff = functools.lru_cache(REMEMBERED)(stuffing.stuff)


def unstuff(stuffed: bytes) -> bytes:
    """Decode stuffed bytes; `FrameError` if the last block is cut short or a byte is zero."""
    data, cut = unstuff_partly(stuffed)
    if cut:
        raise FrameError(f"the last block of {len(stuffed)} bytes is cut short")
    return data


@functools.lru_cache(REMEMBERED)
def unstuff_partly(stuffed: bytes) -> tuple[bytes, bool]:
    """Decode as many stuffed bytes as possible; True if the last block is cut short. `FrameError` for a 0."""
    if 0 in stuffed:
        raise FrameError(f"byte {stuffed.index(0)} of {len(stuffed)} is zero, which ends a frame")
    return stuffing.unstuff_partly(stuffed)


def encode(body: bytes) -> bytes:
    """Return a request's frame, zero byte included, from its body (header and payload)."""
    return stuff(_sealed(body)) + b"\0"


def request(sequence: int, command: int, payload: bytes = b"", version: int = VERSION) -> bytes:
    """Return a request's frame, zero byte included, from its fields."""
    return encode(bytes((version, sequence, command)) + payload)


def encode_answer(body: bytes) -> bytes:
    """Return an answer's frame, zero byte included, from its body; for boards in software."""
    return cobs.encode(_sealed(body)) + b"\0"


def _sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")


def decode(frame: bytes) -> bytes:
    """Return the body of a request's frame, given without its zero byte; `FrameError` if it is damaged."""
    return _opened(unstuff(frame))


def decode_answer(frame: bytes) -> bytes:
    """Return the body of an answer's frame, given without its zero byte; `FrameError` if it is damaged."""
    try:
        return _opened(cobs.decode(frame))
    except cobs.DecodeError as error:
        raise FrameError(f"no COBS: {error}") from None


def _opened(data: bytes) -> bytes:
    if not intact(data):
        raise FrameError(f"checksum mismatch in {len(data)} bytes")
    return data[:-CRC_BYTES]


def intact(data: bytes) -> bool:
    """Return True if the decoded bytes end in the CRC-32 of those before it."""
    return len(data) >= CRC_BYTES and zlib.crc32(data[:-CRC_BYTES]) == int.from_bytes(
        data[-CRC_BYTES:], "little"
    )


class Splitter:
    """Splits received bytes at zero bytes into answers; skips empty frames.

    It keeps at most `MAX_ENCODED` + 1 bytes. damaged: number of pieces that were not a valid frame.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._rest = bytearray()

    def clear(self) -> None:
        """Discard the incomplete frame."""
        self._rest.clear()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the body of each frame that `data` completes, b"" for a piece that is not a valid frame."""
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
