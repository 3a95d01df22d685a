"""The page `claims.md`: how claims are judged, an overview of verdicts, every comparison."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS
from rps_bench.reports.analysis.statistics import CONFIDENCE
from rps_bench.reports.claims.evidence import LEVEL, errors_needed
from rps_bench.reports.claims.outcomes import GROUP_KEYS
from rps_bench.reports.claims.summary import COUNTS, pool_claims
from rps_bench.reports.claims.titles import title_group
from rps_bench.reports.claims.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, VERDICTS
from rps_bench.reports.styles import TIMES
from rps_bench.reports.tables.markdown import escape

PAPER = "[arXiv 2310.11611](https://arxiv.org/abs/2310.11611)"
MINUS = "\N{MINUS SIGN}"


def write_claims(claims: pd.DataFrame, margin: float) -> str:
    """The page for a table from `judge_claims`, which used this margin (points)."""
    parts = [
        f"# Claims of the paper, judged\n\nThe claims of {PAPER} on the records in this folder.",
        _describe_method(claims, margin),
        *_write_overview(claims),
        *_write_groups(claims, "Verdicts", _write_verdicts),
        *_write_unanswered(claims),
        *_write_groups(claims, "Every comparison", _write_comparisons),
    ]
    return "\n\n".join(parts) + "\n"


def _describe_method(claims: pd.DataFrame, margin: float) -> str:
    bound = 0.0 - margin
    percent = f"{CONFIDENCE:.0%}"
    lines = [
        "A *difference* is accuracy of the method minus accuracy of its rival, in points, averaged"
        " over seeds. Runs of one seed share init, data order and augmentation, so they are"
        f" compared in pairs; the interval is the plain {percent} t interval of that mean over"
        " n pairs.",
        f"Differences up to {margin:g} points (the margin) count as none: *at or above* means a"
        f" true difference above {bound:g}, *as accurate as* one within ±{margin:g}, *below* one"
        f" under {bound:g}. *Above* means above 0.",
        "Each comparison is tested twice, for the claim and against it, by one-sided paired"
        f" t tests (two of them for equality). {_name_families(claims)} are corrected together by"
        " the method of Benjamini and Hochberg: of the verdicts given on accuracy in an experiment,"
        f" at most {LEVEL:.0%} are expected to be wrong, as a mean over many such studies and over"
        " the whole experiment (rows or experiments picked by what they show are promised nothing)."
        " An experiment is one dataset at one image size, one architecture, one recipe with its"
        " epochs and other options, and one protocol. This holds for normal differences"
        " and tests that are independent or positively dependent, as comparisons that share a"
        " method are within a direction; the correction of Benjamini and Yekutieli needs no such"
        " condition, but would leave far more undecided.",
        f"**Supported**: corrected p below {LEVEL:g} for the claim. **Contradicted**: the same"
        " against it. **Undecided**: neither; one seed has no spread and never decides. Wherever"
        " a claim is supported (contradicted), the plain interval lies wholly inside (outside) what"
        " it allows; where such an interval does not survive the correction, undecided is marked"
        " (for) or (against): a leaning.",
        "A diverged run counts at chance level, a failed run not at all. Only default options of"
        " a method are compared, at equal nominal compression and precision; `small` stores at"
        " most 1/c of all parameters, so its true compression differs from that of the others.",
        f"{_describe_power(claims)}The claim about divergence is judged by what was"
        " seen, over all init stds, compressions and seeds tried on both methods; n counts these"
        " settings.",
    ]
    return "## How claims are judged\n\n" + "\n".join(f"- {line}" for line in lines)


def _name_families(claims: pd.DataFrame) -> str:
    """What is corrected together, with the number of tests."""
    counts = sorted(len(own) * 2 for own in _split_families(claims))
    if len(counts) < 2:
        return f"All {sum(counts)} tests of the experiment"
    number = f"{counts[0]} each" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
    return f"All tests of one experiment ({number})"


def _split_families(claims: pd.DataFrame) -> list[pd.DataFrame]:
    """The tested comparisons of each experiment, two tests each."""
    tested = claims[claims["p_value"].notna()]
    return [own for _, own in tested.groupby(EXPERIMENT_KEYS, dropna=False)]


def _describe_power(claims: pd.DataFrame) -> str:
    """Say what a verdict takes, alone and among others, with the present seeds and two more.

    It is said for the experiment with most tests.
    """
    families = _split_families(claims)
    if not families:
        return ""
    largest = max(families, key=lambda own: (len(own), own["n"].max()))
    num_tests, most = 2 * len(largest), int(largest["n"].max())
    where = f" in the experiment with most tests ({num_tests})" if len(families) > 1 else ""
    num_verdicts = (1, max(num_tests / 4, 1), num_tests / 2)  # there are num_tests / 2 comparisons
    now, later = (
        [f"{errors_needed(n, num_tests, number):,.1f}" for number in num_verdicts]
        for n in (most, most + 2)
    )
    return (
        f"With {most} seeds a difference{where} decides alone if it lies {now[0]} standard errors"
        f" beyond its bound (more against an equality), {now[1]} if half of the comparisons are"
        f" decided, {now[2]} if all are, as the plain interval asks; with {most + 2} seeds"
        f" {later[0]}, {later[1]} and {later[2]}. "
    )


def _write_groups(
    claims: pd.DataFrame, heading: str, write: Callable[[pd.DataFrame], str]
) -> Iterator[str]:
    """Yield the heading and a part per experiment that has anything to show."""
    parts = [
        f"### {escape(title_group(rows.iloc[0].to_dict()))}\n\n{text}"
        for rows in _split_groups(claims)
        if (text := write(rows))
    ]
    if parts:
        yield f"## {heading}"
        yield from parts


def _split_groups(claims: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the rows of each experiment by each arithmetic."""
    for _, rows in claims.dropna(subset=["dataset"]).groupby(GROUP_KEYS, dropna=False):
        yield rows


def _write_overview(claims: pd.DataFrame) -> Iterator[str]:
    """Yield a table that counts verdicts over all experiments that were trained alike."""
    for training, summary in pool_claims(claims):
        num_groups = len(summary.drop_duplicates(GROUP_KEYS))
        if num_groups > 1:
            yield f"## {num_groups} experiments together: {escape(training)}"
            yield from _write_counts(summary)


def _write_counts(summary: pd.DataFrame) -> Iterator[str]:
    counts = summary.groupby("statement", sort=False)[list(COUNTS)].sum()
    lines = [[escape(str(row[0])), *(str(n or "") for n in row[1:])] for row in counts.itertuples()]
    heads = [column.replace("_", " ") for column in COUNTS]
    yield (
        "How many compressions got each verdict. The last three columns are parts of *undecided*:"
        " leaning for or against, and without runs of both methods."
    )
    yield _table(["claim", *heads], lines, right=heads)


def _write_verdicts(rows: pd.DataFrame) -> str:
    """A table with a row per claim that lists the compressions of each verdict."""
    if not (rows["n"] > 0).any():
        return "No claim has runs of both its sides here."
    lines = []
    for statement, own in rows.groupby("statement", sort=False):
        has_data = own["n"] > 0
        cells = [_list_places(own[has_data & (own["verdict"] == verdict)]) for verdict in VERDICTS]
        lines.append([escape(str(statement)), *cells, _list_places(own[~has_data])])
    return _table(["claim", *VERDICTS, "no data"], lines)


def _write_comparisons(rows: pd.DataFrame) -> str:
    """A table with a row per comparison that has data, empty where there is none."""
    heads = ["claim", "compression", "verdict", "difference", f"{CONFIDENCE:.0%} interval", "n",
             "corrected p", "reason"]  # fmt: skip
    lines = [
        [
            f"`{row.claim}`",
            _write_place(row.compression),
            str(row.verdict),
            _write_points(row.difference),
            _write_interval(row.low, row.high),
            str(row.n),
            _write_p(row.p_adjusted),
            escape(str(row.reason)),
        ]
        for row in rows[rows["n"] > 0].itertuples(index=False)
    ]
    return _table(heads, lines, right=["compression", "difference", "n"]) if lines else ""


def _write_unanswered(claims: pd.DataFrame) -> Iterator[str]:
    names = claims.loc[claims["dataset"].isna(), "claim"]
    if len(names):
        listed = ", ".join(f"`{name}`" for name in names)
        yield f"No record speaks of {listed}: undecided."


def _list_places(rows: pd.DataFrame) -> str:
    """List the compressions; undecided ones with the side to which the claim leans."""
    leans = {SUPPORTED: " (for)", CONTRADICTED: " (against)"}
    return ", ".join(
        _write_place(row.compression)
        + (leans.get(str(row.uncorrected), "") if row.verdict == UNDECIDED else "")
        for row in rows.itertuples(index=False)
    )


def _write_place(compression: Any) -> str:
    return "all" if pd.isna(compression) else f"{compression:g}{TIMES}"


def _write_points(value: Any) -> str:
    return "" if pd.isna(value) else f"{value + 0.0:+.2f}".replace("-", MINUS)


def _write_interval(low: Any, high: Any) -> str:
    return "" if pd.isna(low) else f"{_write_points(low)} to {_write_points(high)}"


def _write_p(value: Any) -> str:
    if pd.isna(value):
        return ""
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """A Markdown table of cells that are Markdown already, columns in `right` aligned right."""
    rules = ["--:" if head in right else "---" for head in heads]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, rules, *lines])
