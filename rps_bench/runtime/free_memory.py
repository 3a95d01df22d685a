"""How much memory a process and those that it starts may still take, as Linux tells it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rps_bench.runtime.cores import CGROUPS

MEMINFO = Path("/proc/meminfo")
# What a container may take, what it takes, and its line for files that could be dropped from
# memory: of version 2 and version 1 of cgroups.
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def find_free_bytes(meminfo: Path = MEMINFO, cgroups: Path = CGROUPS) -> int | None:
    """The bytes that are free on the machine and within the container; None where unknown."""
    found = [*_read_machine(meminfo), *_read_container(cgroups)]
    return max(0, min(found)) if found else None


def _read_machine(meminfo: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, KeyError):
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        yield int(lines["MemAvailable"].split()[0]) * 1024


def _read_container(cgroups: Path) -> Iterator[int]:
    for limit, usage, statistics, droppable in _LIMITS:
        with suppress(OSError, ValueError, KeyError):  # such as a limit of "max", which is none
            lines = dict(line.split() for line in (cgroups / statistics).read_text().splitlines())
            taken = int((cgroups / usage).read_text()) - int(lines[droppable])
            yield int((cgroups / limit).read_text()) - taken
