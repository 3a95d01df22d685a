"""Wording shared by all reports: numbers, counts, settings, hardware."""

from collections.abc import Iterable

import pandas as pd

from rps_bench.engine.names import PLAIN
from rps_bench.reports.styles import ARCH_TITLES, DATASET_TITLES, TIMES


def count_of(number: int, noun: str) -> str:
    """A number with its noun, such as `1 run` or `3 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def name_setting(dataset: str, arch: str, image_size: int | None = None) -> str:
    """A dataset and architecture, such as `CIFAR-10, ResNet-20` or `CIFAR-10 at 16 px, ResNet-20`.

    The size is told where it is not the dataset's own.
    """
    size = "" if image_size is None else f" at {image_size} px"
    return f"{DATASET_TITLES.get(dataset, dataset)}{size}, {ARCH_TITLES.get(arch, arch)}"


def name_budget(epochs: Iterable[float], weight_decays: Iterable[float]) -> str:
    """The epochs and weight decays of some runs, such as `3 epochs, weight decay 0.0001`.

    What is not known (null) is left out.
    """
    counts, decays = (
        [f"{value:g}" for value in sorted({value for value in values if not pd.isna(value)})]
        for values in (epochs, weight_decays)
    )
    noun = "epoch" if counts == ["1"] else "epochs"
    parts = [f"{' or '.join(counts)} {noun}"] if counts else []
    parts += [f"weight decay {' or '.join(decays)}"] if decays else []
    return ", ".join(parts)


def name_arithmetic(precisions: Iterable[str], kernels: Iterable[str]) -> str:
    """The precisions and kernels of some runs; PyTorch's own kernels alone need no word."""
    sets = sorted(set(kernels))
    named = "" if sets == [PLAIN] else f", kernels {' and '.join(sets)}"
    return " and ".join(sorted(set(precisions))) + named


def name_hardware(runs: pd.DataFrame) -> "pd.Series[str]":
    """The hardware each run trained on, null if unknown: the GPU if it used one, else the CPU.

    `runs` needs `device`, `cpu_model`, `cpu_count` and `gpu_name`.
    """
    on_gpu = runs["device"].fillna("cpu").str.startswith("cuda")
    notes = ["" if pd.isna(count) else f" ({count} CPUs)" for count in runs["cpu_count"]]
    return (runs["cpu_model"] + notes).where(~on_gpu, runs["gpu_name"])


def format_ratio(value: float) -> str:
    """A compression to three digits, without decimals from 1000 on: 3.16x, 10x, 1000x."""
    return format_number(value) + TIMES


def format_number(value: float) -> str:
    """A number to three digits, without decimals from 1000 on."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def format_bytes(value: float) -> str:
    """A file's size with a decimal prefix: 950 B, 34.9 kB, 1.09 MB."""
    return _with_prefix(value, " ", "B")


def format_count(value: float) -> str:
    """A large count with a decimal prefix: 950, 2.5 k, 40.8 M."""
    return _with_prefix(value, " ", "")


def _with_prefix(value: float, gap: str, unit: str) -> str:
    for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{gap}{prefix}{unit}"
    return f"{value:.3g}{gap if unit else ''}{unit}"
