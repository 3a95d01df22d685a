"""Download of a whole dataset: from the public hub first, then the official archive.

All files are collected in a staging folder below the data root and moved into place when complete,
so that a process that dies leaves nothing that looks like a dataset.
"""

import shutil
from pathlib import Path

from rps_bench.core.errors import UserError
from rps_bench.core.permissions import follow_folder_below, make_folder
from rps_bench.datasets.archives import move_into_place, unpack
from rps_bench.datasets.download import DownloadError, DownloadPolicy, Expected, fetch
from rps_bench.datasets.folders import DATA_VARIABLE, clear_away
from rps_bench.datasets.hub import download_shards
from rps_bench.datasets.info import DatasetInfo


def obtain(info: DatasetInfo, root: Path, policy: DownloadPolicy) -> None:
    """Download a dataset into ``root``; the caller holds the lock.

    Raises:
        UserError: All sources failed; the message gives each reason and how to get the files by
            hand.
    """
    staging = root / f".downloading-{info.name}"
    failures = []
    for attempt in (_from_hub, _from_archive):
        clear_away(staging)
        make_folder(staging)
        try:
            attempt(info, root, staging, policy)
            return
        except (DownloadError, OSError, ValueError) as error:
            failures.append(" ".join(str(error).split()))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    raise UserError(
        f"{info.name}: not found under {root} and not downloaded; tried {'; '.join(failures)}. "
        + how_to_get(info, root)
    )


def how_to_get(info: DatasetInfo, root: Path) -> str:
    """A sentence that says which files to put in which folder, or which setting to change."""
    assert info.hub is not None
    assert info.archive is not None
    return (
        f"By hand: put the {' and '.join(info.hub.patterns.values())} files of "
        f"{info.hub.folder}/ of hub dataset {info.hub.repository} into "
        f"{root / info.hub.local_folder}, or unpack {Path(info.archive.url).name} into {root}, or "
        f"set {DATA_VARIABLE} or data_root to a folder that holds them"
    )


def _from_hub(info: DatasetInfo, root: Path, staging: Path, policy: DownloadPolicy) -> None:
    assert info.hub is not None
    folder = root / info.hub.local_folder
    shards = download_shards(info.hub, staging, policy)
    make_folder(folder)
    for shard in shards:  # test shards are last: a folder without them is refused as incomplete
        shard.replace(folder / shard.name)


def _from_archive(info: DatasetInfo, root: Path, staging: Path, policy: DownloadPolicy) -> None:
    assert info.archive is not None
    url = policy.archive_url or info.archive.url
    packed = staging / Path(info.archive.url).name
    fetch(url, packed, Expected(algorithm="md5", digest=info.archive.md5), policy)
    unpacked = unpack(packed, info.archive, staging)
    follow_folder_below(unpacked)
    move_into_place(unpacked, root)
