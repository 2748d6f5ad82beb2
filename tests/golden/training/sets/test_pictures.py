"""Pictures of any format that Pillow reads become a network's pixels; each error is one line."""

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nudge.golden.contract.shapes import Input
from nudge.golden.training import data
from nudge.golden.training.sets import pictures
from nudge.golden.training.sets.pictures import Fit, pixels
from nudge.plumbing.errors import DataError
from tests.fuzz import ends

GREY, COLOUR, DIGITS = Input(1, 9, 8, 3), Input(3, 9, 8, 3), Input()
RAMP = np.arange(72, dtype=np.uint8).reshape(9, 8) * 3


def saved(folder, image, name="a.png", **options) -> Path:
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(folder / name, **options)
    return folder / name


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "tiff", "pgm", "tga"])
def test_formats_without_loss_have_the_same_pixels(tmp_path, ending):
    assert np.array_equal(pixels(saved(tmp_path, RAMP, f"a.{ending}"), GREY)[0], RAMP)
    assert f".{ending}" in pictures.endings()


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_formats_with_loss_have_nearly_the_same(tmp_path, ending):
    found = pixels(saved(tmp_path, RAMP, f"a.{ending}", quality=95), GREY)[0]
    assert np.abs(found.astype(int) - RAMP).max() < 12


def test_each_mode_becomes_grey_or_colour(tmp_path):
    """16 bits give the upper 8, one bit black or white, a palette its colours, and transparency black."""
    colour = np.stack([RAMP, 255 - RAMP, RAMP // 2], 2)
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    assert np.array_equal(pixels(saved(tmp_path, colour), COLOUR), colour.transpose(2, 0, 1))
    assert np.array_equal(pixels(saved(tmp_path, colour), GREY)[0], grey)
    assert np.array_equal(pixels(saved(tmp_path, RAMP), COLOUR), np.stack([RAMP] * 3))
    wide = RAMP.astype(np.uint16) * 256 + 255
    for name in ("a.png", "a.tiff"):
        assert np.array_equal(pixels(saved(tmp_path, wide, name), GREY)[0], RAMP)
    assert set(pixels(saved(tmp_path, Image.fromarray(RAMP > 99)), GREY).ravel().tolist()) == {0, 255}
    palette = Image.fromarray(RAMP // 3 % 4).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 90, 90, 90])
    assert pixels(saved(tmp_path, palette), COLOUR)[:, 0, :4].T.tolist() == [
        [0] * 3,
        [255, 0, 0],
        [0, 255, 0],
        [90] * 3,
    ]
    assert pixels(saved(tmp_path, palette, transparency=3), COLOUR)[:, 0, 3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("invert", [False, True])
def test_what_is_transparent_is_black_inverted_or_not(tmp_path, mode, invert):
    """Black ink on a transparent ground is bright on black with --invert, white ink without."""
    ink = Image.new("RGBA", (8, 9), (255, 255, 255, 0) if invert else (0, 0, 0, 0))
    ink.paste((0, 0, 0, 255) if invert else (255, 255, 255, 255), (2, 3, 5, 7))
    found = pixels(saved(tmp_path, ink.convert(mode)), GREY, invert=invert)[0]
    assert found[3:7, 2:5].min() == 255
    assert int(found.sum()) == 255 * 12


def test_invert(tmp_path):
    assert np.array_equal(pixels(saved(tmp_path, RAMP), GREY, invert=True)[0], 255 - RAMP)


def test_a_photograph_is_turned_as_its_exif_data_say(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    found = pixels(saved(tmp_path, np.ascontiguousarray(RAMP.T[::-1]), exif=exif), GREY)[0]
    assert np.array_equal(found, RAMP)


def test_a_picture_of_the_networks_size_is_not_touched(tmp_path):
    digits = data.load("embedded").test_images[:20].numpy()
    for digit in digits:
        path = saved(tmp_path, np.roll(digit, 2, 0))
        for fit in Fit:
            assert np.array_equal(pixels(path, DIGITS, fit)[0], np.roll(digit, 2, 0))


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((56, 28), (7, 21), (0, 28)),
        ((14, 28), (0, 28), (7, 21)),
        ((5, 5), (0, 28), (0, 28)),
        ((1000, 1), (13, 14), (0, 28)),
    ],
)
def test_another_size_keeps_its_aspect_ratio_and_lies_in_the_middle(tmp_path, size, rows, columns):
    found = pixels(saved(tmp_path, Image.new("L", size, 200)), DIGITS, Fit.CENTRED)[0]
    assert (found[slice(*rows), slice(*columns)] == 200).all()
    assert (found > 0).sum() == (rows[1] - rows[0]) * (columns[1] - columns[0])


def test_a_digit_that_lies_elsewhere_is_placed_as_mnists_are(tmp_path):
    """Most digits come out unchanged, pixel by pixel; all have their centre of mass in the middle."""
    digits, same = data.load("embedded").test_images[:60].numpy(), 0
    for digit in digits:
        large = np.zeros((70, 50), np.uint8)
        large[35:63, 3:31] = digit
        found = pixels(saved(tmp_path, large), DIGITS, Fit.DIGIT)[0]
        same += np.array_equal(found, digit)
        mass = found.astype(float)
        for axis in (0, 1):
            middle = (mass.sum(1 - axis) * np.arange(28)).sum() / mass.sum()
            assert 13.5 <= middle < 14.5
        box = Image.fromarray(found).getbbox()
        assert box is not None
        assert max(box[2] - box[0], box[3] - box[1]) == 20
    assert same > 40


def test_a_digit_that_is_not_there_is_centred(tmp_path):
    for value in (0, 31):
        assert set(
            pixels(saved(tmp_path, Image.new("L", (40, 40), value)), DIGITS, Fit.DIGIT).ravel().tolist()
        ) == {value}
    dots = np.zeros((900, 900), np.uint8)
    dots[0, 0] = dots[-1, -1] = 40
    assert pixels(saved(tmp_path, dots), DIGITS, Fit.DIGIT).max() == 0


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def bomb(side: int) -> bytes:
    """Return a PNG file whose header claims side x side pixels, which the file doesn't contain."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def encoded(image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


JPEG = encoded(Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 60), np.uint8)), "JPEG")
FLOATS = encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF")
WIDE = encoded(Image.fromarray(RAMP.astype(np.int32) << 16), "TIFF")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no picture that can be read"),
        (b"no picture\n", "is no picture that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no picture that can be read"),
        (JPEG[: len(JPEG) // 2], "is a picture that can't be read: .*truncated"),
        (encoded(Image.fromarray(RAMP), "PNG")[:-30], "is a picture that can't be read: "),
        (encoded(Image.fromarray(RAMP), "GIF")[:30], "is no picture that can be read"),
        (bomb(10_000), f"has too many pixels; at most {Image.MAX_IMAGE_PIXELS} are read"),
        (bomb(100_000), f"has too many pixels; at most {Image.MAX_IMAGE_PIXELS} are read"),
        (FLOATS, "can't be read: its pixels are floating-point numbers"),
        (WIDE, "can't be read: it has more than 16 bits a pixel"),
    ],
    ids=range(10),
)
def test_what_is_no_picture_is_said_in_one_line(tmp_path, content, says):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(DataError, match=says) as caught:
            pixels(path, DIGITS, Fit.DIGIT)
    assert said == []
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 160


@pytest.mark.timeout(20)
def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, why in (
        ("pipe.png", "is no file"),
        ("none.png", "No such file or directory"),
        ("", "is no file"),
    ):
        with pytest.raises(DataError, match=rf"^{tmp_path / path}: {why}$"):
            pixels(tmp_path / path, GREY)


def test_damage_anywhere_ends_in_one_error_or_a_picture(tmp_path):
    """In each format that Pillow writes here, bytes are changed and the file is cut."""
    random, path, good = np.random.default_rng(3), tmp_path / "a", list[np.ndarray]()
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PCX", "TGA", "ICO"):
        whole = encoded(Image.fromarray(RAMP).convert("P" if kind == "GIF" else "RGB"), kind)
        for trial in range(60):
            damaged = bytearray(whole)
            for at in random.integers(0, len(whole), 1 + trial % 4):
                damaged[at] = random.integers(0, 256)
            path.write_bytes(damaged[: len(whole) if trial % 3 else random.integers(0, len(whole))])
            ends(lambda: good.append(pixels(path, DIGITS, Fit.DIGIT)), DataError, says=str(path))
    assert 40 < len(good) < 480
    assert {picture.shape for picture in good} == {(1, 28, 28)}
