"""Runs on smaller images: figures and claims of their own that name the size, never shared ones."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from rps_bench.reports.analysis.published import REFERENCE_FILE
from rps_bench.reports.claims.declared import Comparison
from rps_bench.reports.claims.outcomes import read_outcomes
from rps_bench.reports.claims.pairs import compare
from rps_bench.reports.figures.files import plan_figures
from rps_bench.reports.figures.panels import split_panels
from rps_bench.reports.figures.sheet import gather_sheets
from rps_bench.reports.figures.stale import remove_stale
from rps_bench.reports.html.experiments import split_experiments
from rps_bench.reports.tables.sections import group_experiments
from tests.reports.conftest import MakeRecord
from tests.reports.figures.conftest import make_study

WHOLE = {"num_train": 50_000, "is_partial": False}
STEM = "cifar10-resnet20-quick"
SMALL = "cifar10-16px-resnet20-quick"


@pytest.fixture
def records(make_record: MakeRecord) -> dict[str, dict[str, Any]]:
    def make(size: int | None, seed: int = 0, **changes: Any) -> dict[str, Any]:
        options = WHOLE | {"image_size": size, "imbalance": None}
        return make_record(seed=seed, **({"dataset_options": options} | changes))

    failed = {"status": "failed", "dataset_options": {"image_size": 16}}
    return {
        "old": make(None, dataset_options=WHOLE),
        "whole": make(None, seed=1),
        "small": make(16),
        "small again": make(16, seed=1),
        "small once more": make(16, seed=2),
        "smaller": make(8),
        "small and longer": make(16, epochs=9),
        "small and skewed": make(
            16, dataset_options={"image_size": 16, "imbalance": 10.0, "num_train": 7749}
        ),
        "failed": make(16, seed=3, **failed),
    }


def pick(records: dict[str, dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [records[name] for name in names]


def test_sizes_share_no_mean(records: dict[str, dict[str, Any]]) -> None:
    names = ("old", "whole", "small", "small again", "small once more", "smaller", "failed")
    points = make_study(*pick(records, *names)).points.set_index("experiment_options")
    assert points["n"].to_dict() == {"": 2, "image_size=8": 1, "image_size=16": 3}
    assert points["num_failed"].to_dict() == {"": 0, "image_size=8": 0, "image_size=16": 1}


def test_the_size_is_named_where_all_runs_have_it(records: dict[str, dict[str, Any]]) -> None:
    study = make_study(*pick(records, "small", "small again"))
    assert study.points["experiment_options"].tolist() == ["image_size=16"]
    (panel,) = split_panels(study)
    assert (panel.stem, panel.title) == (SMALL, "CIFAR-10 at 16 px, ResNet-20")
    (experiment,) = split_experiments(study)
    (section,) = group_experiments(study.points)
    assert "image_size=16" in experiment.title
    assert "image_size=16" in section.title


def test_files_and_sheets_are_apart(records: dict[str, dict[str, Any]]) -> None:
    panels = split_panels(make_study(*records.values()))
    assert sorted(panel.stem for panel in panels) == sorted(
        [STEM, SMALL, f"{SMALL}-epochs9", f"{SMALL}-imbalance10", "cifar10-8px-resnet20-quick"]
    )
    sheets = {
        name: [panel.stem for panel in members] for name, members in gather_sheets(panels).items()
    }
    assert sheets == {
        "sheet-quick": [STEM],
        "sheet-quick-16px": [SMALL],
        "sheet-quick-8px": ["cifar10-8px-resnet20-quick"],
    }


def test_no_claim_compares_two_sizes(make_record: MakeRecord) -> None:
    options = {16: WHOLE | {"image_size": 16}, None: WHOLE}
    small = make_record("mag", dataset_options=options[16])
    whole = make_record("snip", dataset_options=options[None])
    other = make_record("snip", dataset_options=options[16])
    claim = Comparison("any", "Any.", "mag", "snip", "above")
    apart, alike = (
        compare(read_outcomes(make_study(*records).runs), [claim])
        for records in ((small, whole), (small, other))
    )
    assert apart["n"].tolist() == [0, 0]
    assert alike["n"].tolist() == [1]


def test_published_curves_lie_over_no_smaller_images(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    published = tmp_path / REFERENCE_FILE
    published.parent.mkdir()
    shutil.copy(Path(__file__).parents[2] / "results" / REFERENCE_FILE, published)
    named = {}
    for size, ratio in ((None, None), (16, None), (None, 10.0)):
        options = WHOLE | {"image_size": size, "imbalance": ratio}
        record = make_record(arch="vgg11", dataset_options=options)
        study = make_study(record, results_dir=tmp_path)
        names = [figure.name for figure in plan_figures(study, overlay_reference=True)]
        named[size, ratio] = any(name.endswith("-with-published") for name in names)
    assert named == {(None, None): True, (16, None): False, (None, 10.0): False}


def test_figures_of_runs_that_are_gone_are_deleted(
    records: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    study = make_study(records["whole"], results_dir=tmp_path)
    for name in (f"pareto-{SMALL}.png", "sheet-quick-16px.pdf", f"pareto-{STEM}.png", "mine.png"):
        (tmp_path / name).touch()
    remove_stale(tmp_path, study, [tmp_path / f"pareto-{STEM}.png"])
    assert {path.name for path in tmp_path.iterdir()} == {f"pareto-{STEM}.png", "mine.png"}
