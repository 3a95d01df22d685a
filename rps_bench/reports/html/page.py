"""The page: parts filled into the template, with a policy that blocks all other scripts."""

from string import Template

from rps_bench.core.errors import UserError
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.html.after_training import render_after_training
from rps_bench.reports.html.claims import render_claims
from rps_bench.reports.html.differences import render_differences
from rps_bench.reports.html.encoding import hash_script, to_script_json
from rps_bench.reports.html.experiments import split_experiments
from rps_bench.reports.html.links import find_links
from rps_bench.reports.html.plot_data import collect_plot_data
from rps_bench.reports.html.plotly_script import read_plotly_script
from rps_bench.reports.html.sections import (
    read_asset,
    render_facts,
    render_findings,
    render_provenance,
)
from rps_bench.reports.html.summary import render_summary
from rps_bench.reports.html.troubles import render_troubles

# The files of the page's script, in the order in which they are joined.
SCRIPTS = (
    "data.js", "elements.js", "statistics.js", "filter.js", "view.js", "theme.js", "axes.js",
    "hover.js", "traces.js", "plot.js", "curves.js", "tables.js", "runs.js", "summary.js",
    "compare.js", "parallel.js", "main.js",
)  # fmt: skip


def build_page(results: Results) -> str:
    """The report as one HTML text that needs no other file and no network.

    The same records give the same text. Raises `UserError` if plotly or records are missing.
    """
    if not results.records:
        raise UserError(f"no records under {results.results_dir}: nothing to report")
    plotly = read_plotly_script()
    script = "\n".join(read_asset(name) for name in SCRIPTS)
    experiments, links = split_experiments(results), find_links(results)
    differences, after_training = render_differences(results), render_after_training(results)
    parts = {
        "policy": _write_policy(plotly, script),
        "style": read_asset("style.css"),
        "facts": render_facts(results, experiments),
        "summary": render_summary(experiments, links),
        "differences": differences,
        "after_training": after_training,
        "after_training_link": (
            '<a href="#after-training">After training</a> ' if after_training else ""
        ),
        "differences_link": '<a href="#protocols">Protocols and budgets</a> '
        if differences
        else "",
        "claims": render_claims(results),
        "findings": render_findings(results, links),
        "troubles": render_troubles(experiments, links),
        "provenance": render_provenance(experiments),
        "terms": read_asset("terms.html"),
        "data": to_script_json(collect_plot_data(results, experiments, links)),
        "plotly": plotly,
        "script": script,
    }
    return Template(read_asset("template.html")).substitute(parts)


def _write_policy(*scripts: str) -> str:
    """A content security policy: these scripts run, nothing is fetched.

    If hostile text ever got past the escaping, the browser would still not run it. plotly sets
    styles on its elements, and makes an image from a blob when asked to save one.
    """
    allowed = " ".join(hash_script(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline';"
        " img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
