"""The model of the sample store returns stored images, moved as in training, and detects all damage."""

import numpy as np
import pytest

from nudge.golden.contract import stored
from nudge.golden.contract.messages import PIXELS
from nudge.golden.contract.spec import IMAGE_SIDE
from nudge.golden.contract.stored import MAX_CODED, Asked, ImageStatus, image_crc
from nudge.golden.contract.stuffing import stuff
from nudge.golden.model.image_store import ImageStore, moved
from nudge.golden.training import data
from nudge.golden.training.epoch import augmented

DIGITS = [image.tobytes() for image in data.load("embedded").train_images[:20].numpy()]
CAPACITY = 2 * stored.LOG_AT + (1 << 14)


def filled(count: int = len(DIGITS)) -> ImageStore:
    store = ImageStore(CAPACITY)
    for index, pixels in enumerate(DIGITS[:count]):
        assert (
            store.store(index, index % 10, image_crc(index, index % 10, pixels), stuff(pixels))
            is ImageStatus.OK
        )
    return store


def test_what_is_stored_comes_back():
    store = filled()
    for index, pixels in enumerate(DIGITS):
        assert store.fetch(Asked(index)) == (ImageStatus.OK, index % 10, pixels)
    records = [stored.record(n, n % 10, pixels, stuff(pixels)) for n, pixels in enumerate(DIGITS)]
    assert store.digest(3, 10) == stored.record_digest(records[3:13])
    assert store.digest(3, 18) is None


@pytest.mark.parametrize("shift", [1, 3, 4])
def test_images_are_moved_as_the_training_moves_them(shift):
    images = np.stack([np.frombuffer(pixels, np.uint8).reshape(IMAGE_SIDE, IMAGE_SIDE) for pixels in DIGITS])
    numbers = np.arange(len(images))
    made = augmented(images, numbers, shift, True, 3, 1)
    for n, image in enumerate(images):
        random = np.random.Generator(np.random.PCG64([3, 1, n]))
        y, x = random.integers(0, 2 * shift, 2, endpoint=True)
        mirrored = bool(random.integers(0, 1, endpoint=True))
        assert moved(image.tobytes(), shift - y, shift - x, mirrored) == made[n].tobytes()


def test_refusals_change_nothing():
    store = filled(2)
    before = bytes(store.words), store.count, store.end
    assert store.store(3, 0, 0, b"\1") is ImageStatus.NEVER_STORED
    assert store.store(2, 0, 0, b"") is ImageStatus.TRUNCATED
    assert store.store(2, 0, 0, b"\1" * (MAX_CODED + 1)) is ImageStatus.TOO_LONG
    store.end = CAPACITY // 2 - 3
    assert store.store(2, 0, 0, b"\1") is ImageStatus.FULL
    store.end = before[2]
    assert (bytes(store.words), store.count, store.end) == before
    assert store.fetch(Asked(2))[0] is ImageStatus.NEVER_STORED
    assert store.damaged == 0


@pytest.mark.parametrize(
    ("coded", "status"),
    [
        (stuff(bytes(PIXELS) + b"\1"), ImageStatus.TOO_LONG),
        (stuff(b"\1" * (PIXELS + 1))[:MAX_CODED], ImageStatus.TRUNCATED),
        (stuff(DIGITS[0])[:-1], ImageStatus.TRUNCATED),
        (stuff(bytes(PIXELS - 1) + b"\1"), ImageStatus.BAD_CRC),
    ],
)
def test_bad_images(coded, status):
    store = filled(1)
    assert store.store(1, 1, 0, coded) is ImageStatus.OK
    assert store.fetch(Asked(1)) == (status, 0, b"")
    assert store.damaged == 1
    # storing it again repairs it
    assert store.store(1, 7, image_crc(1, 7, DIGITS[1]), stuff(DIGITS[1])) is ImageStatus.OK
    assert store.fetch(Asked(1)) == (ImageStatus.OK, 7, DIGITS[1])
    assert store.count == 2


def test_no_flipped_bit_of_a_record_or_its_address_gives_another_image():
    """Few flips leave the image as it is: in unread bytes, or of a code byte 1 to 0, which counts as 1."""
    store = filled(3)
    at = int.from_bytes(store.words[4:8], "little")
    words = [2, 3, *range(at, at + stored.record_words(len(stuff(DIGITS[1]))))]
    good, missed = store.fetch(Asked(1)), 0
    for word in words:
        for bit in range(16):
            store.flip(word, bit)
            found = store.fetch(Asked(1))
            assert found == good or found[0] in stored.DAMAGED
            missed += found == good
            store.flip(word, bit)
    assert store.damaged == 16 * len(words) - missed
    assert missed <= 32 + 4
