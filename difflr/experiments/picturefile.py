"""One picture file as the network gets it: upright, in 8-bit RGB on white, squared without squashing.

What cannot be read right is skipped for a reason that can be counted, never guessed; what had to be
changed on the way is remarked.
"""

import os
import stat
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["PICTURE_SUFFIXES", "DecodedPicture", "Skipped", "read_picture"]

_KINDS = "jpg jpeg jpe jfif mpo png apng gif webp tif tiff bmp dib ppm pgm pbm pnm jp2 avif heic heif hif"
PICTURE_SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())

# Of all that PIL opens, those that are plain pictures: an EPS would start another program.
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "TIFF", "BMP", "DIB", "PPM", "JPEG2000", "AVIF")
_MOST_PIXELS = 100_000_000  # decoded at once: up to 400 MB
_ORIENTATION, _MODEL, _EXIF, _TAKEN = 0x0112, 0x0110, 0x8769, 0x9003
_INVERTED, _BITS = 262, 258  # of TIFF


class Skipped(Exception):
    """A file is not read; the text is the reason, the same for all files of its kind."""


@dataclass(frozen=True)
class DecodedPicture:
    """A picture: ``pixels`` uint8 (H, W, 3), what was done to read it, and what its EXIF data say.

    ``taken`` is the time of the camera's clock, ``camera`` its model; None and "" where unknown.
    """

    pixels: np.ndarray
    remarks: tuple[str, ...] = ()
    taken: datetime | None = None
    camera: str = ""


def read_picture(file: Path, size: int | None) -> DecodedPicture:
    """Read a file, and fit it into a square of ``size`` pixels a side unless that is None.

    EXIF rotation is applied; 16 bits are scaled to 8; transparent parts are put on white; of an
    animation the first frame is taken.

    Raises:
        Skipped: for what is no regular file, is damaged, or whose values have no known white.
    """
    try:
        about = os.stat(file)
    except OSError as error:
        raise Skipped("a link that leads nowhere" if file.is_symlink() else "unreadable") from error
    if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for
        raise Skipped("a pipe, a device or another thing that is no file")
    if not about.st_size:
        raise Skipped("an empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PIL, about what is checked here
            with _open(file) as picture:
                return _decoded(picture, size)
    except Image.DecompressionBombError as error:
        raise Skipped("more than 100 million pixels") from error
    except (Skipped, MemoryError):
        raise
    except PermissionError as error:
        raise Skipped("unreadable") from error
    except Exception as error:  # PIL's decoders raise all kinds
        raise Skipped("damaged, cut off or of an unknown kind") from error


def _open(file: Path) -> Image.Image:
    Image.init()
    try:
        return Image.open(file, formats=[f for f in _FORMATS if f in Image.OPEN])
    except UnidentifiedImageError:
        with open(file, "rb") as opened:
            start = opened.read(12)
        if start[4:8] != b"ftyp":
            raise
        try:
            import pillow_heif
        except ImportError:
            raise Skipped("HEIC, which needs the package pillow-heif") from None
        pillow_heif.register_heif_opener()
        return Image.open(file, formats=["HEIF"])


def _decoded(picture: Image.Image, size: int | None) -> DecodedPicture:
    remarks = []
    if getattr(picture, "is_animated", False) and picture.format not in ("MPO", "HEIF"):
        remarks.append("first of several frames or pages")
    if size is not None and picture.format in ("JPEG", "MPO"):
        picture.draft(None, (3 * size, 3 * size))  # decoded at a half, a fourth or an eighth
    if picture.width * picture.height > _MOST_PIXELS:
        raise Skipped("more than 100 million pixels")
    turned, taken, camera = _exif(picture)
    picture.load()
    if turned:
        ImageOps.exif_transpose(picture, in_place=True)
        remarks.append("turned as its EXIF data say")
    rgb = _to_rgb(picture, remarks)
    if size is not None and rgb.size != (size, size):
        if rgb.width != rgb.height:
            remarks.append("not square: the middle is kept")
        rgb = ImageOps.fit(rgb, (size, size), Image.Resampling.BILINEAR)
    return DecodedPicture(np.asarray(rgb), tuple(remarks), taken, camera)


def _exif(picture: Image.Image) -> tuple[bool, datetime | None, str]:
    """Return whether a picture is to be turned, and when and by what it was taken."""
    try:
        exif = picture.getexif()
        turned = exif.get(_ORIENTATION, 1) in range(2, 9)
        camera = str(exif.get(_MODEL, "")).strip("\0 ")
        text = str(exif.get_ifd(_EXIF).get(_TAKEN, ""))
    except Exception:  # damaged EXIF data of a sound picture
        return False, None, ""
    try:
        return turned, datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S"), camera
    except ValueError:
        return turned, None, camera


def _to_rgb(picture: Image.Image, remarks: list[str]) -> Image.Image:
    mode = picture.mode
    if mode == "RGB" and "transparency" not in picture.info:
        return picture
    if mode.startswith("I") or mode == "F":
        return _from_numbers(picture, remarks)
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        if layer.getchannel("A").getextrema()[0] == 255:
            return layer.convert("RGB")
        remarks.append("transparent parts shown on white")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    if mode == "CMYK":
        remarks.append("CMYK without its colour profile")
    return picture.convert("RGB")


def _from_numbers(picture: Image.Image, remarks: list[str]) -> Image.Image:
    """Return a grey picture of more than 8 bits in RGB, scaled by the white of its format."""
    values = np.asarray(picture).astype(np.float64)
    tags: Any = getattr(picture, "tag_v2", {})
    if picture.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise Skipped("floats outside 0 to 1, whose white is unknown")
        white = 1.0
        remarks.append("floats from 0 to 1 scaled to 8 bits")
    elif picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM"):
        white = 2.0 ** tags.get(_BITS, (16,))[0] - 1
        remarks.append("16 bits scaled to 8")
        if tags.get(_INVERTED) == 0:  # white is zero
            values = white - values
    else:
        raise Skipped("signed or 32-bit numbers, whose white is unknown")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8)).convert("RGB")
