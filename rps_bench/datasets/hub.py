"""Parquet copies on the public hub: the list of shards, and downloading all of them."""

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rps_bench.datasets.download import DownloadError, DownloadPolicy, Expected, fetch
from rps_bench.datasets.info import HubCopy

# Names come from a server and become file names here: only plain names are accepted.
_PLAIN_NAME = re.compile(r"[\w.-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Shard:
    """One remote file."""

    name: str
    expected: Expected


def download_shards(hub: HubCopy, folder: Path, policy: DownloadPolicy) -> list[Path]:
    """Download all shards into ``folder``, checking sizes and SHA-256 against the hub's list.

    Raises:
        DownloadError: The list or a shard cannot be downloaded, or the list lacks a split.
    """
    shards = list_shards(hub, folder, policy)
    base = f"{policy.hub_url}/datasets/{hub.repository}/resolve/main/{hub.folder}"
    for shard in shards:
        fetch(f"{base}/{shard.name}", folder / shard.name, shard.expected, policy)
    return [folder / shard.name for shard in shards]


def list_shards(hub: HubCopy, folder: Path, policy: DownloadPolicy) -> list[Shard]:
    """Ask the hub's API for the shards of a dataset; the answer passes through ``folder``."""
    url = f"{policy.hub_url}/api/datasets/{hub.repository}/tree/main/{hub.folder}"
    answer = folder / "shards.json"
    fetch(url, answer, Expected(), policy)
    try:
        entries = {str(entry["path"]).rsplit("/", 1)[-1]: entry for entry in _read_list(answer)}
        shards = []
        for pattern in hub.patterns.values():  # train first
            names = [name for name in sorted(entries) if _is_shard(name, pattern)]
            if not names:
                raise ValueError(f"no {pattern} is listed")
            shards += [Shard(name, _to_expected(entries[name])) for name in names]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DownloadError(f"{url} (expected a list of shards: {error})") from error
    finally:
        answer.unlink()
    return shards


def _read_list(answer: Path) -> list[dict[str, Any]]:
    listed = json.loads(answer.read_text())
    if not isinstance(listed, list):
        raise ValueError("it is not a list")
    return listed


def _is_shard(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and _PLAIN_NAME.fullmatch(name) is not None


def _to_expected(entry: dict[str, Any]) -> Expected:
    size, digest = int(entry["size"]), entry["lfs"]["oid"]
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a SHA-256")
    return Expected(size_bytes=size, digest=digest)
