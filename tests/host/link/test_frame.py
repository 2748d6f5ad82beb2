"""The codec of frames is reversible, and detects damage."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge.golden.contract import stuffing
from nudge.golden.contract.protocol import ANSWER_BYTES, CRC_BYTES
from nudge.golden.training import data
from nudge.host.link import frame
from tests.fuzz import examples

bodies = st.binary(max_size=300) | st.binary(max_size=600).map(lambda data: data.replace(b"\1", b"\0"))


def reference(data: bytes) -> bytes:
    """Encode COBS as Cheshire and Baker (1999) define it."""
    out = bytearray()
    for part in (data + b"\0").split(b"\0")[:-1]:
        while len(part) >= 254:
            out += b"\xff" + part[:254]
            part = part[254:]
        out += bytes((len(part) + 1,)) + part
    # a block of 254 bytes at the very end needs no empty block after it
    tail = data.rsplit(b"\0", 1)[-1]
    return bytes(out[:-1] if tail and len(tail) % 254 == 0 else out)


@examples(100)
@given(bodies)
def test_encoding_of_answers_equals_the_reference_and_has_one_zero(body):
    data = frame.encode_answer(body)
    assert data == reference(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"
    assert data.index(0) == len(data) - 1
    assert frame.decode_answer(data[:-1]) == body


@examples(100)
@given(bodies)
def test_encoding_of_requests_is_reversible_and_has_one_zero(body):
    data = frame.encode(body)
    assert data.index(0) == len(data) - 1
    assert frame.decode(data[:-1]) == body
    length = len(body) + CRC_BYTES
    assert len(data) <= length + length // stuffing.FULL + 2


@pytest.mark.parametrize(
    ("data", "stuffed"),
    [
        (b"", b""),
        (b"\7", b"\2\7"),
        (b"\0", b"\1\1"),
        (b"\7\0", b"\2\7\1"),
        (b"\7\0\0", b"\2\7\1\1"),
        (b"\7\0\0\0\7", b"\2\7\xe1\2\7"),
        (bytes(32), b"\xff"),
        (bytes(33), b"\xff\1\1"),
        (bytes(34) + b"\7", b"\xff\xe1\2\7"),
        (b"\7" * 223, b"\xe0" + b"\7" * 223),
        (b"\7" * 223 + b"\0\7", b"\xe0" + b"\7" * 223 + b"\1\2\7"),
        (b"\7" * 222 + b"\0", b"\xdf" + b"\7" * 222 + b"\1"),
    ],
)
def test_stuffing_by_hand(data, stuffed):
    assert frame.stuff(data) == stuffed
    assert frame.unstuff(stuffed) == data


@pytest.mark.parametrize("piece", [b"\2", b"\5\1\1\1", b"\xff\3\1", b"\xe0"])
def test_a_block_cut_short_is_no_frame(piece):
    with pytest.raises(frame.FrameError, match="cut short"):
        frame.unstuff(piece)


def test_a_digit_takes_a_quarter_of_its_pixels():
    images = data.load("embedded")[0].numpy()
    sizes = [len(frame.stuff(image.tobytes())) for image in images]
    assert sum(sizes) / len(sizes) < 210


def test_a_zero_byte_is_no_block():
    """A block of no bytes would never end; the fuzzer found it with more examples."""
    for piece in (b"\0", b"\1\0", b"\2a\0\1"):
        with pytest.raises(frame.FrameError, match=f"byte {piece.index(0)} of {len(piece)} is zero"):
            frame.unstuff(piece)


@examples(100)
@given(st.binary(max_size=60), st.data())
def test_any_changed_byte_is_noticed(body, draw):
    for encode, decode in ((frame.encode, frame.decode), (frame.encode_answer, frame.decode_answer)):
        encoded = bytearray(encode(body)[:-1])
        at = draw.draw(st.integers(0, len(encoded) - 1))
        encoded[at] ^= draw.draw(st.integers(1, 255))
        with pytest.raises(frame.FrameError):
            decode(bytes(encoded))


@examples(100)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(1, 9))
def test_splitter_finds_all_frames_in_any_pieces(messages, step):
    data = b"\0\0".join(frame.encode_answer(message) for message in messages)
    splitter = frame.Splitter()
    assert [
        body for at in range(0, len(data), step) for body in splitter.feed(data[at : at + step])
    ] == messages
    assert splitter.damaged == 0


@examples(100)
@given(st.binary(max_size=2000))
def test_splitter_survives_garbage(garbage):
    splitter = frame.Splitter()
    list(splitter.feed(garbage + b"\0"))
    assert list(splitter.feed(frame.encode_answer(b"next"))) == [b"next"]


def test_splitter_keeps_no_more_than_a_frame():
    splitter = frame.Splitter()
    for _ in range(100):
        assert list(splitter.feed(b"\7" * 1000)) == []
    assert list(splitter.feed(b"\0")) == [b""]
    assert splitter.damaged == 1
    longest = bytes(range(1, 253))
    assert len(longest) == ANSWER_BYTES - CRC_BYTES
    assert len(frame.encode_answer(longest)) == frame.MAX_ENCODED + 1
    # in one piece, or with its zero byte alone in a second one
    encoded = frame.encode_answer(longest)
    assert list(splitter.feed(encoded)) == [longest]
    assert list(splitter.feed(encoded[:-1])) == []
    assert list(splitter.feed(encoded[-1:])) == [longest]
    assert splitter.damaged == 1


def test_what_is_wrong_with_an_answer_is_told():
    with pytest.raises(frame.FrameError, match=r"^no COBS: not enough input bytes"):
        frame.decode_answer(b"\5\1")
    with pytest.raises(frame.FrameError, match=r"^checksum mismatch in 5 bytes$"):
        frame.decode_answer(b"\6abcde")
