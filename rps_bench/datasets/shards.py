"""Choosing the parquet files of a folder that form one set of shards.

Copies of two revisions may lie in one folder: ``train-00000-of-00005.parquet`` and
``train-00000-of-00002-<hash>.parquet``. If both were read, their images would count twice. The
names of shards state how many there are; a hash may belong to the set or to each shard.
"""

import filecmp
import os
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from rps_bench.core.errors import UserError

_NAME = re.compile(
    r"[a-z]+-(?P<index>\d+)(?:-of-(?P<count>\d+))?(?:-(?P<hash>[0-9A-Za-z]+))?\.parquet"
)


@dataclass(frozen=True)
class _Name:
    """The parts of a shard's name; all None if it has another form."""

    index: int | None = None
    count: int | None = None
    hash: str | None = None


_Set = Mapping[Path, _Name]


def choose_set(files: Iterable[Path]) -> tuple[Path, ...]:
    """The shards of the intended set, sorted by name.

    An incomplete set is used if it is the only one, and ignored if there is a complete one.

    Args:
        files: Files of one split in one folder.

    Raises:
        UserError: The intended set is not clear, or a set holds a shard twice or too many shards.
    """
    # Names of the same form and count belong together, unless indexes repeat under other hashes.
    names = {path: _read_name(path) for path in sorted(files)}
    sets = [
        found
        for alike in _group(names, lambda name: (name.index is None, name.count, bool(name.hash)))
        for found in _split_revisions(alike)
    ]
    for found in sets:
        _check_indexes(found)
    whole = [found for found in sets if _is_whole(found)]
    if len(sets) > 1 and len(whole) != 1:
        listed = "; ".join(_describe(found) for found in sets[:4])
        raise UserError(
            f"{next(iter(names)).parent}: expected one set of shards for a split, found {len(sets)}"
            f" ({listed}); leave only one there"
        )
    return tuple((whole or sets or [{}])[0])


def check_files(files: Sequence[Path]) -> None:
    """Raise a UserError if a path is not a file, or if two files have the same content."""
    by_size = defaultdict(list)
    for path in files:
        _check_file(path)
        by_size[path.stat().st_size].append(path)
    for alike in by_size.values():
        for first, second in combinations(alike, 2):
            if filecmp.cmp(first, second, shallow=False):
                raise UserError(
                    f"{second}: the same content as {first.name}, so its images would count twice; "
                    "put the right file in its place"
                )


def _check_file(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path}: a link to {os.readlink(path)}, which is missing")
    if not path.is_file():
        raise UserError(f"{path}: expected a parquet file, found a folder or device")


def _read_name(path: Path) -> _Name:
    found = _NAME.fullmatch(path.name)
    if found is None:
        return _Name()
    count = found["count"]
    return _Name(int(found["index"]), None if count is None else int(count), found["hash"])


def _group(names: _Set, key: Callable[[_Name], Hashable]) -> list[_Set]:
    groups: dict[Hashable, dict[Path, _Name]] = {}
    for path, name in names.items():
        groups.setdefault(key(name), {})[path] = name
    return list(groups.values())


def _split_revisions(files: _Set) -> list[_Set]:
    """The files as one set if no index repeats, whatever the hashes; else a set per hash."""
    indexes = [name.index for name in files.values()]
    if len(set(indexes)) == len(indexes):
        return [files]
    return _group(files, lambda name: name.hash)


def _check_indexes(files: _Set) -> None:
    seen: dict[int, Path] = {}
    for path, name in files.items():
        if name.index is None:
            continue
        if name.count is not None and name.index >= name.count:
            raise UserError(f"{path}: no such shard, the name says 0 to {name.count - 1}")
        if name.index in seen:
            raise UserError(f"{path}: the same shard as {seen[name.index].name}; leave only one")
        seen[name.index] = path


def _is_whole(files: _Set) -> bool:
    """Whether the set is complete, as far as the names tell."""
    count = next(iter(files.values())).count
    return count is None or count == len(files)


def _describe(files: _Set) -> str:
    first, count = next(iter(files)), next(iter(files.values())).count
    return f"{len(files)}{f' of {count}' if count else ''} as {first.name}"
