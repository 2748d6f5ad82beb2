"""The codec: its own inverse, and hard to fool."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host import frame
from hw.protocol import ANSWER_BYTES, CRC_BYTES

bodies = st.binary(max_size=300) | st.binary(max_size=600).map(lambda data: data.replace(b"\1", b"\0"))


def reference(data: bytes) -> bytes:
    """COBS as Cheshire and Baker (1999) define it."""
    out = bytearray()
    for part in (data + b"\0").split(b"\0")[:-1]:
        while len(part) >= 254:
            out += b"\xff" + part[:254]
            part = part[254:]
        out += bytes((len(part) + 1,)) + part
    # a block of 254 at the very end needs no empty one after it
    tail = data.rsplit(b"\0", 1)[-1]
    return bytes(out[:-1] if tail and len(tail) % 254 == 0 else out)


@given(bodies)
def test_encoding_equals_the_reference_and_has_one_zero(body):
    data = frame.encode(body)
    assert data == reference(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"
    assert data.index(0) == len(data) - 1
    assert frame.decode(data[:-1]) == body


@given(st.binary(max_size=60), st.data())
def test_any_changed_byte_is_noticed(body, data):
    encoded = bytearray(frame.encode(body)[:-1])
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(frame.FrameError):
        frame.decode(bytes(encoded))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(1, 9))
def test_splitter_finds_all_frames_in_any_pieces(messages, step):
    data = b"\0\0".join(frame.encode(message) for message in messages)
    splitter = frame.Splitter()
    assert [body for at in range(0, len(data), step) for body in splitter.feed(data[at : at + step])] == messages
    assert splitter.damaged == 0


@given(st.binary(max_size=2000))
def test_splitter_survives_garbage(garbage):
    splitter = frame.Splitter()
    list(splitter.feed(garbage + b"\0"))
    assert list(splitter.feed(frame.encode(b"next"))) == [b"next"]


def test_splitter_keeps_no_more_than_a_frame():
    splitter = frame.Splitter()
    for _ in range(100):
        assert list(splitter.feed(b"\7" * 1000)) == []
    assert list(splitter.feed(b"\0")) == [b""]
    assert splitter.damaged == 1
    longest = bytes(range(1, 253))
    assert len(longest) == ANSWER_BYTES - CRC_BYTES
    assert list(splitter.feed(frame.encode(longest))) == [longest]
