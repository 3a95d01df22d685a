"""Tables of accuracies: the reduced study, longer training, rounding, and the claims on them.

Experiments of one folder never share a table: each has its own, under its name.
"""

from typing import Any

import pandas as pd

from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS
from rps_bench.reports.analysis.statistics import interval_margin
from rps_bench.reports.claims import CLAIMS
from rps_bench.reports.claims.declared import Comparison
from scripts.bench.tables import Rows, write_markdown
from scripts.documents.experiments import find_alike, split_experiments, write_each
from scripts.documents.sources import list_words, read_table, show_accuracy, show_points

RPS, UNSCALED = "stable_rps", "stable_rps (scaling=none)"
COMPRESSIONS = (1.0, 10.0, 100.0)
HEADS = ("1x", "10x", "100x")
SETS = ("plain", "native")
STORAGES = ("exact", "fp16", "bf16", "int8")
RIVALS = {
    "small": "narrower networks",
    "rand": "random pruning",
    "snip": "SNIP",
    "synflow": "SynFlow",
    "grasp": "GraSP",
    "mag": "magnitude pruning",
    "dense": "the dense model",
}
DIRECTIONS = {claim.name: claim.direction for claim in CLAIMS if isinstance(claim, Comparison)}
SIDES = ("above", "at or above", "level with", "not below", "below")
SIGNS = {"supported": " ✓", "contradicted": " ✗", "undecided": ""}


def write_accuracies() -> str:
    """Accuracy of every method at 1x, 10x and 100x, the best at 10x first."""
    return write_each(read_table("summary"), _write_accuracies)


def _write_accuracies(summary: pd.DataFrame) -> str:
    means = _grid(summary, "mean")
    shown = summary[summary["compression"].isin(COMPRESSIONS)]
    cells = {(row.method, row.compression): _show_accuracy(row) for row in shown.itertuples()}
    order = means.sort_values("10x", ascending=False).index
    rows = [
        (method, *(cells.get((method, compression), "") for compression in COMPRESSIONS))
        for method in order
    ]
    return write_markdown(Rows(("method", *HEADS), 1, rows))


def write_longer() -> str:
    """Accuracy after more epochs, and what stable_rps was and is behind or ahead by."""
    return write_each(read_table("longer/summary"), _write_longer)


def _write_longer(summary: pd.DataFrame) -> str:
    before = find_alike(summary, read_table("summary"))
    few, many = (f"{rows['planned_epochs'].iloc[0]:g}" for rows in (before, summary))
    short, long = _grid(before, "mean"), _grid(summary, "mean")
    order = long.sort_values("10x", ascending=False).index
    rows = [
        (
            method,
            *("" if pd.isna(long[head][method]) else f"{long[head][method]:.2f}" for head in HEADS),
            *(_show_lead(short[head], long[head], method, many) for head in HEADS[1:]),
        )
        for method in order
    ]
    leads = (f"stable_rps minus it at 10x, {few} → {many} epochs", "at 100x")
    return write_markdown(Rows(("method", *HEADS, *leads), 1, rows))


def write_kernels() -> str:
    """Accuracy by compiled kernels beside that by PyTorch's own, and their difference by seed."""
    runs = read_table("kernels/table")
    runs["set"] = runs["kernels"].str.partition("-")[0]
    rows = []
    for precision, own in runs.groupby("precision"):
        by_seed = own.pivot(index="seed", columns="set", values="test_accuracy")
        difference = by_seed["native"] - by_seed["plain"]
        num_seeds = len(difference)
        margin = interval_margin(pd.Series([difference.std()]), pd.Series([num_seeds])).iloc[0]
        mean = difference.mean()
        center, low, high = (show_points(x, 2) for x in (mean, mean - margin, mean + margin))
        means = (f"{by_seed[name].mean():.2f} ± {by_seed[name].std():.2f}" for name in SETS)
        rows.append((str(precision), *means, f"{center} ({low} to {high})", str(num_seeds)))
    return write_markdown(Rows(("precision", *SETS, "native minus plain", "seeds"), 1, rows))


def write_rounding() -> str:
    """Accuracy and bytes of the whole file, by method and storage."""
    return write_each(read_table("rounding/summary"), _write_rounding)


def _write_rounding(summary: pd.DataFrame) -> str:
    parts = summary["method"].str.extract(r"(?P<name>\w+)(?: \(storage=(?P<storage>\w+)\))?")
    summary = summary.assign(name=parts["name"], storage=parts["storage"])
    cells = {
        (row.name, row.storage): f"{row.mean:.2f}, {row.stored_bytes:,.0f}"
        for row in summary.fillna({"storage": STORAGES[0]}).itertuples(index=False)
    }
    rows = [(method, *(cells[method, storage] for storage in STORAGES)) for method in (RPS, "mag")]
    return write_markdown(Rows(("method", *STORAGES), 1, rows))


def write_claims(name: str = "claims") -> str:
    """Each claim's difference at 1x, 10x and 100x, with interval, n and verdict."""
    claims = read_table(name)
    seen = claims[claims["compression"].isin(COMPRESSIONS) & (claims["n"] > 0)]
    return write_each(seen, _write_claims)


def _write_claims(claims: pd.DataFrame) -> str:
    rows = []
    for statement, own in claims.groupby("statement", sort=False):
        cells = {row.compression: row for row in own.itertuples()}
        shown = [_show_claim(cells[c]) if c in cells else "" for c in COMPRESSIONS]
        counts = ", ".join(str(cells[c].n) for c in COMPRESSIONS if c in cells)
        rows.append((str(statement).rstrip("."), *shown, counts))
    return write_markdown(Rows(("claim", *HEADS, "n"), 1, rows))


def write_verdicts(name: str = "claims") -> str:
    """What the claims' tests decided: one sentence for each experiment, with its budget."""
    claims = read_table(name)
    tests = 2 * claims.groupby(EXPERIMENT_KEYS, dropna=False)["p_value"].transform("count")
    sentences = [
        f"{name}: {_write_decided(own[own['n'] > 0])}"
        for name, own in split_experiments(claims.assign(num_tests=tests))
        if (own["n"] > 0).any()
    ]
    return sentences[0] if len(sentences) == 1 else "\n".join(f"- {text}" for text in sentences)


def _write_decided(claims: pd.DataFrame) -> str:
    decided = claims[claims["verdict"] != "undecided"]
    rest = f"{len(claims) - len(decided)} comparisons of the paper's claims are undecided."
    if decided.empty:
        return f"all {rest}"
    found = [
        f"{method} is {list_words(_list_places(own))}"
        for method, own in decided.dropna(subset=["compression"]).groupby("method", sort=False)
    ]
    seen = decided[decided["compression"].isna()]
    found += [
        f"“{statement.rstrip('.')}” is {verdict}"
        for statement, verdict in zip(seen["statement"], seen["verdict"], strict=True)
    ]
    return (
        f"with {decided['n'].min()} seeds, and all {claims['num_tests'].iloc[0]} tests corrected"
        f" together, {list_words(found)}; the other {rest}"
    )


def _list_places(rows: pd.DataFrame) -> list[str]:
    """Such as "below SNIP and SynFlow at 10x": rivals that share their compressions, together."""
    rows = rows.assign(word=[_name_side(row) for row in rows.to_dict("records")])
    places = []
    for word in SIDES:
        own = rows[rows["word"] == word].sort_values("compression")
        rivals: dict[str, list[str]] = {}
        for rival, compressions in (
            own.groupby("rival", sort=False)["compression"].agg(list).items()
        ):
            place = " and ".join(f"{compression:g}x" for compression in compressions)
            rivals.setdefault(place, []).append(RIVALS.get(str(rival), str(rival)))
        places += [f"{word} {list_words(names)} at {place}" for place, names in rivals.items()]
    return places


def _name_side(row: dict[Any, Any]) -> str:
    """Where a decided difference lies, as far as its claim's test says."""
    direction, is_supported = DIRECTIONS[row["claim"]], row["verdict"] == "supported"
    if direction == "equal" and is_supported:
        return "level with"
    if direction == "at_or_above" and is_supported and row["low"] <= 0:
        return "at or above"  # no worse than the margin, and not known to be better
    if direction == "below" and not is_supported and row["low"] <= 0:
        return "not below"
    return "above" if row["difference"] > 0 else "below"


def _grid(summary: pd.DataFrame, column: str) -> pd.DataFrame:
    shown = summary[summary["compression"].isin(COMPRESSIONS)]
    grid = shown.pivot_table(index="method", columns="compression", values=column)
    named = grid.rename(columns=dict(zip(COMPRESSIONS, HEADS, strict=True)))
    return named.reindex(columns=list(HEADS))


def _show_accuracy(row: object) -> str:
    return show_accuracy(getattr(row, "mean"), getattr(row, "std"))  # noqa: B009


def _show_lead(short: pd.Series, long: pd.Series, method: str, epochs: str) -> str:
    if method == RPS or pd.isna(long[method]):
        return ""
    after = show_points(long[RPS] - long[method])
    before = short.get(method)
    return (
        f"after {epochs}: {after}"
        if pd.isna(before)
        else f"{show_points(short[RPS] - before)} → {after}"
    )


def _show_claim(row: object) -> str:
    low, high, difference, verdict = (
        getattr(row, name) for name in ("low", "high", "difference", "verdict")
    )
    interval = "" if pd.isna(low) else f" ({show_points(low)} to {show_points(high)})"
    return show_points(difference) + interval + SIGNS[verdict]
