"""A data folder that another user has filled: what is there is used, the rest made elsewhere."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from rps_bench.core.errors import UserError
from rps_bench.datasets import load_dataset
from tests.users import as_b, give_to_a, need_players

LOAD = """
import sys
from rps_bench.datasets import cache, load_dataset
from rps_bench.core.errors import UserError
build = cache.build_cache
cache.build_cache = lambda *arguments: (print("decoded"), build(*arguments))
try:
    print(len(load_dataset("cifar10", sys.argv[1]).train), "images")
except UserError as error:
    print(error)
"""


@pytest.fixture
def root(samples: Any, tmp_path: Path) -> Path:
    """A data root that B may enter."""
    need_players()
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    samples.write_parquet(tmp_path / "data")
    (tmp_path / "user_cache").mkdir()
    return tmp_path / "data"


def set_modes(folder: Path, of_folders: int, of_files: int) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(of_folders if path.is_dir() else of_files)


def load_as_b(root: Path) -> list[str]:
    run = as_b("-c", LOAD, root)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.parametrize("of_folders", [0o755, 0o555, 0o2775])
def test_what_another_has_decoded_is_used(of_folders: int, root: Path) -> None:
    load_dataset("cifar10", root)
    set_modes(root, of_folders, 0o444)
    give_to_a(root)
    assert load_as_b(root) == ["30 images"]


def test_a_cache_of_which_another_may_not_write_is_made_elsewhere(
    root: Path, tmp_path: Path
) -> None:
    """The root is open, the folder ``decoded`` in it was made by A alone."""
    (root / "decoded").mkdir()
    give_to_a(root)
    root.chmod(0o2775)
    assert load_as_b(root) == ["decoded", "30 images"]
    assert list((tmp_path / "user_cache" / "rps_bench" / "decoded").glob("cifar10-*"))
    assert load_as_b(root) == ["30 images"]


@pytest.mark.parametrize("left", ["damaged", "killed", "secret"])
def test_what_another_left_is_put_aside(left: str, root: Path) -> None:
    """B may write in the folder, but not in those that A made in it."""
    load_dataset("cifar10", root)
    (cache,) = (root / "decoded").glob("cifar10-*")
    if left == "damaged":
        (cache / "manifest.json").write_text("half")
    if left == "killed":
        shutil.copytree(cache, root / "decoded" / ".building-cifar10")
        shutil.rmtree(cache)
    set_modes(root, 0o755, 0o644)
    if left == "secret":
        cache.chmod(0o700)
    give_to_a(root)
    (root / "decoded").chmod(0o2775)
    assert load_as_b(root) == ["decoded", "30 images"]
    assert load_as_b(root) == ["30 images"]


def test_what_is_decoded_in_a_shared_folder_is_everybodys(root: Path) -> None:
    give_to_a(root)
    set_modes(root, 0o2770, 0o640)
    assert load_as_b(root) == ["decoded", "30 images"]
    for path in (root / "decoded").rglob("*"):
        wanted = 0o070 if path.is_dir() else 0o060
        assert path.stat().st_mode & wanted == wanted, path


def test_a_folder_that_cannot_be_listed_is_not_downloaded_again(root: Path) -> None:
    give_to_a(root, group=1)
    (root / "cifar10" / "plain_text").chmod(0o700)
    (line,) = load_as_b(root)
    assert line == f"{root}/cifar10/plain_text: the folder cannot be read (Permission denied)"


def test_a_shard_that_cannot_be_read_is_whole(root: Path) -> None:
    shard = root / "cifar10" / "plain_text" / "train-00000-of-00002.parquet"
    shard.chmod(0o600)
    give_to_a(root)
    (line,) = load_as_b(root)
    assert line == f"{shard}: cannot be read (Permission denied)"


def test_a_disk_without_locks_is_told(
    samples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS whose lock service is down, for example."""
    import errno
    import fcntl
    import os

    samples.write_parquet(tmp_path)

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match=r"cifar10\.lock: No locks available; a folder on a disk"):
        load_dataset("cifar10", tmp_path)
