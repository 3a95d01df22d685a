import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.records import write_record
from rps_bench.reports import Results, build_table, read_results, summarise
from rps_bench.reports.tables.latex import escape as escape_latex
from rps_bench.reports.tables.markdown import escape as escape_markdown
from rps_bench.reports.tables.markdown import write_markdown
from rps_bench.reports.tables.sections import HEADINGS, group_experiments
from rps_bench.reports.tables.summary import save_summary, summary_table

MakeRecord = Callable[..., dict[str, Any]]


def _rows(*records: dict[str, Any]) -> list[tuple[str, ...]]:
    (section,) = group_experiments(summarise(build_table(records)))
    return [row.cells for row in section.rows]


def test_the_csv_row_by_row(small_study: Results) -> None:
    path = save_summary(small_study)[0]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == (
        "dataset,arch,recipe,options,split,protocol,image_size,planned_epochs,weight_decay,precision,"
        "kernels,method,compression,true_compression,n,mean,std,low,high,diverged,failed,stored_bytes,"
        "macs,effective_macs,epochs"
    )
    assert len(lines) == 1 + 5
    read = pd.read_csv(path).drop(
        columns=["std", "low", "high", "options", "image_size", "weight_decay"]
    )
    assert read.iloc[2].tolist() == [
        "digits", "resnet20", "smoke", "test", "fixed", 2, "fp32", "plain", "mag", 100.0,
        10.0, 2, 61.0, 1, 0, 440.0, 2e6, 2e4, 2.0,
    ]  # fmt: skip


def test_markdown_line_by_line(small_study: Results) -> None:
    text = save_summary(small_study)[1].read_text(encoding="utf-8")
    assert "Student's t with n - 1 degrees of freedom" in text
    title, _, table = text.partition("## ")[2].partition("\n\n")
    assert title == "digits, resnet20, recipe smoke, test split, fp32"
    assert table.splitlines() == [
        "| method | compression | true compression | n | accuracy (%) | 95% interval | diverged"
        " | failed | stored (kB) | MACs (M) | epochs |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| dense | 1 | 1.0 | 3 | 94.00 ± 1.00 | 91.52 to 96.48 | 0 | 0 | 4.4 | 2.00 | 2 |",
        "| stable_rps | 10 | 5.5 | 3 | **91.00 ± 1.00** | 88.52 to 93.48 | 0 | 0 | 0.8"
        " | 2.00 | 2 |",
        "| mag | 10 | 5.5 | 2 | 89.00 ± 1.41 | 76.29 to 101.71 | 0 | 1 | 0.8 | 0.20 | 2 |",
        "| stable_rps | 100 | 10.0 | 3 | **82.00 ± 2.00** | 77.03 to 86.97 | 0 | 0 | 0.4"
        " | 2.00 | 2 |",
        "| mag | 100 | 10.0 | 2 | 61.00 ± 1.41 | 48.29 to 73.71 | 1 | 0 | 0.4 | 0.02 | 2 |",
    ]  # fmt: skip


def test_latex_is_well_formed(small_study: Results) -> None:
    text = save_summary(small_study)[2].read_text(encoding="utf-8")
    assert text.startswith("% needs \\usepackage{booktabs,longtable}\n")
    assert (
        text.count("\\begin{longtable}{l" + "r" * 10 + "}") == text.count("\\end{longtable}") == 1
    )
    assert text.count("\\toprule") == text.count("\\midrule") == 2
    rows = text.partition("\\endfoot\n")[2].partition("\\end{longtable}")[0].splitlines()
    assert len(rows) == 5
    assert rows[1] == (
        r"stable\_rps & 10 & 5.5 & 3 & \textbf{91.00 $\pm$ 1.00} & 88.52 to 93.48 & 0 & 0 & 0.8"
        r" & 2.00 & 2 \\"
    )
    _check_latex(text)


def _check_latex(text: str) -> None:
    """Hold what a compiler would refuse: open braces, bare special signs, a wrong column count."""
    body = text.partition("\n")[2]
    plain = re.sub(r"\\[\\&%$#_{}]", "", body)
    depth = 0
    for sign in plain:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"[#%_^~]", plain)
    assert plain.count("$") % 2 == 0
    for line in body.splitlines():
        if line.endswith(r" \\"):
            assert len(re.findall(r"(?<!\\)&", line)) == len(HEADINGS) - 1


HOSTILE = "a_b & 50% of #1 {x} $y$ ~^ \\input <b> |c| [d] *e*\nf"


def test_hostile_labels_stay_text(tmp_path: Path, make_record: MakeRecord) -> None:
    write_record(tmp_path, make_record(label=HOSTILE, recipe=HOSTILE))
    _, markdown, latex = save_summary(read_results(tmp_path))
    _check_latex(latex.read_text(encoding="utf-8"))
    lines = markdown.read_text(encoding="utf-8").splitlines()
    row = lines[-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == len(HEADINGS) + 1
    assert re.sub(r"\\(?=\W)", "", row).startswith("| a_b &amp; 50% of #1 {x} $y$ ~^ ")
    assert not re.search(r"(?<!\\)[<>*\[\]~]", row)


@pytest.mark.parametrize(
    ("text", "latex", "markdown"),
    [
        ("stable_rps", r"stable\_rps", "stable_rps"),
        ("_a_", r"\_a\_", r"\_a\_"),
        ("a|b\\", r"a\textbar{}b\textbackslash{}", r"a\|b\\"),
        ("&<#", r"\&\textless{}\#", r"&amp;\<\#"),
        ("a\n b", "a b", "a b"),
        ("[1, 2]", "{[}1, 2{]}", r"\[1, 2\]"),
    ],
)
def test_escapes(text: str, latex: str, markdown: str) -> None:
    assert escape_latex(text) == latex
    assert escape_markdown(text) == markdown


def test_one_seed_has_no_spread_and_divergence_no_mean(make_record: MakeRecord) -> None:
    rows = _rows(make_record(compression=10.0), make_record(compression=100.0, status="diverged"))
    assert [row[1] for row in rows] == ["10", "100"]
    assert [row[3:8] for row in rows] == [
        ("1", "80.00", "-", "0", "0"),
        ("0", "-", "-", "1", "0"),
    ]


def test_a_run_that_knows_nothing_has_a_row(make_record: MakeRecord) -> None:
    record = make_record(status="failed")
    for block in ("metrics", "size", "cost"):
        record[block] = dict.fromkeys(record[block])
    assert _rows(record) == [("mag", "10", "-", "0", "-", "-", "0", "1", "-", "-", "-")]


def test_bold_marks_the_best_as_it_is_shown(make_record: MakeRecord) -> None:
    """Means that look equal are both best, and one that stands alone has beaten nobody."""
    (section,) = group_experiments(
        summarise(
            build_table(
                [
                    make_record("mag", accuracy=80.001),
                    make_record("snip", accuracy=80.004),
                    make_record("rand", accuracy=79.99),
                    make_record("grasp", status="diverged"),
                    make_record("mag", 100.0, accuracy=50.0),
                ]
            )
        )
    )
    assert [(row.cells[0], row.is_best) for row in section.rows] == [
        ("snip", True), ("mag", True), ("rand", False), ("grasp", False), ("mag", False)
    ]  # fmt: skip
    assert write_markdown([section]).count("**80.00**") == 2


def test_experiments_have_sections_of_their_own(make_record: MakeRecord) -> None:
    sections = group_experiments(
        summarise(
            build_table(
                [make_record(epochs=3), make_record(epochs=30), make_record(precision="bf16")]
            )
        )
    )
    assert [section.title for section in sections] == [
        "cifar10, resnet20, recipe quick (epochs=3), test split, bf16 and fp32",
        "cifar10, resnet20, recipe quick (epochs=30), test split, fp32",
    ]
    assert [len(section.rows) for section in sections] == [2, 1]


def test_a_title_names_kernels_other_than_pytorch_s(make_record: MakeRecord) -> None:
    records = [make_record(kernels="native-avx512-1"), make_record(kernels="plain", accuracy=70.0)]
    (section,) = group_experiments(summarise(build_table(records)))
    assert section.title.endswith("test split, fp32, kernels native-avx512-1 and plain")
    assert [row.cells[0] for row in section.rows] == ["mag (native-avx512-1)", "mag (plain)"]


def test_kept_weights_count_as_macs(make_record: MakeRecord) -> None:
    nominal, kept = make_record("mag"), make_record("snip", accuracy=70.0)
    kept["cost"]["effective_macs"] = 4_000_000
    assert [row[9] for row in _rows(nominal, kept)] == ["40.81", "4.00"]


def test_the_index_is_that_of_the_points(small_study: Results) -> None:
    points = small_study.points[small_study.points["method"] == "mag"]
    assert summary_table(points).index.tolist() == [1, 2]


def test_no_points_no_rows(tmp_path: Path) -> None:
    study = read_results(tmp_path)
    assert summary_table(study.points).empty
    assert [path.name for path in save_summary(study)] == [
        "summary.csv", "summary.md", "summary.tex"
    ]  # fmt: skip


def test_the_files_repeat_exactly(small_study: Results) -> None:
    first = [path.read_bytes() for path in save_summary(small_study)]
    assert [path.read_bytes() for path in save_summary(small_study)] == first
