"""Which precision a device gets, and what the context does."""

from pathlib import Path

import pytest
import torch

from rps_bench.training.precision import autocast, resolve_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def fake_flags(monkeypatch: pytest.MonkeyPatch, flags: str | None) -> None:
    """Let /proc/cpuinfo hold these flags; None: there is no such file."""

    def read_text(path: Path, *args: object, **options: object) -> str:
        assert str(path) == "/proc/cpuinfo"
        if flags is None:
            raise FileNotFoundError(path)
        return f"processor : 0\nflags\t\t: fpu vme {flags} sse2\n"

    monkeypatch.setattr(Path, "read_text", read_text)


@pytest.mark.parametrize("requested", ["fp32", "bf16"])
@pytest.mark.parametrize("device", [CPU, CUDA])
def test_an_explicit_precision_is_kept(
    requested: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    fake_flags(monkeypatch, "avx512_bf16")
    assert resolve_precision(requested, device) == requested


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 0), "fp32"), ((7, 5), "fp32"), ((8, 0), "bf16"), ((8, 6), "bf16"), ((10, 0), "bf16")],
)
def test_auto_on_a_gpu_follows_its_capability(
    capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_precision("auto", CUDA) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("avx512_bf16", "bf16"),
        ("amx_bf16 amx_tile", "bf16"),
        ("avx2 avx512f avx512bw", "fp32"),
        ("not_avx512_bf16_at_all", "fp32"),
        (None, "fp32"),
    ],
)
def test_auto_on_a_cpu_follows_its_flags(
    flags: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_flags(monkeypatch, flags)
    assert resolve_precision("auto", CPU) == expected


def test_auto_elsewhere_is_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_flags(monkeypatch, "avx512_bf16")
    assert resolve_precision("auto", torch.device("mps")) == "fp32"


def test_fp32_changes_no_arithmetic() -> None:
    ones = torch.ones(2, 2)
    with autocast("fp32", CPU):
        assert not torch.is_autocast_enabled("cpu")
        assert (ones @ ones).dtype == torch.float32


def test_bf16_multiplies_in_bf16_and_ends_with_its_context() -> None:
    ones = torch.ones(2, 2)
    with autocast("bf16", CPU):
        assert torch.is_autocast_enabled("cpu")
        assert (ones @ ones).dtype == torch.bfloat16
    assert not torch.is_autocast_enabled("cpu")
    assert (ones @ ones).dtype == torch.float32
