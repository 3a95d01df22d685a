"""Official archives: finding an unpacked one, and unpacking one without leaving its folder."""

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from rps_bench.core.errors import UserError
from rps_bench.datasets.base import Source
from rps_bench.datasets.cifar_pickles import open_cifar10, open_cifar100
from rps_bench.datasets.info import Archive, DatasetInfo
from rps_bench.datasets.tiny_folder import TinyImageNetFolder

LAYOUTS: dict[str, Callable[[DatasetInfo, Path], Source]] = {
    "cifar10_pickles": open_cifar10,
    "cifar100_pickles": open_cifar100,
    "tiny_imagenet_folder": TinyImageNetFolder,
}


def find_archive(info: DatasetInfo, root: Path) -> Source | None:
    """The unpacked official archive under ``root``, or None if there is no such folder.

    Raises:
        UserError: The folder exists, but some of its files are missing.
    """
    if info.archive is None or not (root / info.archive.folder).is_dir():
        return None
    source = LAYOUTS[info.archive.layout](info, root / info.archive.folder)
    for path in source.files:
        if not path.is_file():
            raise UserError(
                f"{path}: missing; unpack {Path(info.archive.url).name} again into {root}"
            )
    return source


def unpack(packed: Path, archive: Archive, folder: Path) -> Path:
    """Unpack a tar or zip file below ``folder``; return the archive's top folder there.

    Raises:
        ValueError: A member would land outside, or the expected top folder is missing.
        OSError: The archive is corrupt, or the disk is full.
    """
    try:
        if zipfile.is_zipfile(packed):
            _unzip(packed, folder)
        else:
            with tarfile.open(packed) as tar:
                tar.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{packed.name} cannot be unpacked: {error}") from error
    if not (folder / archive.folder).is_dir():
        raise ValueError(f"{packed.name} holds no folder {archive.folder}")
    return folder / archive.folder


def _unzip(packed: Path, folder: Path) -> None:
    with zipfile.ZipFile(packed) as file:
        # tarfile's "data" filter refuses such names; zipfile has no filter, only silent renaming.
        for name in file.namelist():
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{packed.name} holds {name!r}, which leads out of its folder")
        file.extractall(folder)


def move_into_place(unpacked: Path, root: Path) -> None:
    """Rename a complete folder into ``root``; both must lie on one file system."""
    target = root / unpacked.name
    shutil.rmtree(target, ignore_errors=True)
    unpacked.replace(target)
