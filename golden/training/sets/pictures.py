"""The only conversion from a picture file, of any kind that Pillow reads, to a network's pixels."""

import enum
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nudge.golden.contract.shapes import Input
from nudge.plumbing import files
from nudge.plumbing.errors import DataError

#: Largest size of a file in bytes.
MAX_BYTES = 1 << 28

#: Formats that aren't read: Pillow starts Ghostscript for the first, and only knows the others' names.
REFUSED = ("EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF")

#: Pillow's pixel modes for grey and for coloured images.
MODES = {1: "L", 3: "RGB"}

#: Side of the square that an MNIST digit fills, and the least brightness of a digit's pixel, as a share of
#: 255.
DIGIT_SIDE, INK = 20, 1 / 8


class Fit(enum.Enum):
    """Treatment of a picture that hasn't the network's size."""

    #: Refuse it.
    REFUSED = enum.auto()
    #: Scale it to fit, with its aspect ratio kept, and centre it on black.
    CENTRED = enum.auto()
    #: Place it like MNIST's digits: the box around the bright pixels is scaled until its longer side has 20
    #: pixels, and its centre of mass is centred. A picture without a bright pixel is treated as `CENTRED`.
    DIGIT = enum.auto()


def formats() -> list[str]:
    """Return the formats that are read, by Pillow's names."""
    Image.init()
    return [name for name in Image.OPEN if name not in REFUSED]


def endings() -> frozenset[str]:
    """Return the endings of file names of these formats, such as .png."""
    known = formats()
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in known)


def pixels(path: Path, shown: Input, fit: Fit = Fit.REFUSED, invert: bool = False) -> np.ndarray:
    """Return a picture as uint8 (channels, height, width), as a network with the input `shown` is shown it.

    The picture is rotated by its EXIF data; of several frames the first is taken, of 16 bits a channel the
    upper 8. It is converted to grey or colour, as the network needs. invert: swap bright and dark.
    Transparent pixels become black, inverted or not. A picture of the network's size isn't moved or scaled.

    Raises `DataError` for a file that is no picture, is damaged or cut off, or has more pixels than Pillow
    considers safe.
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
    """Return a picture as 8-bit pixels of grey or colour, with or without transparency."""
    content = files.read(path, MAX_BYTES, DataError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities of a file that can still be read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=formats()) as file:
                file.verify()  # check checksums, if any, which decoding ignores
            with Image.open(io.BytesIO(content), formats=formats()) as file:
                return _bytes(ImageOps.exif_transpose(file))
    except UnidentifiedImageError:
        raise DataError(f"{path} is no picture that can be read: of no known format, or cut off") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{path} has too many pixels; at most {Image.MAX_IMAGE_PIXELS} are read") from None
    except Exception as error:  # Pillow raises many kinds for damaged files
        why = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(f"{path} is a picture that can't be read: {why}") from None


def _bytes(image: Image.Image) -> Image.Image:
    """Convert a picture to mode L, LA, RGB or RGBA."""
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
    """Convert a picture to one of `MODES`; transparent pixels become black, inverted or not."""
    plain = image.convert(mode)
    if invert:
        plain = ImageOps.invert(plain)
    if image.mode not in ("LA", "RGBA"):
        return plain
    return Image.composite(plain, Image.new(mode, image.size), image.getchannel("A"))


def _centred(image: Image.Image, shown: Input) -> Image.Image:
    """Scale a picture to fit, and centre it on black of the network's size."""
    image = _scaled(image, shown.height, shown.width)
    return _placed(image, shown, (shown.height - image.height) // 2, (shown.width - image.width) // 2)


def _ink(image: Image.Image) -> tuple[int, int, int, int] | None:
    """Return the box around all pixels of a digit; None if there are none."""
    return image.point(lambda value: 255 * (value >= 255 * INK)).getbbox()


def _digit(image: Image.Image, shown: Input) -> Image.Image:
    """Place a digit like MNIST's: longer side of 20 pixels, centre of mass centred."""
    image = _scaled(image, DIGIT_SIDE, DIGIT_SIDE)
    mass = np.asarray(image, np.float64)
    rows, columns = mass.sum(1), mass.sum(0)

    def start(along: np.ndarray, side: int) -> int:
        middle = (along * np.arange(len(along))).sum() / max(along.sum(), 1)
        return min(max(int(np.ceil((side - 1) / 2 - middle)), 0), side - len(along))

    return _placed(image, shown, start(rows, shown.height), start(columns, shown.width))


def _scaled(image: Image.Image, height: int, width: int) -> Image.Image:
    """Scale a picture to fit, at least one pixel wide and high, without overshoot at edges."""
    scale = min(height / image.height, width / image.width)
    size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    return image.resize(size, Image.Resampling.BILINEAR)


def _placed(image: Image.Image, shown: Input, top: int, left: int) -> Image.Image:
    """Place a picture on black of the network's size."""
    found = Image.new(image.mode, (shown.width, shown.height))
    found.paste(image, (left, top))
    return found
