"""`python -m rps_bench.reports [results_dir]`: write all reports on the recorded runs."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rps_bench.core.arguments import Parser, to_path
from rps_bench.core.errors import UserError, one_line, status_of
from rps_bench.core.output import command, show_error
from rps_bench.reports.analysis.results import Results, read_results
from rps_bench.reports.analysis.warnings import find_faults
from rps_bench.reports.tables.results import save_table
from rps_bench.reports.tables.summary import save_summary
from rps_bench.reports.words import count_of


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Write the parts asked for; return the exit status.

    The status is 2 if there is no record or a part lacks what it needs, 1 if the disk takes no
    more. The other parts are still written.
    """
    options = _parse(arguments)
    results = read_results(options.results_dir)
    for finding in find_faults(results):
        print(one_line(f"note: {finding.text}"), file=sys.stderr)
    if not results.records:
        place = results.results_dir / "records"
        raise UserError(
            f"no records under {place}: run an experiment first, or name the folder that holds "
            "results"
        )
    print(f"{count_of(len(results.table), 'record')} under {results.results_dir / 'records'}")
    return max(_write(PARTS[part], results) for part in PARTS if part in options.only)


def _write(part: Callable[[Results], list[Path]], results: Results) -> int:
    """Write one part and print its files; return the exit status."""
    try:
        for path in part(results):
            print(path)
    except (UserError, OSError) as error:
        show_error(error)
        return status_of(error)
    return 0


def _save_tables(results: Results) -> list[Path]:
    return [*save_table(results), *save_summary(results)]


# The parts below import matplotlib, scipy.stats or plotly, so only if they are asked for.
def _save_figures(results: Results) -> list[Path]:
    from rps_bench.reports.figures import save_figures

    return save_figures(results)


def _save_claims(results: Results) -> list[Path]:
    from rps_bench.reports.claims import save_claims
    from rps_bench.reports.claims.differences import save_differences

    return [*save_claims(results), *save_differences(results)]


def _save_html(results: Results) -> list[Path]:
    from rps_bench.reports.html import write_report

    return [write_report(results)]


PARTS: dict[str, Callable[[Results], list[Path]]] = {
    "table": _save_tables,
    "figures": _save_figures,
    "claims": _save_claims,
    "html": _save_html,
}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m rps_bench.reports",
        description="Write table, summary, figures, claims and report.html of recorded runs into"
        " their results folder. Reads records only; trains nothing. What a reader should know"
        " (broken files, duplicates, mixed recipes, ...) is printed as notes.",
        epilog="example: python -m rps_bench.reports results --only table claims",
    )
    parser.add_argument(
        "results_dir",
        nargs="?",
        default=Path("results"),
        type=to_path,
        help="folder that holds records/ (default: results)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=list(PARTS),
        choices=PARTS,
        metavar="PART",
        help=f"write these parts only: {', '.join(PARTS)} (default: all)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
