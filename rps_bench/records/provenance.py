"""Provenance of a result: code, libraries and hardware, and nothing that names a person.

No host name, user or paths, and of the environment only how threads wait. torch is imported inside
functions, so that reading records stays fast.
"""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from rps_bench import __version__
from rps_bench.runtime.waiting import stated_waiting

LIBRARIES = ("torch", "torchvision", "hydra-core", "numpy")
GIT_TIMEOUT_SECONDS = (
    120  # enough for a busy machine or file system; without an answer the commit is missing
)

_CHECKOUT = Path(__file__).resolve().parents[2]
# The files that a result depends on; changed results and notes do not make the code dirty.
_CODE = ("rps_bench", "conf", "pyproject.toml")


def collect_provenance(kernels_build: str | None = None) -> dict[str, Any]:
    """A JSON-ready dict with code, versions, hardware and the UTC time of the call.

    Keys: `started_at`, `git_commit`, `git_dirty`, `package_version`, `python`, `versions`,
    `platform`, `cpu_model`, `cpu_count`, `num_threads`, `waiting` (environment variables on how
    threads wait, if any), `gpu_name`, `deterministic`, `kernels_build`. Unknown values are None.

    Args:
        kernels_build: The library of the kernels that the run trains by, if it has one.
    """
    commit, is_dirty = _describe_own_checkout()
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": commit,
        "git_dirty": is_dirty,
        "package_version": __version__,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu_model": _cpu_model(),
        "cpu_count": _count_cpus(),
        "num_threads": _count_threads(),
        "waiting": stated_waiting(os.environ),
        "gpu_name": _gpu_name(),
        "deterministic": _is_deterministic(),
        "kernels_build": kernels_build,
    }


@cache
def _describe_own_checkout() -> tuple[str | None, bool | None]:
    """The commit of this process's code, read once: later changes of files do not affect it."""
    return describe_checkout(_CHECKOUT)


def describe_checkout(folder: Path) -> tuple[str | None, bool | None]:
    """The commit, and whether the code differs from it, if `folder` is the top of a git checkout.

    (None, None) for anything else: an installed package, a folder inside another project's
    checkout, a checkout without commits, a machine without git.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != folder.resolve():
        return None, None
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None, None
    changes = _git(folder, "status", "--porcelain", "--", *_CODE)
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    """The output of git, None if it fails. Never prompts, never takes a lock."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


@cache
def _version(distribution: str) -> str | None:
    """A package's version, looked up once: every look-up caches a list of changed folders anew."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or None


def _count_cpus() -> int | None:
    """The number of CPUs this process may use, which a container may restrict."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _count_threads() -> int:
    import torch

    return torch.get_num_threads()


def _gpu_name() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _is_deterministic() -> bool:
    """Whether PyTorch is restricted to deterministic algorithms."""
    import torch

    return torch.are_deterministic_algorithms_enabled()
