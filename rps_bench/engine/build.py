"""Compiles the native kernels, once for each processor, compiler and source.

The library lies in the user's cache folder under a name made of all that it depends on, so nothing
is ever built over. One process builds it while others wait; it appears whole or not at all. It is
compiled without OpenMP: it runs in the threads of the runtime that PyTorch has loaded (see
``native.py``), never in those of a second one.
"""

import hashlib
import os
import platform
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from rps_bench.core.atomic import TEMPORARY_SUFFIX
from rps_bench.core.cache_folder import user_cache_folder
from rps_bench.core.permissions import make_folder
from rps_bench.runtime.locks import hold, make_lock

SOURCE = Path(__file__).with_name("kernels.cpp")
COMPILERS = ("c++", "g++", "clang++")
# No -ffast-math: numbers that are not finite must stay so, and sums keep their order.
FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-ffp-contract=fast", "-fPIC", "-shared")
COMPILE_SECONDS = 600  # a busy machine; measured: 4 on one at rest


class CannotBuildError(Exception):
    """Why there are no native kernels on this machine, in one line."""


def build_library(say: Callable[[str], object]) -> Path:
    """The compiled kernels, compiled first where that was not done.

    Args:
        say: Takes a line for the user where it takes seconds.

    Raises:
        CannotBuildError: No compiler, one that fails, or a cache that takes no more.
    """
    compiler = find_compiler()
    flags = (*FLAGS, *_processor_flags())
    name = f"kernels-{_digest(compiler, flags)}.so"
    try:
        folder = make_folder(user_cache_folder() / "kernels")
        path = folder / name
        if not path.is_file():
            with hold(make_lock(folder / "building.lock")):
                if not path.is_file():
                    say("compiling the native kernels, once")
                    _compile(compiler, flags, path)
    except OSError as error:
        raise CannotBuildError(f"{error.filename or 'cache'}: {error.strerror}") from error
    return path


def find_compiler() -> list[str]:
    """The words that call a C++ compiler: those of CXX, else the system's.

    Raises:
        CannotBuildError: There is none.
    """
    named = shlex.split(os.environ.get("CXX", ""))
    for words in [named] if named else [[name] for name in COMPILERS]:
        found = shutil.which(words[0])
        if found is not None:
            return [found, *words[1:]]
    raise CannotBuildError(f"no C++ compiler {named[0]} (CXX)" if named else "no C++ compiler")


def _compile(compiler: list[str], flags: tuple[str, ...], path: Path) -> None:
    temporary = path.with_name(f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        _run([*compiler, *flags, str(SOURCE), "-o", str(temporary)])
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _run(words: list[str]) -> str:
    """What a command prints; CannotBuildError if it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMPILE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise CannotBuildError(f"{words[0]} took longer than {COMPILE_SECONDS} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        reason = (lines or done.stderr.splitlines() or [f"status {done.returncode}"])[0]
        raise CannotBuildError(f"{words[0]} fails: {reason.strip()}")
    return done.stdout


def _processor_flags() -> tuple[str, ...]:
    """The flag for all that this processor can do; none where compilers have none."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64", "i686"):
        return ("-march=native",)
    return ("-mcpu=native",) if machine in ("aarch64", "arm64", "ppc64le") else ()


def _digest(compiler: list[str], flags: tuple[str, ...]) -> str:
    """A name for all that the library depends on."""
    parts = [SOURCE.read_text(), os.path.realpath(compiler[0]), _run([*compiler, "--version"])]
    parts += [*flags, platform.system(), platform.machine(), _processor()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _processor() -> str:
    """What the processor can do, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    telling = ("flags", "Features", "CPU implementer", "CPU part", "isa")
    return "\n".join(sorted({line for line in lines if line.split("\t")[0].strip() in telling}))
