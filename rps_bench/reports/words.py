"""Words that every report says the same way: numbers, counts, settings, hardware."""

import pandas as pd

from rps_bench.reports.styles import ARCH_TITLES, DATASET_TITLES, TIMES


def count_of(number: int, noun: str) -> str:
    """Return such as `1 run` or `3 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def name_setting(dataset: str, arch: str) -> str:
    """Return such as `CIFAR-10, ResNet-20`."""
    return f"{DATASET_TITLES.get(dataset, dataset)}, {ARCH_TITLES.get(arch, arch)}"


def name_hardware(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return what each run trained on, null where unknown: the GPU if it was on one, else the CPU.

    `runs` with `device`, `cpu_model`, `cpu_count`, `gpu_name`.
    """
    on_gpu = runs["device"].fillna("cpu").str.startswith("cuda")
    notes = ["" if pd.isna(count) else f" ({count} CPUs)" for count in runs["cpu_count"]]
    return (runs["cpu_model"] + notes).where(~on_gpu, runs["gpu_name"])


def format_ratio(value: float) -> str:
    """Write a compression to three digits, whole from a thousand on: 3.16x, 10x, 1000x."""
    return format_number(value) + TIMES


def format_number(value: float) -> str:
    """Write a number to three digits, whole from a thousand on."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def format_bytes(value: float) -> str:
    """Write a file's size with a decimal prefix: 950 B, 34.9 kB, 1.09 MB."""
    return _with_prefix(value, " ", "B")


def format_count(value: float) -> str:
    """Write a large count with a decimal prefix: 950, 2.5 k, 40.8 M."""
    return _with_prefix(value, " ", "")


def _with_prefix(value: float, gap: str, unit: str) -> str:
    for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{gap}{prefix}{unit}"
    return f"{value:.3g}{gap if unit else ''}{unit}"
