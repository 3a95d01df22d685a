"""The cache of decoded images: uint8 arrays on disk, so that a dataset is decoded only once.

There is one folder per content of the source files: ``<name>-<digest>/`` with four ``.npy`` files
and a manifest, built under a lock in a temporary folder and renamed when complete. A cache whose
manifest, headers or content digest do not agree is never trusted, but built again. Caches of older
contents stay until someone deletes them.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from rps_bench.core.atomic import write_text
from rps_bench.core.errors import UserError, explain
from rps_bench.core.permissions import follow_folder_below, make_folder
from rps_bench.datasets.base import SPLITS, Dataset, Source, Split
from rps_bench.datasets.digests import (
    content_digest,
    hash_files,
    remember_digest,
    stat_signature,
)
from rps_bench.datasets.folders import clear_away
from rps_bench.datasets.info import DatasetInfo
from rps_bench.runtime.locks import hold, make_lock

_FORMAT = 1  # to be raised if the same source decodes to different arrays
_MANIFEST = "manifest.json"


def load_through_cache(info: DatasetInfo, source: Source, folders: Sequence[Path]) -> Dataset:
    """Map the decoded arrays of a source into memory, after decoding it if necessary.

    The tensors are copy-on-write: writing to one changes this process's memory, never the file.

    Args:
        info: The dataset.
        source: The files with encoded images.
        folders: Folders that may hold caches. The first is created if missing, and receives a new
            one.

    Raises:
        UserError: The source holds bad content, or a folder cannot be read or written.
    """
    folder = folders[0]
    try:
        memory = folder / "digests"
        digest = content_digest(source.folder, source.files, memory)
        name = f"{info.name}-{digest[:20]}"
        # A digest of the content names the cache, so a changed source never meets an old cache.
        found = (read_cache(place / name, info, digest, memory) for place in folders)
        arrays = next((arrays for arrays in found if arrays is not None), None)
        if arrays is None:
            target = make_folder(folder) / name
            # Processes that start together decode once: the others wait, then look again.
            with hold(make_lock(folder / f"{info.name}.lock")):
                arrays = read_cache(target, info, digest, memory)
                if arrays is None:
                    build_cache(target, info, source, digest, memory)
                    arrays = read_cache(target, info, digest, memory)
        assert arrays is not None, "a cache that was just built reads back"
    except OSError as error:
        raise UserError(
            f"{info.name}: cannot decode {source.folder} into {folder} ({explain(error)}); "
            "expected readable images and a cache folder with free space (XDG_CACHE_HOME moves it)"
        ) from error
    splits = {
        split: Split(
            torch.from_numpy(arrays[f"{split}_images"]), torch.from_numpy(arrays[f"{split}_labels"])
        )
        for split in SPLITS
    }
    return Dataset(info=info, train=splits["train"], test=splits["test"])


def read_cache(
    target: Path, info: DatasetInfo, digest: str, memory: Path
) -> dict[str, NDArray[np.generic]] | None:
    """The arrays ``<split>_images`` and ``<split>_labels``, or None if any check fails."""
    try:
        manifest = json.loads((target / _MANIFEST).read_text())
        if manifest["format"] != _FORMAT or manifest["source_digest"] != digest:
            return None
        if content_digest(target, _array_files(target), memory) != manifest["arrays_digest"]:
            return None
        arrays = {path.stem: np.load(path, mmap_mode="c") for path in _array_files(target)}
    except (OSError, ValueError, KeyError, TypeError, EOFError, OverflowError, RecursionError):
        return None
    return arrays if _fit_together(arrays, info) else None


def build_cache(target: Path, info: DatasetInfo, source: Source, digest: str, memory: Path) -> None:
    """Decode a source into ``target``; the caller holds the lock. No trace of a failure stays."""
    building = target.parent / f".building-{info.name}"
    clear_away(building)  # left by a process that was killed
    make_folder(building)
    try:
        # Compared again below: files that change during the read would give a mixture of two
        # contents.
        before = stat_signature(source.folder, source.files)
        with _say(f"decoding {info.name}, once"):
            for split in SPLITS:
                _decode_split(building, split, info, source)
        if stat_signature(source.folder, source.files) != before:
            raise UserError(f"{source.folder}: files changed while they were read; try again")
        follow_folder_below(building)
        files = _array_files(building)
        arrays_digest = hash_files(building, files)
        remember_digest(memory, stat_signature(building, files), arrays_digest)
        manifest = {
            "format": _FORMAT,
            "dataset": info.name,
            "source_digest": digest,
            "source_files": [str(path.relative_to(source.folder)) for path in source.files[:100]],
            "arrays_digest": arrays_digest,
        }
        write_text(building / _MANIFEST, json.dumps(manifest, indent=1))
        clear_away(target)  # a cache that failed the checks
        building.replace(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _decode_split(building: Path, split: str, info: DatasetInfo, source: Source) -> None:
    count = source.count(split)
    if count == 0:
        raise UserError(f"{source.folder}: the {split} split holds no image")
    official = info.num_train if split == "train" else info.num_test
    if count > official:
        raise UserError(
            f"{source.folder}: expected at most {official} images in the {split} split of "
            f"{info.name}, found {count}"
        )
    shape = (count, 3, info.image_size, info.image_size)
    path = building / f"{split}_images.npy"
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    _reserve(path)
    labels = np.empty(count, dtype=np.int64)
    source.fill(split, images, labels)
    images.flush()
    np.save(building / f"{split}_labels.npy", labels)


def _reserve(path: Path) -> None:
    """Reserve disk space for all bytes of a file that is mapped into memory.

    On a full disk this raises an error. Without it, a later write to the memory would kill the
    process.
    """
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _say(what: str) -> AbstractContextManager[object]:
    """A context with a status line on stderr, if that is a terminal."""
    return Console(stderr=True).status(what) if sys.stderr.isatty() else nullcontext()


def _array_files(folder: Path) -> list[Path]:
    return [folder / f"{split}_{part}.npy" for split in SPLITS for part in ("images", "labels")]


def _fit_together(arrays: dict[str, NDArray[np.generic]], info: DatasetInfo) -> bool:
    image_shape = (3, info.image_size, info.image_size)
    return all(
        arrays[f"{split}_images"].dtype == np.uint8
        and arrays[f"{split}_images"].shape[1:] == image_shape
        and arrays[f"{split}_labels"].dtype == np.int64
        and arrays[f"{split}_labels"].shape == arrays[f"{split}_images"].shape[:1]
        and bool(np.isin(arrays[f"{split}_labels"], range(info.num_classes)).all())
        for split in SPLITS
    )
