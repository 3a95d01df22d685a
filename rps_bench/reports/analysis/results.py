"""A study: the records of a results folder and the tables of all reports, read once."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rps_bench.records import Problem, Record, read_records
from rps_bench.reports.analysis.runs import describe_runs
from rps_bench.reports.analysis.statistics import summarise_runs
from rps_bench.reports.analysis.table import build_table


@dataclass(frozen=True)
class Results:
    """The records of a results folder and the tables made from them.

    Attributes:
        results_dir: Where records are read and reports are written.
        records: All valid records, in path order.
        problems: Files without a valid record, each with the reason.
        table: One tidy row per record (``build_table``).
        runs: The rows of the table that count, one per configuration and seed, with columns that
            tell experiments and curves apart (``describe_runs``); their index is the table's.
        points: One row per point of a curve (``summarise_runs``).
    """

    results_dir: Path
    records: tuple[Record, ...]
    problems: tuple[Problem, ...]
    table: pd.DataFrame
    runs: pd.DataFrame
    points: pd.DataFrame


def read_results(results_dir: str | Path) -> Results:
    """Read all records under ``results_dir``; a broken file is a problem, not an error."""
    records, problems = read_records(results_dir)
    table = build_table(records)
    runs = describe_runs(table)
    return Results(Path(results_dir), records, problems, table, runs, summarise_runs(runs))
