"""How many threads torch uses: no more than the cores whose time this process may take.

torch counts the cores that a process may run on. A container that may use two of 64 only by its
share of time (`docker run --cpus=2`, limits of Kubernetes) it does not see: 64 threads then use up
that share at once and all stand still until the next one.
"""

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")  # as a container sees its own


def set_threads(wanted: int | None) -> None:
    """Let torch use so many threads in this process; None: what it has, within the limit."""
    limit = wanted or find_limit(os.environ)
    if limit is None:
        return
    import torch

    torch.set_num_threads(wanted or min(limit, torch.get_num_threads()))


def find_limit(environment: Mapping[str, str], cgroups: Path = CGROUPS) -> int | None:
    """Cores, rounded up, that the share of time amounts to.

    None without such a limit, and where the environment states the number of threads.
    """
    if "OMP_NUM_THREADS" in environment:
        return None
    return _read_share((cgroups / "cpu.max",)) or _read_share(
        (cgroups / "cpu" / "cpu.cfs_quota_us", cgroups / "cpu" / "cpu.cfs_period_us")
    )


def _read_share(paths: tuple[Path, ...]) -> int | None:
    """Quota by period, of one file (cgroups 2) or two; "max" or -1 is no quota."""
    with suppress(OSError, ValueError):
        quota, period = map(int, " ".join(path.read_text() for path in paths).split())
        if quota > 0 and period > 0:
            return math.ceil(quota / period)
    return None
