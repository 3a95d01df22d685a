"""Compiling the native kernels on a user's machine, and doing without them."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rps_bench.engine import build
from rps_bench.engine import native as native_module
from rps_bench.engine.build import CannotBuildError, build_library, find_compiler
from rps_bench.engine.choose import resolve_kernels
from rps_bench.engine.native import Native, loaded_native
from tests.conftest import Disk

CPU = torch.device("cpu")
has_compiler = any(shutil.which(name) for name in build.COMPILERS)
needs_compiler = pytest.mark.skipif(not has_compiler, reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a process that has loaded nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(native_module, "_loaded", [])
    monkeypatch.setattr(native_module, "_said", set())
    return tmp_path / "cache"


def fake_compiler(folder: Path, script: str) -> Path:
    """A compiler that does what a shell script says."""
    path = folder / "fake-c++"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def quick_compiler(
    native: Native, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A compiler that gives a copy of the library at once, and counts its calls in a file."""
    counted = tmp_path / "calls"
    counted.touch()
    script = f"""for last; do :; done
case "$1" in --version) echo quick;; *) echo call >> "{counted}"; sleep 0.2
exec cp "{native._library._name}" "$last";; esac"""
    monkeypatch.setenv("CXX", str(fake_compiler(tmp_path, script)))
    return counted


def libraries(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "rps_bench" / "kernels").glob("*.so"))


def test_the_library_is_built_once_and_stays(own_cache: Path, quick_compiler: Path) -> None:
    lines: list[str] = []
    path = build_library(lines.append)
    built = path.stat()
    assert build_library(lines.append) == path
    assert path.stat().st_mtime_ns == built.st_mtime_ns
    assert lines == ["compiling the native kernels, once"]
    assert libraries(own_cache) == [path.name]


@needs_compiler
def test_other_sources_and_compilers_are_other_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, flags = find_compiler(), ("-O3",)
    source = tmp_path / "kernels.cpp"
    source.write_text(build.SOURCE.read_text() + "// other\n")
    other = fake_compiler(tmp_path, "echo another compiler")
    names = {build._digest(compiler, flags), build._digest(compiler, ("-O2",))}
    names.add(build._digest([str(other)], flags))
    monkeypatch.setattr(build, "SOURCE", source)
    names.add(build._digest(compiler, flags))
    assert len(names) == 4


def test_processes_that_build_at_once_build_once(own_cache: Path, quick_compiler: Path) -> None:
    program = (
        "from rps_bench.engine.build import build_library\nprint(build_library(lambda line: None))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    paths = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(paths) == 1
    assert quick_compiler.read_text().split() == ["call"]
    assert len(libraries(own_cache)) == 1


def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PATH", "")
    return "no C++ compiler"


def missing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CXX", "no-such-compiler -m64")
    return "no C++ compiler no-such-compiler (CXX)"


def failing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    script = 'case "$1" in --version) ;; *) echo "fatal error: no header" >&2; exit 3;; esac'
    monkeypatch.setenv("CXX", str(fake_compiler(tmp_path, script)))
    return "fatal error: no header"


def compiler_that_writes_nonsense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    script = 'for last; do :; done\ncase "$1" in --version) ;; *) echo nonsense > "$last";; esac'
    monkeypatch.setenv("CXX", str(fake_compiler(tmp_path, script)))
    return "kernels-"


def cache_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "cache").write_text("")
    return "Not a directory"


WITHOUT = [
    no_compiler,
    missing_compiler,
    failing_compiler,
    compiler_that_writes_nonsense,
    cache_that_is_a_file,
]


@pytest.mark.parametrize("spoil", WITHOUT)
def test_without_a_library_products_are_used_with_one_line(
    spoil: Callable[[Path, pytest.MonkeyPatch], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_cache: Path,
) -> None:
    reason = spoil(tmp_path, monkeypatch)
    lines: list[str] = []
    assert resolve_kernels("native", CPU, lines.append).startswith("products-")
    assert resolve_kernels("native", CPU, lines.append).startswith("products-")
    said = [
        line for line in lines if line.startswith("kernels products-1 instead of native ones: ")
    ]
    assert len(said) == 1
    assert reason in said[0]
    assert "\n" not in said[0]
    assert resolve_kernels("auto", CPU, lines.append) == "plain"
    if own_cache.is_dir():
        assert not [path for path in own_cache.rglob("*") if path.suffix == ".tmp"]


def test_a_cache_that_is_read_only(
    quick_compiler: Path, monkeypatch: pytest.MonkeyPatch, small_disk: Disk
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk.folder)], check=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk.folder))
    with pytest.raises(CannotBuildError, match="Read-only file system"):
        build_library(lambda line: None)


def test_a_cache_that_is_full(
    quick_compiler: Path, monkeypatch: pytest.MonkeyPatch, small_disk: Disk
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk.folder))
    small_disk.fill(leave=8192)
    with pytest.raises(CannotBuildError):
        build_library(lambda line: None)
    assert libraries(small_disk.folder) == []
    small_disk.make_room()
    assert build_library(lambda line: None).is_file()


@needs_compiler
def test_a_library_that_computes_wrong_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = build.SOURCE.read_text()
    wrong = text.replace("out[0] = 4 * a - 5 * c + e;", "out[0] = 4 * a - 5 * c + 1.01f * e;")
    assert wrong != text
    source = tmp_path / "kernels.cpp"
    source.write_text(wrong)
    monkeypatch.setattr(build, "SOURCE", source)
    lines: list[str] = []
    assert resolve_kernels("native", CPU, lines.append).startswith("products-")
    assert "the compiled kernels are wrong" in lines[-1]


@needs_compiler
def test_processors_of_other_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without -march=native: what every processor of this architecture can do."""
    monkeypatch.setattr(build, "_processor_flags", lambda: ("-O1",))
    found = native_module.find_native("plain", lambda line: None)
    assert found is not None
    assert found.instructions in ("generic", "neon")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
@pytest.mark.parametrize("grad", [True, False])
def test_a_library_may_be_loaded_amid_a_pass(grad: bool, quick_compiler: Path) -> None:
    """The check computes in float32, whatever the pass around it does."""
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16):
        assert isinstance(loaded_native(), Native)


def test_only_one_openmp_runtime_is_loaded(quick_compiler: Path) -> None:
    program = """
import torch
from rps_bench.engine.native import find_native
torch.set_num_threads(2)
native = find_native("plain", print)
images = torch.randn(64, 32, 16, 16).contiguous(memory_format=torch.channels_last)
native.convolve(images, torch.randn(32, 32, 3, 3), None)
words = {word for word in open("/proc/self/maps").read().split() if word.startswith("/")}
kinds = ("libgomp", "libomp", "libiomp")
print(sorted(word for word in words if word.rpartition("/")[2].startswith(kinds)))
threads = [name for name in __import__("os").listdir("/proc/self/task")]
print(len(threads) > 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    _, runtimes, has_threads = done.stdout.splitlines()
    assert runtimes.count("'/") == 1
    assert has_threads == "True"
