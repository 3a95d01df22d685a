"""The options of a measurement: words of the command line as checked values."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.nearest import no_pair, unknown_name
from rps_bench.models import ARCHITECTURES

LARGEST_IMAGE = 512  # pixels


@dataclass(frozen=True)
class Options:
    """The networks, compressions and batches to measure, and how they are timed.

    Attributes:
        arch: Names of architectures.
        compression: Compressions of the compressible weights; dense is measured once.
        batch: Images of a batch.
        threads: CPU threads.
        seconds: How long each batch is timed (at least five runs).
        width: Channels of the first convolution; None for the architecture's own.
        image_size: Height and width of the images, as the networks are trained on.
        results_dir: The folder for `inference.csv`, `inference.json` and `plots/`.
    """

    arch: tuple[str, ...] = ("resnet20", "vgg11")
    compression: tuple[float, ...] = (1.0, 10.0, 100.0)
    batch: tuple[int, ...] = (1, 128)
    threads: int = 1
    seconds: float = 1.0
    width: int | None = None
    image_size: int = 32
    results_dir: Path = Path("results")

    def __post_init__(self) -> None:
        checks.each("arch", self.arch, lambda key, name: checks.choice(key, name, ARCHITECTURES))
        checks.each("compression", self.compression, lambda _, c: checks.compression_ratio(c))
        checks.each("batch", self.batch, lambda key, size: checks.whole_number(key, size, 1))
        checks.whole_number("threads", self.threads, 1)
        checks.positive_number("seconds", self.seconds)
        if self.width is not None:
            checks.whole_number("width", self.width, 1, also="null or ")
        smallest = max(ARCHITECTURES[name].smallest_image for name in self.arch)
        checks.whole_number("image_size", self.image_size, smallest, LARGEST_IMAGE)


LISTS = ("arch", "compression", "batch")


def read_options(words: Sequence[str]) -> Options:
    """The options of `key=value` words; lists are written 1,10,100.

    Raises:
        UserError: A key is unknown, or a value out of range.
    """
    names = [field.name for field in fields(Options)]
    values: dict[str, Any] = {}
    for word in words:
        key, is_pair, text = word.partition("=")
        if not is_pair:
            raise no_pair(word, names)
        if key not in names:
            raise unknown_name("key", key, names)
        values[key] = _read_value(key, text)
    return Options(**values)


def _read_value(key: str, text: str) -> Any:
    if key == "results_dir":
        return Path(checks.path(key, text))
    if key == "width" and text in ("", "null"):
        return None
    if text.startswith("["):
        raise UserError(f"{key}: lists are written {text.strip('[]')}, without brackets")
    if key in LISTS:
        # Without repeated values, so that every setting is measured once.
        return tuple(dict.fromkeys(_read_number(part.strip()) for part in text.split(",")))
    return _read_number(text)


def _read_number(text: str) -> int | float | str:
    """A number, or the text itself, which the checks then refuse by name."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
