"""The unpacked official Tiny ImageNet archive: folders of JPEG files (Stanford CS231n).

The validation images serve as the test split, as usual in the literature: the labels of the
official test images were never published.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rps_bench.core.errors import UserError
from rps_bench.datasets.images import decode_image, read_encoded
from rps_bench.datasets.info import DatasetInfo


@dataclass(frozen=True)
class TinyImageNetFolder:
    """The folder ``tiny-imagenet-200``; a label is the wnid's index in alphabetical order."""

    info: DatasetInfo
    folder: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """The two text files with labels, and every image."""
        images = [path for split in ("train", "test") for path, _ in self.rows[split]]
        return (self.folder / "wnids.txt", self._annotations, *images)

    def count(self, split: str) -> int:
        """Number of images in a split."""
        return len(self.rows[split])

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Decode a split into (count, 3, H, W) and (count,)."""
        for row, (path, label) in enumerate(self.rows[split]):
            images[row] = decode_image(_read_bytes(path), self.info.image_size, str(path))
            labels[row] = label

    @cached_property
    def rows(self) -> dict[str, list[tuple[Path, int]]]:
        """The (image file, label) pairs of each split, in a fixed order."""
        wnids = sorted(_read_lines(self.folder / "wnids.txt"))
        if len(set(wnids)) != self.info.num_classes:
            raise UserError(
                f"{self.folder / 'wnids.txt'}: expected {self.info.num_classes} different wnids, "
                f"found {len(set(wnids))}"
            )
        label_of = {wnid: label for label, wnid in enumerate(wnids)}
        train = [
            (path, label)
            for wnid, label in label_of.items()
            for path in sorted((self.folder / "train" / wnid / "images").glob("*.JPEG"))
        ]
        return {"train": train, "test": self._list_validation(label_of)}

    @property
    def _annotations(self) -> Path:
        return self.folder / "val" / "val_annotations.txt"

    def _list_validation(self, label_of: dict[str, int]) -> list[tuple[Path, int]]:
        rows = []
        for number, line in enumerate(_read_lines(self._annotations), start=1):
            name, wnid, *_ = [*line.split("\t"), ""]
            if wnid not in label_of or Path(name).name != name:
                raise UserError(
                    f"{self._annotations}, line {number}: expected an image name and a wnid "
                    f"of wnids.txt, found {line[:80]!r}"
                )
            rows.append((self.folder / "val" / "images" / name, label_of[wnid]))
        return rows


def _read_lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: missing or unreadable; unpack the official archive again"
        ) from error


def _read_bytes(path: Path) -> bytes:
    try:
        return read_encoded(path)
    except OSError as error:
        raise UserError(
            f"{path}: missing or unreadable; unpack the official archive again"
        ) from error
