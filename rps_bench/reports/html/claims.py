"""The section on the paper's claims: verdicts in words, never by colour alone."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from rps_bench.reports.analysis.results import Results
from rps_bench.reports.claims import judge_claims
from rps_bench.reports.claims.summary import pool_claims
from rps_bench.reports.claims.titles import title_group
from rps_bench.reports.claims.verdicts import VERDICTS
from rps_bench.reports.html.encoding import escape
from rps_bench.reports.html.facets import mark_facets
from rps_bench.reports.html.tables import (
    NOTHING,
    Cell,
    Column,
    Row,
    number_cell,
    ratio_cell,
    render_table,
    text_cell,
)
from rps_bench.reports.words import count_of

_INTRODUCTION = """<p>Each claim of the paper (arXiv 2310.11611) is judged on these records alone,
in pairs of runs with the same seed. The interval is the plain 95% interval of the mean difference
in points of accuracy; the verdict and the adjusted p come from tests that are corrected for how
many comparisons their experiment has. Without data, or with one seed, a claim stays undecided: that
is no support.</p>"""

_TOTALS = (
    Column("Claim", "long"),
    *(Column(verdict.capitalize(), "number") for verdict in VERDICTS),
    Column("Training", "long"),
)
_COLUMNS = (
    Column("Claim"),
    Column("Compression", "number"),
    Column("Verdict"),
    Column("Difference", "number", "Mean of method minus rival, in points of accuracy"),
    Column("95% interval", "number", "Of this one comparison, not corrected"),
    Column("n", "number", "Pairs of runs with the same seed"),
    Column("Adjusted p", "number", "Corrected over all tests of its experiment"),
    Column("Reason", "long"),
    Column("Experiment", "long"),
)


def render_claims(results: Results) -> str:
    """The section as HTML: how claims were judged, counts of verdicts, every comparison."""
    claims = judge_claims(results)
    details = render_table(
        "claims-table",
        count_of(len(claims), "comparison"),
        _COLUMNS,
        [_make_row(claim) for claim in claims.to_dict("records")],
    )
    return f"{_INTRODUCTION}\n{_render_totals(claims)}\n<h3>Every comparison</h3>\n{details}"


def _render_totals(claims: pd.DataFrame) -> str:
    rows = [
        Row([text_cell(statement), *_count_cells(counts), text_cell(training)])
        for training, summary in pool_claims(claims)
        for statement, counts in _total(summary).iterrows()
    ]
    caption = (
        "Comparisons by verdict, over the datasets and compressions of one way to train;"
        " of all runs, whatever the filter"
    )
    return render_table("claim-totals", caption, _TOTALS, rows, has_search=False)


def _total(summary: pd.DataFrame) -> pd.DataFrame:
    return summary.groupby("statement", sort=False)[list(VERDICTS)].sum()


def _count_cells(counts: "pd.Series[int]") -> list[Cell]:
    return [_count_cell(verdict, counts[verdict]) for verdict in VERDICTS]


def _count_cell(verdict: str, count: int) -> Cell:
    return Cell(f'<span class="badge {verdict}">{count}</span>' if count else "0", float(count))


def _make_row(claim: dict[Hashable, Any]) -> Row:
    interval = Cell(NOTHING)
    if pd.notna(claim["low"]):
        interval = Cell(f"{claim['low']:+.2f} to {claim['high']:+.2f}", claim["low"])
    verdict = escape(claim["verdict"])
    return Row(
        [
            text_cell(claim["claim"]),
            ratio_cell(claim["compression"]),
            Cell(f'<span class="badge {verdict}">{verdict}</span>'),
            number_cell(claim["difference"], "+.2f"),
            interval,
            number_cell(claim["n"]),
            number_cell(claim["p_adjusted"], ".3g"),
            text_cell(claim["reason"]),
            text_cell(_name_experiment(claim)),
        ],
        mark_facets(claim, (claim["method"], claim["rival"])),
    )


def _name_experiment(claim: dict[Hashable, Any]) -> str:
    """Name the experiment and its arithmetic; a dash if no experiment has runs for the claim."""
    return NOTHING if pd.isna(claim["dataset"]) else title_group(claim)
