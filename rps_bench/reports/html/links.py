"""Links from the report to the record files in the same results folder."""

from collections.abc import Mapping
from urllib.parse import quote

from rps_bench.records import RecordError, record_path
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.html.encoding import escape

RecordLinks = Mapping[str, str]


def find_links(results: Results) -> RecordLinks:
    """The relative address of each run's record file by run id.

    A record has no link if its file lies elsewhere or its run id cannot be a file name (made by
    hand, or with bad intent).
    """
    links: dict[str, str] = {}
    rows = results.table[["dataset", "arch", "run_id"]].itertuples(index=False, name=None)
    for dataset, arch, run_id in rows:
        try:
            path = record_path(results.results_dir, dataset, arch, run_id)
        except RecordError:
            continue
        if path.is_file():
            links[run_id] = quote(path.relative_to(results.results_dir).as_posix())
    return links


def render_link(links: RecordLinks, run_id: str, text: object = None) -> str:
    """A link to a run's record as HTML, or the bare text if there is no such file."""
    shown = escape(run_id if text is None else text)
    return f'<a href="{escape(links[run_id])}">{shown}</a>' if run_id in links else shown
