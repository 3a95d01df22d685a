"""Decoding of images, and checks that all sources share.

Pillow decodes an image in 0.15 to 0.3 ms and holds the interpreter lock during that time: a pool of
threads was measured to be slower than one thread, so there is none.
"""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from rps_bench.core.errors import UserError
from rps_bench.datasets.info import DatasetInfo

# Only these of Pillow's readers: one of the others passes its input to an external program.
_FORMATS = ("PNG", "JPEG", "WEBP")

# 16-bit and float modes are not accepted: converting them to 8 bits would clip silently.
_EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}

_PNG_START = b"\x89PNG\r\n\x1a\n"

LARGEST_IMAGE_BYTES = 1 << 20  # encoded; 64 x 64 pixels are 12 kB uncompressed


def read_encoded(path: Path) -> bytes:
    """The content of an image file; one that is too large is cut, which decoding then refuses."""
    with path.open("rb") as file:
        return file.read(LARGEST_IMAGE_BYTES + 1)


def decode_image(data: bytes, size: int, where: str) -> NDArray[np.uint8]:
    """Decode PNG, JPEG or WebP bytes, recognised by their content, to RGB.

    Args:
        data: The encoded file.
        size: Expected height and width in pixels.
        where: File and row, for the message.

    Returns:
        Pixels (3, size, size); grey-scale images have three equal channels.

    Raises:
        UserError: The bytes are not a whole image, or it has another size or depth.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and not _has_webp():
        raise UserError(f"{where}: this Pillow build lacks WebP; install Pillow's binary wheel")
    if len(data) > LARGEST_IMAGE_BYTES:
        raise UserError(
            f"{where}: expected an image of at most {LARGEST_IMAGE_BYTES} bytes, found {len(data)}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _check_header(image, size, where)
                _check_depth(data, where)
                _check_opaque(image, where)
                return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except UserError:
        raise
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{where}: expected a whole image, found corrupt bytes ({reason})"
        ) from error


def _check_header(image: Image.Image, size: int, where: str) -> None:
    if image.size != (size, size):
        width, height = image.size
        raise UserError(f"{where}: expected {size}x{size} pixels, found {width}x{height}")
    if image.mode not in _EIGHT_BIT_MODES:
        raise UserError(f"{where}: expected 8 bits per channel, found Pillow mode {image.mode}")


def _check_depth(data: bytes, where: str) -> None:
    """Refuse a PNG with 16 bits and several channels, which Pillow silently opens as 8 bits."""
    if data[:8] == _PNG_START and data[24:25] == b"\x10":
        raise UserError(f"{where}: expected 8 bits per channel, found 16")


def _check_opaque(image: Image.Image, where: str) -> None:
    """Refuse transparency: the background is not in the file, hidden colours may be anything."""
    if not image.has_transparency_data:
        return
    if np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise UserError(f"{where}: expected an opaque image, found transparent pixels")


def _has_webp() -> bool:
    return bool(features.check("webp"))


def check_labels(labels: NDArray[np.int64], info: DatasetInfo, where: str) -> None:
    """Raise a UserError unless every label is in [0, num_classes)."""
    if len(labels) and (labels.min() < 0 or labels.max() >= info.num_classes):
        raise UserError(
            f"{where}: expected labels 0 to {info.num_classes - 1} for {info.name}, "
            f"found {labels.min()} to {labels.max()}"
        )
