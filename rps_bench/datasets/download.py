"""Download of one file over HTTP: checked, retried, and in place only when complete."""

import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from rps_bench.core.permissions import follow_folder

_CHUNK_BYTES = 1 << 18
_LASTING_STATUSES = (400, 401, 403, 404, 410)  # retrying cannot help


@dataclass(frozen=True)
class DownloadPolicy:
    """The addresses to download from, timeouts and retries."""

    hub_url: str = "https://huggingface.co"
    archive_url: str | None = None  # None: the official address of the archive
    timeout_seconds: float = 30.0  # without receiving a byte
    num_tries: int = 3
    backoff_seconds: float = 0.5  # before the second try; doubled each time


@dataclass(frozen=True)
class Expected:
    """The expected properties of a file; None if not known beforehand."""

    size_bytes: int | None = None
    algorithm: str = "sha256"
    digest: str | None = None  # hex


class DownloadError(Exception):
    """A download that failed for good; the message gives the address and the reason."""


def fetch(url: str, target: Path, expected: Expected, policy: DownloadPolicy) -> None:
    """Download ``url`` to ``target``, which appears only when all checks pass.

    Raises:
        DownloadError: After all tries, or at once if retrying cannot help.
    """
    partial = target.with_name(f".{target.name}.part")
    reason = ""
    try:
        for number in range(policy.num_tries):
            if number > 0:
                time.sleep(policy.backoff_seconds * 2 ** (number - 1))
            try:
                _fetch_once(url, partial, expected, policy.timeout_seconds)
            except urllib.error.HTTPError as error:
                error.close()
                reason = f"HTTP status {error.code}"
                if error.code in _LASTING_STATUSES:
                    break
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = _describe(error)
            else:
                follow_folder(partial)
                partial.replace(target)
                return
    finally:
        partial.unlink(missing_ok=True)
    raise DownloadError(f"{url} ({reason})")


def _fetch_once(url: str, partial: Path, expected: Expected, timeout_seconds: float) -> None:
    """Try once; raises a ValueError if the bytes are not the expected ones."""
    hasher = hashlib.new(expected.algorithm, usedforsecurity=False)
    request = urllib.request.Request(url, headers={"User-Agent": "rps_bench"})
    with (
        urllib.request.urlopen(request, timeout=timeout_seconds) as response,
        partial.open("wb") as file,
    ):
        size = expected.size_bytes or _declared_size(response)
        received = 0
        with _progress(Path(url).name, size) as advance:
            while chunk := response.read(_CHUNK_BYTES):
                received += len(chunk)
                if size is not None and received > size:
                    raise ValueError(f"expected {size} bytes, found more")
                hasher.update(chunk)
                file.write(chunk)
                advance(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if size is not None and received != size:
        raise ValueError(f"expected {size} bytes, found {received}")
    if expected.digest is not None and hasher.hexdigest() != expected.digest:
        raise ValueError(
            f"expected {expected.algorithm} {expected.digest}, found {hasher.hexdigest()}"
        )


def _declared_size(response: Any) -> int | None:
    declared = response.headers.get("Content-Length")
    return int(declared) if declared else None


def _describe(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(error).__name__


@contextmanager
def _progress(label: str, size: int | None) -> Iterator[Any]:
    """A progress bar on stderr if that is a terminal; yields the function that advances it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(label, total=size)
        yield lambda num_bytes: progress.advance(task, num_bytes)
