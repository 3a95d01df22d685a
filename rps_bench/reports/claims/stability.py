"""The claim about divergence: one method diverges for some value of an option, another never."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from rps_bench.reports.analysis.runs import ARITHMETIC_KEYS
from rps_bench.reports.claims.declared import Stability
from rps_bench.reports.claims.outcomes import GROUP_KEYS, list_groups

SETTING_KEYS = ["value", "compression", "seed"]


def judge_stability(outcomes: pd.DataFrame, claim: Stability) -> list[dict[str, Any]]:
    """One row per experiment and arithmetic, over all its compressions together.

    A setting is a value of the option, a compression and a seed. It is covered if both methods
    completed or diverged there, with all their other options at the defaults.

    - contradicted: ``method`` diverged at a covered setting;
    - supported: considering only compressions with enough covered values (``least_values`` of them,
      with a ratio of ``least_span`` between the extremes), ``rival`` diverged at least once, and
      ``method`` diverged nowhere, not even where only it was tried;
    - undecided otherwise.

    Divergence is observed or not, so there is no p value. `n` counts covered settings.
    """
    studied = _select_varied(outcomes, claim)
    by_group = dict(iter(studied.groupby(GROUP_KEYS, dropna=False)))
    empty = studied.iloc[:0]
    rows = []
    for key in list_groups(outcomes).itertuples(index=False, name=None):
        runs = by_group.get(key, empty)
        covered = _cover(runs, claim)
        verdict, reason = _judge(runs, covered, claim)
        head = {"claim": claim.name, "statement": claim.statement}
        sides = {"method": claim.method, "rival": claim.rival}
        tail = {"verdict": verdict, "uncorrected": verdict, "n": len(covered), "reason": reason}
        rows.append({**head, **dict(zip(GROUP_KEYS, key, strict=True)), **sides, **tail})
    return rows


def changed_options(label: str, method: str, *arithmetic: str) -> frozenset[str]:
    """The option names in a curve's label: `roast (init_std=1, bf16)` gives `init_std`.

    Precision and kernels are no options of the method: labels name them if an experiment has
    several.
    """
    notes = label.removeprefix(method).strip().removeprefix("(").removesuffix(")")
    return frozenset(
        note.partition("=")[0] for note in notes.split(", ") if note and note not in arithmetic
    )


def _select_varied(outcomes: pd.DataFrame, claim: Stability) -> pd.DataFrame:
    """The outcomes of both methods that vary no other option; its value is a column `value`."""
    column = f"method.{claim.option}"
    values = outcomes[column] if column in outcomes else float("nan")
    runs = outcomes.assign(
        value=pd.to_numeric(pd.Series(values, index=outcomes.index), errors="coerce")
    )
    is_meant = runs["method"].isin([claim.method, claim.rival]) & ~runs["has_failed"]
    runs = runs[is_meant & runs["value"].notna()]
    # Labels name all non-default options: keep the runs that changed the varied one at most.
    columns = ["label", "method", *ARITHMETIC_KEYS]
    is_alone = [
        changed_options(*names) <= {claim.option}
        for names in zip(*(runs[key] for key in columns), strict=True)
    ]
    return runs[pd.Series(is_alone, index=runs.index, dtype=bool)]


def _cover(runs: pd.DataFrame, claim: Stability) -> pd.DataFrame:
    """The covered settings: `SETTING_KEYS`, `has_diverged` and `has_diverged_rival`."""
    columns = [*SETTING_KEYS, "has_diverged"]
    own, rival = (runs.loc[runs["method"] == name, columns] for name in (claim.method, claim.rival))
    return own.merge(rival, on=SETTING_KEYS, suffixes=("", "_rival"))


def _judge(runs: pd.DataFrame, covered: pd.DataFrame, claim: Stability) -> tuple[str, str]:
    """The verdict on one experiment and the reason."""
    lacking = [name for name in (claim.method, claim.rival) if name not in set(runs["method"])]
    if lacking:
        return "undecided", f"no runs of {' and '.join(lacking)}"
    # One divergence of the method refutes the claim; the rest asks whether enough was tried.
    own = covered[covered["has_diverged"]]
    if len(own):
        return "contradicted", f"{claim.method} diverged {_list_settings(own, claim)}"
    enough = covered[covered["compression"].isin(_find_enough(covered, claim))]
    if enough.empty:
        return "undecided", _say_too_few(covered, claim)
    alone = runs[(runs["method"] == claim.method) & runs["has_diverged"]]
    if len(alone):
        where = _list_settings(alone, claim)
        return "undecided", f"{claim.method} diverged {where}, where {claim.rival} was not tried"
    lost = enough[enough["has_diverged_rival"]]
    scope = f"{len(enough)} settings tried on both"
    if lost.empty:
        return "undecided", f"neither diverged in {scope}"
    never = f"{claim.method} in none of {scope}"
    return "supported", f"{claim.rival} diverged {_list_settings(lost, claim)}; {never}"


def _find_enough(covered: pd.DataFrame, claim: Stability) -> list[float]:
    """The compressions at which enough values, far enough apart, were tried on both methods."""
    spans = covered.groupby("compression")["value"].agg(["nunique", "min", "max"])
    wide = spans["max"] >= spans["min"] * claim.least_span * (1 - 1e-9)  # for rounded values
    return [float(c) for c in spans.index[(spans["nunique"] >= claim.least_values) & wide]]


def _say_too_few(covered: pd.DataFrame, claim: Stability) -> str:
    values = _list_numbers(covered["value"]) or "none"
    needed = f"at least {claim.least_values} at one compression, {claim.least_span:g}x apart"
    return f"{claim.option} tried on both: {values}; needed: {needed}"


def _list_settings(runs: pd.DataFrame, claim: Stability) -> str:
    values, places = _list_numbers(runs["value"]), _list_numbers(runs["compression"], "x")
    noun = "run" if len(runs) == 1 else "runs"
    return f"for {claim.option} {values} at {places} ({len(runs)} {noun})"


def _list_numbers(values: Iterable[float], unit: str = "") -> str:
    return ", ".join(f"{value:g}{unit}" for value in sorted(set(values)))
