"""The parts of the page that are not tables: facts at the top, findings, provenance."""

from importlib import resources

from rps_bench.reports.analysis.results import Results
from rps_bench.reports.analysis.warnings import find_faults
from rps_bench.reports.html.encoding import escape
from rps_bench.reports.html.experiments import Experiment
from rps_bench.reports.html.links import RecordLinks, render_link
from rps_bench.reports.html.provenance import (
    UNKNOWN,
    count_hardware,
    count_statuses,
    describe_provenance,
)
from rps_bench.reports.words import count_of

MOST_RUNS_LISTED = 50  # per finding


def read_asset(name: str) -> str:
    """The text of one of the files that make up the page."""
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def render_facts(results: Results, experiments: list[Experiment]) -> str:
    """The facts at the top: number of runs and experiments, newest record, hardware."""
    started = results.table["started_at"].dropna()
    facts = {
        "Runs": count_statuses(results.table),
        "Experiments": str(len(experiments)),
        "Newest record": str(max(started))[:10] if len(started) else UNKNOWN,
        "Hardware": count_hardware(results.table),
    }
    return f'<dl class="facts">{_render_pairs(list(facts.items()), "div")}</dl>'


def render_findings(results: Results, links: RecordLinks) -> str:
    """The findings: what to know before trusting a mean, with the runs concerned."""
    findings = find_faults(results)
    if not findings:
        return "<p>Nothing stands out: no duplicates, no mixed settings, no uncommitted code.</p>"
    items = "\n".join(
        f"<li><strong>{escape(finding.kind.replace('_', ' '))}</strong>: {escape(finding.text)}"
        f"{_list_runs(finding.run_ids, links)}</li>"
        for finding in findings
    )
    return (
        "<p>What to know before trusting a mean. None of it was averaged away; all runs are looked"
        " at, whatever the filter.</p>\n"
        f'<ul class="findings">\n{items}\n</ul>'
    )


def render_provenance(experiments: list[Experiment]) -> str:
    """The code, versions, hardware and settings of each experiment, in foldable sections."""
    folds = [
        f'<details data-experiment="{place}"{" open" if len(experiments) == 1 else ""}>'
        f"<summary>{escape(experiment.title)}</summary>\n"
        f'<dl class="pairs">{_render_pairs(describe_provenance(experiment.runs))}</dl></details>'
        for place, experiment in enumerate(experiments)
    ]
    return "<p>A number in brackets counts the runs, where not all agree.</p>\n" + "\n".join(folds)


def _list_runs(run_ids: tuple[str, ...], links: RecordLinks) -> str:
    if not run_ids:
        return ""
    shown = ", ".join(render_link(links, run_id) for run_id in run_ids[:MOST_RUNS_LISTED])
    hidden = len(run_ids) - MOST_RUNS_LISTED
    rest = f" and {hidden} more" if hidden > 0 else ""
    return f"<details><summary>{count_of(len(run_ids), 'run')}</summary>{shown}{rest}</details>"


def _render_pairs(pairs: list[tuple[str, str]], wrapper: str = "") -> str:
    before, after = (f"<{wrapper}>", f"</{wrapper}>") if wrapper else ("", "")
    return "".join(
        f"{before}<dt>{escape(what)}</dt><dd>{escape(value)}</dd>{after}" for what, value in pairs
    )
