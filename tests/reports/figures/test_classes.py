"""The figure of accuracy by class, and its columns in the summary."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rps_bench.reports.figures.classes import draw_classes, find_measures
from rps_bench.reports.figures.files import plan_figures
from rps_bench.reports.figures.stale import remove_stale
from rps_bench.reports.tables.latex import write_latex
from rps_bench.reports.tables.markdown import write_markdown
from rps_bench.reports.tables.sections import HEADINGS, group_experiments
from rps_bench.reports.tables.summary import summary_table
from rps_bench.reports.words import format_ratio
from tests.reports.figures.conftest import crosses, curve, draw, make_panels, make_study, points

MakeRecord = Callable[..., dict[str, Any]]
TAIL = [100, 50, 33, 25, 20, 17, 14, 12, 11, 10]


def counted(
    record: dict[str, Any], many: int, medium: int, few: int, worst: int, num_train: list[int]
) -> dict[str, Any]:
    """The record with so many of ten right in each class of a group, and fewer in the last."""
    right = [many] * 3 + [medium] * 4 + [few, few, worst]
    is_known = record["status"] == "completed"
    counts = {"num_train": num_train, "num_evaluated": [10] * 10}
    return record | {"classes": counts | {"num_correct": right if is_known else None}}


@pytest.fixture
def records(make_record: MakeRecord) -> list[dict[str, Any]]:
    options = {"dataset_options": {"imbalance": 10.0}}
    made: list[tuple[dict[str, Any], int, int, int, int]] = [
        (make_record("dense", 1.0, **options), 9, 8, 7, 4),
        (make_record("mag", 10.0, **options), 8, 6, 4, 1),
        (make_record("mag", 100.0, **options), 7, 4, 2, 2),
        (make_record("rand", 10.0, status="diverged", **options), 0, 0, 0, 0),
    ]
    return [counted(*numbers, num_train=TAIL) for numbers in made]


def test_each_measure_has_a_cell(records: list[dict[str, Any]], make_record: MakeRecord) -> None:
    older = make_record("snip", 10.0, dataset_options={"imbalance": 10.0})
    (panel,) = make_panels(*records, older)
    figure = draw(draw_classes, panel, find_measures(panel))
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["Worst class", "Many-shot", "Medium-shot", "Few-shot"]
    drawn = [points(curve(axes, "mag")) for axes in figure.axes]
    assert drawn == [
        [(10, 10), (100, 20)], [(10, 80), (100, 70)], [(10, 60), (100, 40)], [(10, 30), (100, 20)],
    ]  # fmt: skip
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert [len(crosses(axes)) for axes in figure.axes] == [1] * 4
    assert not [line for axes in figure.axes for line in axes.lines if line.get_label() == "snip"]
    small_print = figure.texts[0].get_text().replace("\n", " ")
    assert "worst class: the lowest accuracy of a class in each run" in small_print
    assert "thirds of the classes by their training images" in small_print
    assert small_print.rstrip().endswith("not drawn, as older records do not count by class: snip")


def test_it_says_what_older_records_leave_out(make_record: MakeRecord) -> None:
    known = [counted(make_record("mag", ratio), 9, 8, 7, 4, [20] * 10) for ratio in (10.0, 1000.0)]
    older = [make_record(*key) for key in (("dense", 1.0), ("mag", 3.16), ("mag", 100.0))]
    diverged = make_record("rand", 10.0, status="diverged")
    (panel,) = make_panels(*known, *older, diverged)
    small_print = draw(draw_classes, panel, find_measures(panel)).texts[0].get_text()
    ratios = " and ".join(format_ratio(ratio) for ratio in (3.16, 100))
    said = f"not drawn, as older records do not count by class: dense, mag at {ratios}"
    assert small_print.replace("\n", " ").rstrip().endswith(said)


def test_balanced_data_has_the_worst_class_alone(make_record: MakeRecord) -> None:
    record = counted(make_record(), 9, 8, 7, 4, [20] * 10)
    (panel,) = make_panels(record)
    figure = draw(draw_classes, panel, find_measures(panel))
    assert [axes.get_title("left") for axes in figure.axes] == ["Worst class"]
    assert "thirds" not in figure.texts[0].get_text()
    assert "not drawn" not in figure.texts[0].get_text()


def test_it_is_planned_where_records_count_and_removed_where_none_does(
    records: list[dict[str, Any]], make_record: MakeRecord, tmp_path: Path
) -> None:
    name = "classes-cifar10-resnet20-quick-imbalance10"
    assert name in [figure.name for figure in plan_figures(make_study(*records))]
    older = make_study(make_record())
    assert not [figure for figure in plan_figures(older) if figure.name.startswith("classes-")]
    old = tmp_path / f"{name}.png"
    old.touch()
    assert remove_stale(tmp_path, older, []) == [old]


def test_tables_have_the_columns_that_an_experiment_tells(
    records: list[dict[str, Any]], make_record: MakeRecord
) -> None:
    balanced = counted(make_record(), 9, 8, 7, 4, [20] * 10)
    older = make_record(dataset="digits")
    study = make_study(*records, balanced, older)
    sections = {section.title: section for section in group_experiments(study.points)}
    found = {title: section.headings[len(HEADINGS) :] for title, section in sections.items()}
    groups = ("many-shot (%)", "medium-shot (%)", "few-shot (%)")
    assert found == {
        "cifar10, resnet20, recipe quick, test split, fp32": ("worst class (%)",),
        "cifar10, resnet20, recipe quick (imbalance=10), test split, fp32": (
            "worst class (%)",
            *groups,
        ),
        "digits, resnet20, recipe quick, test split, fp32": (),
    }
    for section in sections.values():
        assert {len(row.cells) for row in section.rows} == {len(section.headings)}
    cells = {
        row.cells[:2]: row.cells[len(HEADINGS) :]
        for row in sections["cifar10, resnet20, recipe quick (imbalance=10), test split, fp32"].rows
    }
    assert cells["mag", "10"] == ("10.00", "80.00", "60.00", "30.00")
    assert cells["rand", "10"] == ("-",) * 4
    markdown, latex = write_markdown(sections.values()), write_latex(sections.values())
    assert markdown.count("- worst class: the lowest accuracy") == 1
    assert latex.count("Worst class: the lowest accuracy") == 2
    assert "\\begin{longtable}{l" + "r" * 14 + "}" in latex
    summary = summary_table(study.points)
    assert summary["few_shot_accuracy_mean"].notna().sum() == 3
    assert not [key for key in summary_table(make_study(older).points) if "class" in str(key)]
