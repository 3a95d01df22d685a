"""Free memory: the machine's and the container's, whichever is less."""

from pathlib import Path

import pytest

from rps_bench.runtime.free_memory import find_free_bytes

MEGABYTE = 2**20


def write_limit(folder: Path, version: int, limit: str, usage: int, droppable: int) -> None:
    """The files of a container's memory, as version 1 or 2 of cgroups has them."""
    names = ("memory.max", "memory.current", "memory.stat", "inactive_file")
    if version == 1:
        folder = folder / "memory"
        folder.mkdir()
        names = (
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "memory.stat",
            "total_inactive_file",
        )
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / names[2]).write_text(f"anon 5\n{names[3]} {droppable}\n")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("limit", "usage", "droppable", "free"),
    [
        (str(800 * MEGABYTE), 300, 100, 600),
        (str(800 * MEGABYTE), 900, 0, 0),
        (str(2**63 - 4096), 300, 100, 1000),  # what version 1 calls no limit
        ("max", 300, 100, 1000),
    ],
)
def test_the_lesser_counts(
    version: int, limit: str, usage: int, droppable: int, free: int, tmp_path: Path
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: 9 kB\nMemAvailable:  {1000 * 1024} kB\nHugePages_Total: 0\n")
    write_limit(tmp_path, version, limit, usage * MEGABYTE, droppable * MEGABYTE)
    assert find_free_bytes(meminfo, tmp_path) == free * MEGABYTE


@pytest.mark.parametrize("text", [None, "", "MemAvailable: many kB\n", "nothing\n"])
def test_it_may_be_unknown(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "meminfo").write_text(text)
    assert find_free_bytes(tmp_path / "meminfo", tmp_path) is None
