"""Stale figures, of records that are gone: found by name and deleted."""

import re
from collections.abc import Iterable
from pathlib import Path

from rps_bench.datasets import DATASETS
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.figures.panels import slug
from rps_bench.reports.styles import ARCH_TITLES

RECIPES = ("paper", "paper_half", "quick", "smoke")

_SIZE_OR_NONE = r"(-[0-9]+px)?"  # of smaller images
_REST = r"[A-Za-z0-9._-]+\.(png|svg|pdf)"
_REST_OR_NONE = r"(-[A-Za-z0-9._-]+)?\.(png|svg|pdf)"


def remove_stale(folder: Path, results: Results, written: Iterable[Path]) -> list[Path]:
    """Delete files in `folder` that this package may have drawn and that are not in `written`.

    A file counts as ours if its name starts like our names, with a dataset and architecture (for a
    sheet: a recipe) that the package or the study knows. Returns the deleted files.
    """
    current = set(written)
    own_name = _match_own_names(results)
    stale = [
        path
        for path in sorted(folder.iterdir())
        if path not in current and path.is_file() and own_name.fullmatch(path.name)
    ]
    for path in stale:
        path.unlink(missing_ok=True)
    return stale


def _match_own_names(results: Results) -> re.Pattern[str]:
    datasets = _either([*DATASETS, *results.table["dataset"].unique()])
    archs = _either([*ARCH_TITLES, *results.table["arch"].unique()])
    recipes = _either([*RECIPES, *results.table["recipe"].unique()])
    kinds = "(pareto|curves|densities|init-std|rates|after|classes|rewinding)"
    return re.compile(
        f"{kinds}-{datasets}{_SIZE_OR_NONE}-{archs}-{_REST}"
        f"|(budgets|differences)-{datasets}{_SIZE_OR_NONE}-{archs}{_REST_OR_NONE}"
        f"|sheet-{recipes}{_REST_OR_NONE}",
        re.ASCII,
    )


def _either(names: Iterable[str]) -> str:
    return "(" + "|".join(sorted({re.escape(slug(name)) for name in names})) + ")"
