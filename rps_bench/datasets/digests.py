"""Content digests of sets of files, remembered so that unchanged files are read only once.

A set is recognised by its stat signature: name, size, inode, and the nanosecond times of the last
change of content and of metadata. While the signature stays the same, the remembered digest is
used; otherwise all bytes are hashed again. Programs cannot set the metadata time back, so a changed
file is noticed even if its size and date are kept.
"""

import hashlib
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rps_bench.core.atomic import write_text

# Files changed more recently may change again within the clock's resolution: not remembered yet.
_SETTLE_SECONDS = 2.0


def content_digest(folder: Path, files: Iterable[Path], memory: Path) -> str:
    """SHA-256 over the names (relative to ``folder``) and contents of files, as hex.

    Args:
        folder: The folder of the files.
        files: Any number of files below ``folder``.
        memory: A folder with one small file per known set.

    Raises:
        OSError: A file cannot be read.
    """
    files = tuple(files)
    signature = stat_signature(folder, files)
    note = memory / signature
    if note.is_file() and len(remembered := note.read_text()) == 64:
        return remembered
    digest = hash_files(folder, files)
    if time.time() - max(path.stat().st_ctime for path in files) > _SETTLE_SECONDS:
        remember_digest(memory, signature, digest)
    return digest


def remember_digest(memory: Path, signature: str, digest: str) -> None:
    """Store the content digest of the files with this stat signature.

    If it cannot be stored, the files are hashed again next time.
    """
    with suppress(OSError):
        write_text(memory / signature, digest)


def stat_signature(folder: Path, files: Iterable[Path]) -> str:
    """Hex digest of the file system's metadata of the files, without reading them."""
    signature = hashlib.sha256()
    for path in files:
        stat = path.stat()
        facts = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        signature.update(f"{path.relative_to(folder)}\0{facts}\n".encode())
    return signature.hexdigest()


def hash_files(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 over names and contents, reading every byte."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder)}\0{digest}\n".encode())
    return total.hexdigest()
