"""Records of stored samples: their bytes, how many fit, and the request for one."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge.golden.contract import stored
from nudge.golden.contract.messages import PIXELS
from nudge.golden.contract.stored import Asked, Header
from nudge.golden.contract.stuffing import stuff, unstuff_partly
from nudge.golden.training import data
from tests.fuzz import examples

images = st.binary(min_size=PIXELS, max_size=PIXELS)


def test_a_record_byte_by_byte():
    pixels = bytes(PIXELS - 1) + b"\x07"
    coded = stuff(pixels)
    crc = zlib.crc32(bytes([5, 0, 0, 0, 3]) + pixels).to_bytes(4, "little")
    assert stored.record(5, 3, pixels, coded) == bytes([len(coded), 0, 3, 0]) + crc + coded + bytes(
        len(coded) % 2
    )
    assert len(stored.record(5, 3, pixels, coded)) == 2 * stored.record_words(len(coded))


@examples(100)
@given(images | images.map(lambda pixels: pixels.replace(b"\1", b"\0")), st.sampled_from((0, 1, 2, 223, 224)))
def test_no_coded_image_is_longer_than_it_may_be(pixels, period):
    if period:
        pixels = b"".join(
            pixels[n : n + 1].replace(b"\0", b"\1") if n % period else b"\0" for n in range(PIXELS)
        )
    coded = stuff(pixels)
    assert len(coded) <= stored.MAX_CODED
    assert unstuff_partly(coded) == (pixels, False)


def test_the_longest_coded_image():
    assert len(stuff(b"\1" * PIXELS)) == stored.MAX_CODED


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (Asked(0x1ABCD), "cdab0100"),
        (Asked(7, 1, -1, True), "070080f1"),
        (Asked(0, -4, 4, False), "0000004c"),
    ],
)
def test_how_a_sample_is_asked_for(asked, sent):
    assert asked.encode().hex() == sent
    assert Asked.decode(bytes.fromhex(sent)) == asked


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (Asked(1 << 23), r"index must be 0\.\.8388607, not 8388608"),
        (Asked(0, 5, 0), r"an image is moved by at most 4 pixels, not \(5, 0\)"),
        (Asked(0, 0, -5), r"an image is moved by at most 4 pixels, not \(0, -5\)"),
    ],
)
def test_what_can_not_be_asked_for(asked, problem):
    with pytest.raises(ValueError, match=problem):
        asked.encode()


def test_what_fits():
    lengths = [100, 101, stored.MAX_CODED]
    end = stored.LOG_AT + sum(map(stored.record_words, lengths))
    assert stored.fitting(lengths, 2 * end) == 3
    assert stored.fitting(lengths, 2 * end - 1) == 2
    assert stored.fitting(lengths, 0) == 0
    assert stored.fitting([1] * (stored.MAX_SAMPLES + 1), 1 << 25) == stored.MAX_SAMPLES


def test_mnist_fits_in_32_megabytes():
    """60,000 training and 10,000 test digits fit, at the mean coded length of the embedded digits."""
    digits = data.load("embedded").train_images.numpy()
    mean = sum(len(stuff(digit.tobytes())) for digit in digits) / len(digits)
    assert 200 < mean < 215
    assert stored.fitting([round(mean)] * 70_000, 32 << 20) == 70_000
    assert Header.size() == 8
