"""A picture of any kind that Pillow reads, as a network is shown it: the one way from a file to a network's pixels."""

import enum
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from golden.contract.shapes import Input
from plumbing import files
from plumbing.errors import DataError

#: Bytes of a file at most.
MAX_BYTES = 1 << 28

#: Formats that aren't read: to show the first, Pillow starts Ghostscript, and of the others it knows the names alone.
REFUSED = ("EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF")

#: Pillow's names for the pixels of grey and of coloured images.
MODES = {1: "L", 3: "RGB"}

#: Side of the square that a digit of MNIST fills, and the share of full brightness from which on a pixel is of the digit.
DIGIT_SIDE, INK = 20, 1 / 8


class Fit(enum.Enum):
    """What becomes of a picture that hasn't the network's size."""

    #: It is refused.
    REFUSED = enum.auto()
    #: It is scaled until it fits, its aspect ratio kept, and centred on black.
    CENTRED = enum.auto()
    #: It is placed as MNIST's digits are: the box around what is bright is scaled until its longer side has 20 pixels, and its
    #: centre of mass lies in the middle. A picture without a bright pixel is `CENTRED`.
    DIGIT = enum.auto()


def formats() -> list[str]:
    """Those that are read, as Pillow calls them."""
    Image.init()
    return [name for name in Image.OPEN if name not in REFUSED]


def endings() -> frozenset[str]:
    """Of names of files of these formats, such as .png."""
    known = formats()
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in known)


def pixels(path: Path, shown: Input, fit: Fit = Fit.REFUSED, invert: bool = False) -> np.ndarray:
    """A picture, uint8 (channels, height, width), as a network that takes `shown` is shown it.

    It is turned as its EXIF data say; of several frames it is the first; of 16 bits a channel the upper 8 are taken. Its
    colours become grey, or grey becomes coloured, as the network has it. invert: bright becomes dark, and dark bright. What is
    transparent is black then, inverted or not. A picture of the network's size isn't moved or scaled.

    Raises `DataError` for what is no picture, is damaged or cut off, or has more pixels than Pillow takes for harmless.
    """
    image = _read(path)
    if image.size != (shown.width, shown.height) and fit is Fit.REFUSED:
        theirs, wanted = f"{image.height}x{image.width}", f"{shown.height}x{shown.width}"
        raise DataError(f"{path} has {theirs} pixels; the network takes {wanted}")
    image = _on_black(image, MODES[shown.channels], invert)
    if image.size != (shown.width, shown.height):
        box = _ink(image) if fit is Fit.DIGIT else None
        image = _centred(image, shown) if box is None else _digit(image.crop(box), shown)
    return np.asarray(image).reshape(shown.height, shown.width, shown.channels).transpose(2, 0, 1)


def _read(path: Path) -> Image.Image:
    """A picture as 8-bit pixels of grey or colour, with or without transparency."""
    content = files.read(path, MAX_BYTES, DataError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd in a file that can be read nevertheless
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=formats()) as file:
                file.verify()  # checksums, if there are any, which are not looked at when it is decoded
            with Image.open(io.BytesIO(content), formats=formats()) as file:
                return _bytes(ImageOps.exif_transpose(file))
    except UnidentifiedImageError:
        raise DataError(f"{path} is no picture that can be read: of no known format, or cut off") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{path} has too many pixels; at most {Image.MAX_IMAGE_PIXELS} are read") from None
    except Exception as error:  # of what damage makes Pillow raise there is no end
        why = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(f"{path} is a picture that can't be read: {why}") from None


def _bytes(image: Image.Image) -> Image.Image:
    """The same in mode L, LA, RGB or RGBA."""
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 0xFFFF:
            raise ValueError("it has more than 16 bits a pixel")
        return Image.fromarray((wide >> 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L", "La", "LA") else "RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _on_black(image: Image.Image, mode: str, invert: bool) -> Image.Image:
    """The same in one of `MODES`: what is transparent lets black through, inverted or not."""
    plain = image.convert(mode)
    if invert:
        plain = ImageOps.invert(plain)
    if image.mode not in ("LA", "RGBA"):
        return plain
    return Image.composite(plain, Image.new(mode, image.size), image.getchannel("A"))


def _centred(image: Image.Image, shown: Input) -> Image.Image:
    """As large as fits, in the middle of a black picture of the network's size."""
    image = _scaled(image, shown.height, shown.width)
    return _placed(image, shown, (shown.height - image.height) // 2, (shown.width - image.width) // 2)


def _ink(image: Image.Image) -> tuple[int, int, int, int] | None:
    """The box around all pixels that are of a digit; None: there are none."""
    return image.point(lambda value: 255 * (value >= 255 * INK)).getbbox()


def _digit(image: Image.Image, shown: Input) -> Image.Image:
    """As MNIST's digits lie."""
    image = _scaled(image, DIGIT_SIDE, DIGIT_SIDE)
    mass = np.asarray(image, np.float64)
    rows, columns = mass.sum(1), mass.sum(0)

    def start(along: np.ndarray, side: int) -> int:
        middle = (along * np.arange(len(along))).sum() / max(along.sum(), 1)
        return min(max(int(np.ceil((side - 1) / 2 - middle)), 0), side - len(along))

    return _placed(image, shown, start(rows, shown.height), start(columns, shown.width))


def _scaled(image: Image.Image, height: int, width: int) -> Image.Image:
    """As large as fits, at least one pixel wide and high; none gets brighter or darker than its neighbours were."""
    scale = min(height / image.height, width / image.width)
    size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    return image.resize(size, Image.Resampling.BILINEAR)


def _placed(image: Image.Image, shown: Input, top: int, left: int) -> Image.Image:
    """On black."""
    found = Image.new(image.mode, (shown.width, shown.height))
    found.paste(image, (left, top))
    return found
