"""Tables of accuracies: the reduced study, longer training, rounding, and the claims on them."""

import pandas as pd

from scripts.bench.tables import Rows, write_markdown
from scripts.documents.sources import list_words, read_table, show_points

RPS, UNSCALED = "stable_rps", "stable_rps (scaling=none)"
COMPRESSIONS = (1.0, 10.0, 100.0)
HEADS = ("1x", "10x", "100x")
STORAGES = ("exact", "fp16", "bf16", "int8")
RIVALS = {
    "small": "narrower networks",
    "rand": "random pruning",
    "snip": "SNIP",
    "synflow": "SynFlow",
    "grasp": "GraSP",
    "mag": "magnitude pruning",
}
SIGNS = {"supported": " ✓", "contradicted": " ✗", "undecided": ""}


def write_accuracies() -> str:
    """Accuracy of every method at 1x, 10x and 100x, the best at 10x first."""
    summary = read_table("summary")
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
    """Accuracy after 15 epochs, and what stable_rps was and is behind or ahead by."""
    short, long = (_grid(read_table(name), "mean") for name in ("summary", "longer/summary"))
    order = long.sort_values("10x", ascending=False).index
    rows = [
        (
            method,
            *("" if pd.isna(long[head][method]) else f"{long[head][method]:.2f}" for head in HEADS),
            *(_show_lead(short[head], long[head], method) for head in HEADS[1:]),
        )
        for method in order
    ]
    leads = ("stable_rps minus it at 10x, 3 → 15 epochs", "at 100x")
    return write_markdown(Rows(("method", *HEADS, *leads), 1, rows))


def write_rounding() -> str:
    """Accuracy and bytes of the whole file, by method and storage."""
    summary = read_table("rounding/summary")
    summary[["name", "storage"]] = summary["method"].str.extract(r"(\w+)(?: \(storage=(\w+)\))?")
    cells = {
        (row.name, row.storage): f"{row.mean:.2f}, {row.stored_bytes:,.0f}"
        for row in summary.fillna({"storage": STORAGES[0]}).itertuples(index=False)
    }
    rows = [(method, *(cells[method, storage] for storage in STORAGES)) for method in (RPS, "mag")]
    return write_markdown(Rows(("method", *STORAGES), 1, rows))


def write_claims() -> str:
    """Each claim's difference at 1x, 10x and 100x, with interval, n and verdict."""
    claims = read_table("claims")
    claims = claims[claims["compression"].isin(COMPRESSIONS) & (claims["n"] > 0)]
    rows = []
    for statement, own in claims.groupby("statement", sort=False):
        cells = {row.compression: row for row in own.itertuples()}
        shown = [_show_claim(cells[c]) if c in cells else "" for c in COMPRESSIONS]
        counts = ", ".join(str(cells[c].n) for c in COMPRESSIONS if c in cells)
        rows.append((str(statement).rstrip("."), *shown, counts))
    return write_markdown(Rows(("claim", *HEADS, "n"), 1, rows))


def write_verdicts() -> str:
    """What the claims' tests decided, in one sentence."""
    claims = read_table("claims")
    claims = claims[claims["n"] > 0]
    decided = claims[claims["verdict"] != "undecided"]
    assert set(decided["method"]) == {RPS}
    places = [*_list_places(decided, "above", 1), *_list_places(decided, "below", -1)]
    return (
        f"With {decided['n'].min()} seeds, and all {2 * claims['p_value'].notna().sum()} tests"
        f" corrected together, stable_rps is {list_words(places)}; the other"
        f" {len(claims) - len(decided)} comparisons of the paper's claims are undecided."
    )


def _list_places(rows: pd.DataFrame, word: str, sign: int) -> list[str]:
    """Such as "below SNIP and SynFlow at 10x": rivals that share their compressions, together."""
    rows = rows[rows["difference"] * sign > 0].sort_values("compression")
    places = rows.groupby("rival", sort=False)["compression"].agg(list)
    rivals: dict[str, list[str]] = {}
    for rival, own in places.items():
        place = " and ".join(f"{compression:g}x" for compression in own)
        rivals.setdefault(place, []).append(RIVALS.get(str(rival), str(rival)))
    return [f"{word} {list_words(names)} at {place}" for place, names in rivals.items()]


def _grid(summary: pd.DataFrame, column: str) -> pd.DataFrame:
    shown = summary[summary["compression"].isin(COMPRESSIONS)]
    grid = shown.pivot_table(index="method", columns="compression", values=column)
    return grid.rename(columns=dict(zip(COMPRESSIONS, HEADS, strict=True)))


def _show_accuracy(row: object) -> str:
    mean, std = getattr(row, "mean"), getattr(row, "std")  # noqa: B009
    return f"{mean:.2f}" + ("" if pd.isna(std) else f" ± {std:.2f}")


def _show_lead(short: pd.Series, long: pd.Series, method: str) -> str:
    if method == RPS or pd.isna(long[method]):
        return ""
    after = show_points(long[RPS] - long[method])
    before = short.get(method)
    return (
        f"after 15: {after}" if pd.isna(before) else f"{show_points(short[RPS] - before)} → {after}"
    )


def _show_claim(row: object) -> str:
    low, high, difference, verdict = (
        getattr(row, name) for name in ("low", "high", "difference", "verdict")
    )
    interval = "" if pd.isna(low) else f" ({show_points(low)} to {show_points(high)})"
    return show_points(difference) + interval + SIGNS[verdict]
