"""The images of a dataset: embedded, parquet shards, official archive, or downloaded."""

from pathlib import Path

from rps_bench.core.errors import UserError, explain
from rps_bench.core.permissions import make_folder
from rps_bench.datasets.archives import find_archive
from rps_bench.datasets.base import Dataset, Source
from rps_bench.datasets.cache import load_through_cache
from rps_bench.datasets.download import DownloadPolicy
from rps_bench.datasets.embedded import load_embedded
from rps_bench.datasets.folders import decoded_folders, is_writable, resolve_root
from rps_bench.datasets.info import DatasetInfo
from rps_bench.datasets.obtain import how_to_get, obtain
from rps_bench.datasets.own import load_own
from rps_bench.datasets.parquet import find_parquet
from rps_bench.runtime.locks import hold, make_lock


def load(info: DatasetInfo, root: str | Path | None, policy: DownloadPolicy) -> Dataset:
    """Load a dataset; see ``rps_bench.datasets.load_dataset``."""
    if info.load is not None:
        return load_own(info, resolve_root(root))
    if info.hub is None:
        return load_embedded(info)
    folder = resolve_root(root)
    source = find_source(info, folder) or _download(info, folder, policy)
    return load_through_cache(info, source, decoded_folders(folder))


def find_source(info: DatasetInfo, root: Path) -> Source | None:
    """The files of a dataset under ``root``, parquet first, or None if there are none."""
    return find_parquet(info, root) or find_archive(info, root)


def _download(info: DatasetInfo, root: Path, policy: DownloadPolicy) -> Source:
    """Download under a lock, unless another process did so while this one waited."""
    try:
        make_folder(root)
        if not is_writable(root):
            raise PermissionError("the folder is read-only")
        with hold(make_lock(root / f".{info.name}.lock")):
            source = find_source(info, root)
            if source is None:
                obtain(info, root, policy)
                source = find_source(info, root)
    except OSError as error:
        raise UserError(
            f"{info.name}: not found under {root}, and nothing can be written there "
            f"({explain(error)}). " + how_to_get(info, root)
        ) from error
    assert source is not None, "a finished download is found"
    return source
