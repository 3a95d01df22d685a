"""`python -m rps_bench.reports [results_dir]`: the table and the figures of recorded runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rps_bench.records import read_records
from rps_bench.reports.figures import save_figures
from rps_bench.reports.table import build_table, save_table

EXIT_NOTHING_TO_REPORT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Write table and figures; return the exit status, 2 where there is no record."""
    results_dir: Path = _parse(arguments).results_dir
    records, problems = read_records(results_dir)
    for problem in problems:
        print(f"skipped {problem.path}: {problem.reason}", file=sys.stderr)
    if not records:
        place = results_dir / "records"
        print(f"no records under {place}: run an experiment first, or name the folder that"
              " holds results", file=sys.stderr)  # fmt: skip
        return EXIT_NOTHING_TO_REPORT
    table = build_table(records)
    print(f"{save_table(table, results_dir)}: {_count(len(table), 'run')}")
    for path in save_figures(table, results_dir):
        print(path)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rps_bench.reports",
        description="Write table.csv and the Pareto figures (plots/*.png, *.svg) of recorded runs."
        " Reads records only; trains nothing.",
        epilog="example: python -m rps_bench.reports results",
    )
    parser.add_argument(
        "results_dir",
        nargs="?",
        default=Path("results"),
        type=Path,
        help="folder that holds records/ (default: results)",
    )
    return parser.parse_args(arguments)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


if __name__ == "__main__":
    sys.exit(main())
