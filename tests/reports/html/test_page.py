"""The page as text: whole, deterministic, self-contained, and safe whatever records say."""

import base64
import re
import sys
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from rps_bench.core.errors import UserError
from rps_bench.reports.analysis.results import Results, read_results
from rps_bench.reports.html import build_page, write_report
from rps_bench.reports.html.encoding import hash_script
from rps_bench.reports.html.page import SCRIPTS
from tests.reports.html.conftest import HOSTILE, MakeRecord, WriteStudy


class Page(HTMLParser):
    """The elements of a page, its text outside scripts and styles, and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.rows: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._table = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag == "table":
            self._table = attributes["id"] or ""
            self.rows[self._table] = []
        if tag == "tr":
            self.rows[self._table].append([])
        if tag in ("td", "th"):
            self.rows[self._table][-1].append("")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts.append(data)
        elif "style" not in self._open:
            self.words.append(data)
            if "td" in self._open or "th" in self._open:
                self.rows[self._table][-1][-1] += data

    def links(self) -> list[str]:
        return [str(a["href"]) for tag, a in self.elements if tag == "a" and "href" in a]


@pytest.fixture(autouse=True)
def _short_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for plotly's five megabytes."""
    monkeypatch.setattr("rps_bench.reports.html.page.read_plotly_script", lambda: "// plotly")


def test_the_report_lies_in_the_results_folder(small_study: Results) -> None:
    path = write_report(small_study)
    assert path == small_study.results_dir / "report.html"
    assert path.read_text(encoding="utf-8") == build_page(small_study)


def test_the_same_records_give_the_same_bytes(small_study: Results, study_folder: Path) -> None:
    assert build_page(small_study) == build_page(read_results(study_folder))


def test_nothing_is_left_of_the_template(small_study: Results) -> None:
    page = Page(build_page(small_study))
    assert not re.search(r"\$[a-z]", "".join(page.words))
    sections = {a["id"] for tag, a in page.elements if tag == "section"}
    assert sections == {
        "find", "plot", "training", "parallel", "summary", "runs", "claims", "findings", "troubles",
        "provenance", "terms",
    }  # fmt: skip


def test_the_page_needs_no_other_file(small_study: Results) -> None:
    page = Page(build_page(small_study))
    fetching = {"src", "srcset", "data", "action", "poster", "background"}
    assert not [a for _, a in page.elements if fetching & set(a)]
    assert [a["href"] for tag, a in page.elements if tag == "link"] == ["data:,"]
    style = resources.files("rps_bench.reports.html").joinpath("assets/style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_every_asset_is_used() -> None:
    folder = resources.files("rps_bench.reports.html").joinpath("assets")
    names = {entry.name for entry in folder.iterdir()}
    assert names == {*SCRIPTS, "template.html", "terms.html", "style.css"}


def test_the_policy_lets_only_the_two_scripts_run(small_study: Results) -> None:
    page = Page(build_page(small_study))
    (policy,) = (a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy is not None
    _, plotly, own = page.scripts
    assert f"script-src {hash_script(plotly)} {hash_script(own)};" in policy
    assert policy.startswith("default-src 'none';")


def test_links_lead_to_the_records(small_study: Results) -> None:
    links = {link for link in Page(build_page(small_study)).links() if not link.startswith("#")}
    files = {path.relative_to(small_study.results_dir).as_posix()
             for path in small_study.results_dir.rglob("*.json")}  # fmt: skip
    assert links == files


def test_a_record_out_of_its_place_has_no_link(
    write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path
) -> None:
    record = make_record()
    folder = write_study([record]).results_dir
    (file,) = folder.rglob("*.json")
    file.rename(folder / "records" / "moved.json")
    page = Page(build_page(read_results(folder)))
    assert [link for link in page.links() if not link.startswith("#")] == []


def test_the_head_tells_how_much_and_how_new(
    write_study: WriteStudy, make_record: MakeRecord
) -> None:
    late = {"started_at": "2026-12-01T09:00:00+00:00", "cpu_model": "Other CPU"}
    records = [make_record(), make_record(seed=1), make_record(seed=2, provenance=late)]
    records.append(make_record(seed=3, status="failed"))
    words = Page(build_page(write_study(records))).words
    text = " ".join(words)
    assert "4 (1 failed)" in text
    assert words[words.index("Newest record") + 1] == "2026-12-01"
    assert "Test CPU (2 CPUs) (3), Other CPU (2 CPUs) (1)" in text


def test_the_summary_has_a_row_per_point(
    write_study: WriteStudy, curve_records: list[dict[str, Any]]
) -> None:
    page = Page(build_page(write_study(curve_records)))
    head, dense, mag = page.rows["summary-table"]
    row = dict(zip(head, mag, strict=True))
    assert dense[0] == "dense"
    assert row["Method"] == "mag"
    assert row["Accuracy (%)"] == "82.00"
    assert row["Std"] == "2.00"
    assert row["95% interval"] == "77.03 to 86.97"  # 82 -+ 4.30265 * 2 / sqrt(3)
    assert row["n"] == "3"
    assert row["Stored (kB)"] == "114.7"
    assert row["Runs"].split() == ["show", "0", "1", "2"]


def test_only_several_experiments_need_a_column(
    write_study: WriteStudy, make_record: MakeRecord
) -> None:
    one = Page(build_page(write_study([make_record()])))
    two = Page(build_page(write_study([make_record(dataset="cifar100")])))
    assert "Experiment" not in one.rows["summary-table"][0]
    assert [row[-1] for row in two.rows["summary-table"]] == [
        "Experiment",
        "CIFAR-10, ResNet-20, quick",
        "CIFAR-100, ResNet-20, quick",
    ]


def test_lost_runs_are_listed_with_their_reasons(
    write_study: WriteStudy, make_record: MakeRecord
) -> None:
    records = [make_record(), make_record(seed=1, status="diverged")]
    records.append(make_record("snip", seed=2, status="failed"))
    rows = Page(build_page(write_study(records))).rows["troubles-table"][1:]
    assert [row[6] for row in rows] == [record["run_id"] for record in records[1:]]
    assert [(row[0], row[1], row[3], row[5]) for row in rows] == [
        ("mag", "diverged", "1", "diverged at epoch 1"),
        ("snip", "failed", "2", "failed at epoch 1"),
    ]


def test_a_study_without_losses_says_so(write_study: WriteStudy, make_record: MakeRecord) -> None:
    text = build_page(write_study([make_record()]))
    assert "All recorded runs completed." in text
    assert 'id="troubles-table"' not in text


def test_claims_have_verdicts_and_reasons(small_study: Results) -> None:
    page = Page(build_page(small_study))
    rows = page.rows["claims-table"]
    assert {row[2] for row in rows[1:]} <= {"supported", "contradicted", "undecided"}
    assert all(row[-2] for row in rows[1:])
    assert len(page.rows["claim-totals"]) > 5


def test_findings_name_their_runs(write_study: WriteStudy, make_record: MakeRecord) -> None:
    records = [make_record(), make_record(seed=1, provenance={"git_dirty": True})]
    study = write_study(records)
    (study.results_dir / "records" / "broken.json").write_text("{")
    text = " ".join(Page(build_page(read_results(study.results_dir))).words)
    assert "dirty tree" in text
    assert records[1]["run_id"] in text
    assert "broken file" in text
    assert "broken.json" in text


def test_provenance_counts_what_differs(write_study: WriteStudy, make_record: MakeRecord) -> None:
    dirty = {"git_commit": "fedcba9876543210", "git_dirty": True, "versions": {"torch": "2.16.0"}}
    records = [make_record(seed=seed) for seed in range(2)]
    records.append(make_record(seed=2, provenance=dirty))
    text = " ".join(Page(build_page(write_study(records))).words)
    assert "0123abc (2), fedcba9876 with uncommitted changes (1)" in text
    assert "2.15.0 (2), 2.16.0 (1)" in text
    assert "epochs 3" in text


def test_hostile_records_add_no_element_and_no_link(hostile_study: Results) -> None:
    page = Page(build_page(hostile_study))
    assert [a for tag, a in page.elements if tag == "script"] == [
        {"type": "application/json", "id": "study-data"}, {}, {},
    ]  # fmt: skip
    assert not [a for _, a in page.elements for name in a if name.startswith("on")]
    assert not [tag for tag, _ in page.elements if tag in ("img", "b", "iframe", "object")]
    assert all(re.fullmatch(r"#[a-z]+|records/[\w./%=+-]+", link) for link in page.links())
    text = "".join(page.words)
    assert all(hostile in text for hostile in HOSTILE)


def test_without_records_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no records"):
        write_report(read_results(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_without_plotly_one_line_tells_how_to_get_it(
    small_study: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(UserError, match=re.escape("pip install 'rps_bench[report]'")):
        write_report(small_study)
    assert not (small_study.results_dir / "report.html").exists()


def test_differences_have_figures_and_their_numbers(
    write_study: WriteStudy, make_record: MakeRecord
) -> None:
    """The figure is an image within the page, so nothing in it runs, whatever names say."""
    odd = "mag (<script>alert(1)</script> $x^$)"
    records = [
        make_record(method, seed=seed, accuracy=level + seed, epochs=epochs, label=label)
        for epochs in (3, 12)
        for method, label, level in (("stable_rps", "stable_rps", 80.0), ("mag", odd, 78.0))
        for seed in ((0, 1) if epochs == 3 else (0,))
    ]
    for record in records:
        record["config"]["recipe_options"] |= {"drops": [], "weight_decay": 1e-4}
    page = Page(build_page(write_study(records)))
    assert "#protocols" in page.links()
    images = [a for tag, a in page.elements if tag == "img"]
    assert len(images) == 2  # by experiment, and by epochs
    for image in images:
        source = str(image["src"])
        assert source.startswith("data:image/svg+xml;base64,")
        assert b"<script" not in base64.b64decode(source.partition(",")[2])
    rows = page.rows["protocols-table"]
    setting = "CIFAR-10, ResNet-20, recipe quick, weight decay 0.0001, protocol fixed"
    assert rows[1][1:] == [
        "10\N{MULTIPLICATION SIGN}",
        "3",
        "-2.00",
        "-2.04 to -1.96",
        "2",
        setting,
    ]
    assert rows[2][2:6] == ["12", "-2.00", "\N{EN DASH}", "1"]
    assert len([tag for tag, _ in page.elements if tag == "script"]) == 3


def test_one_experiment_needs_no_section(small_study: Results) -> None:
    page = Page(build_page(small_study))
    assert "#protocols" not in page.links()
    assert not [tag for tag, _ in page.elements if tag == "img"]
