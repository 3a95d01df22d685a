"""How many cores there are for this process, and how many threads torch uses: no more than those.

torch counts the cores that a process may run on. It does not see a quota of CPU time (`docker run
--cpus=2`, limits of Kubernetes): on 64 cores, 64 threads then use up the quota of two at once and
all stand still until the next period.
"""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")  # as a container sees its own


def set_threads(wanted: int | None) -> None:
    """Set torch's number of threads in this process; None: its own choice, within the limit."""
    limit = wanted or find_limit(os.environ)
    if limit is None:
        return
    import torch

    torch.set_num_threads(wanted or min(limit, torch.get_num_threads()))


def count_cores(cgroups: Path = CGROUPS) -> int:
    """The cores whose time this process and those that it starts may take together."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min(cores, _read_quota(cgroups) or cores)


def stated_threads(environment: Mapping[str, str]) -> int | None:
    """The threads of a process that ``OMP_NUM_THREADS`` states; None if it states none."""
    first = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and int(first) > 0 else None


@contextmanager
def limit_threads(num_threads: int) -> Iterator[None]:
    """Let torch use `num_threads` threads in this thread, and restore its setting afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find_limit(environment: Mapping[str, str], cgroups: Path = CGROUPS) -> int | None:
    """The cores, rounded up, that this container's quota of CPU time amounts to.

    None without a quota, and where the environment states the number of threads.
    """
    if "OMP_NUM_THREADS" in environment:
        return None
    return _read_quota(cgroups)


def _read_quota(cgroups: Path) -> int | None:
    """The whole cores of a container's quota; None without one."""
    return _read_share((cgroups / "cpu.max",)) or _read_share(
        (cgroups / "cpu" / "cpu.cfs_quota_us", cgroups / "cpu" / "cpu.cfs_period_us")
    )


def _read_share(paths: tuple[Path, ...]) -> int | None:
    """Quota over period, from one file (cgroups 2) or two; "max" or -1 is no quota."""
    with suppress(OSError, ValueError):
        quota, period = map(int, " ".join(path.read_text() for path in paths).split())
        if quota > 0 and period > 0:
            return math.ceil(quota / period)
    return None
