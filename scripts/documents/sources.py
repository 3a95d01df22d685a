"""The committed files that the tables are written from, and numbers as they are shown."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

RESULTS = Path(__file__).resolve().parents[2] / "results"
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"


def read_table(name: str) -> pd.DataFrame:
    """A CSV file below ``results/``, named without its ending."""
    return pd.read_csv(RESULTS / f"{name}.csv")


def read_json(name: str) -> dict[str, Any]:
    """A JSON file below ``results/``, named without its ending."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def read_benchmarks() -> list[dict[str, Any]]:
    """What ``make bench`` measured, by machine; files of ``make check-gpu`` lie beside them."""
    names = sorted(path.stem for path in (RESULTS / "benchmarks").glob("*.json"))
    return [read_json(f"benchmarks/{name}") for name in names if not name.startswith("check-")]


def show_points(value: float, decimals: int = 1) -> str:
    """A difference of accuracies with its sign."""
    return f"{value + 0.0:+.{decimals}f}".replace("-", MINUS)


def show_accuracy(mean: float, std: float) -> str:
    """A mean with its standard deviation, where there is one."""
    return f"{mean:.2f}" + ("" if pd.isna(std) else f" ± {std:.2f}")


def list_words(words: list[str]) -> str:
    """``a``, ``a and b`` or ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
