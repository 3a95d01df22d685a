import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from rps_bench.records import write_record
from rps_bench.reports.analysis.published import REFERENCE_FILE
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.figures import (
    draw_pareto,
    figure_style,
    plan_figures,
    rendering,
    save_figures,
)
from tests.reports.figures.conftest import make_study

MakeRecord = Callable[..., dict[str, Any]]
STEM = "cifar10-resnet20-quick"
PAPER = "cifar10-vgg11-paper"
PARETO = ["", "-true-compression", "-bytes", "-macs", "-cost"]
REFERENCE = Path(__file__).parents[3] / "results" / REFERENCE_FILE


def _names(study: Results, **options: bool) -> list[str]:
    return [name for name, _ in plan_figures(study, **options)]


def _add_reference(results_dir: Path) -> None:
    path = results_dir / REFERENCE_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(REFERENCE.read_bytes())


def test_all_kinds_are_planned(rich_records: list[dict[str, Any]]) -> None:
    assert _names(make_study(*rich_records)) == [
        *(f"pareto-{STEM}{suffix}" for suffix in PARETO),
        f"curves-{STEM}",
        f"densities-{STEM}",
        f"init-std-{STEM}",
        "sheet-quick",
    ]


def test_only_what_the_records_allow(make_record: MakeRecord) -> None:
    names = _names(make_study(make_record()))
    assert names == [*(f"pareto-{STEM}{suffix}" for suffix in PARETO), "sheet-quick"]
    diverged = _names(make_study(make_record(status="diverged")))
    assert f"pareto-{STEM}-cost" not in diverged
    assert f"pareto-{STEM}" in diverged
    assert _names(make_study(make_record(status="failed"))) == []


@pytest.mark.parametrize("other", ["format-1", "format-2"])
def test_bytes_of_different_files_carry_a_warning(make_record: MakeRecord, other: str) -> None:
    records = [make_record(seed=seed) for seed in range(2)]
    for record, name in zip(records, ("format-2", other), strict=True):
        record["size"]["file_format"] = name
    warned = []
    for name, draw in plan_figures(make_study(*records)):
        with figure_style():
            texts = [text.get_text() for text in draw().texts]
        if any("bytes do not compare" in text for text in texts):
            warned.append(name)
    assert warned == ([f"pareto-{STEM}-bytes"] if other == "format-1" else [])


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "render", lambda figure, kind: b"drawn")


@pytest.mark.usefixtures("no_drawing")
def test_every_figure_is_written_in_three_formats(
    tmp_path: Path, rich_records: list[dict[str, Any]]
) -> None:
    for record in rich_records:
        write_record(tmp_path, record)
    written = draw_pareto(tmp_path)
    names = _names(make_study(*rich_records))
    assert [path.relative_to(tmp_path) for path in written] == [
        Path("plots", f"{name}.{kind}") for name in names for kind in ("png", "svg", "pdf")
    ]
    assert {path.read_bytes() for path in written} == {b"drawn"}


def test_files_repeat_exactly(rich_records: list[dict[str, Any]]) -> None:
    figures = dict(plan_figures(make_study(*rich_records)))
    kinds = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    wanted = [(f"pareto-{STEM}", kind) for kind in kinds]
    wanted.append((f"densities-{STEM}", "svg"))
    with rendering.figure_style():
        for name, kind in wanted:
            first, again = (rendering.render(figures[name](), kind) for _ in range(2))
            assert first.startswith(kinds[kind])
            assert not re.search(rb"<dc:date>|CreationDate", first)
            assert first == again


def _touch(folder: Path, names: Iterable[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"old")


@pytest.mark.usefixtures("no_drawing")
def test_stale_figures_of_ours_are_deleted_and_no_others(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    stale = [
        "pareto-cifar100-vgg11-paper.png",
        "pareto-cifar10-resnet20-quick-with-published.pdf",
        "curves-digits-resnet20-smoke-epochs2.svg",
        "densities-cifar10-resnet20-quick.svg",
        "init-std-my_data-my_net-my-recipe.png",
        "sheet-paper.png",
        "sheet-quick-validation.pdf",
    ]
    kept = [
        "pareto-by-hand.png",
        "pareto-cifar10-resnet20-quick.csv",
        "notes-cifar10-resnet20-quick.png",
        "old-pareto-cifar10-resnet20-quick.png",
        "pareto-cifar10-resnet20-quick.png.bak",
        "sheet-quickly.png",
        "README.md",
    ]
    folder = tmp_path / "plots"
    _touch(folder, [*stale, *kept])
    foreign = make_record(dataset="my_data", arch="my_net", status="failed")
    written = save_figures(make_study(make_record(), foreign, results_dir=tmp_path))
    names = {path.name for path in folder.iterdir()}
    assert names == {*kept, *(path.name for path in written)}
    assert (folder / f"pareto-{STEM}.png").read_bytes() == b"drawn"


def test_nothing_to_draw_changes_nothing(tmp_path: Path, make_record: MakeRecord) -> None:
    _touch(tmp_path / "plots", [f"pareto-{STEM}.png"])
    study = make_study(make_record(status="failed"), results_dir=tmp_path)
    assert save_figures(study) == []
    assert draw_pareto(tmp_path) == []
    assert [path.name for path in (tmp_path / "plots").iterdir()] == [f"pareto-{STEM}.png"]


def test_published_curves_only_beside_recipe_paper(tmp_path: Path, make_record: MakeRecord) -> None:
    records = [
        make_record(dataset=dataset, arch=arch, recipe=recipe, epochs=160)
        for dataset in ("cifar10", "digits")
        for arch in ("resnet20", "vgg11")
        for recipe in ("paper", "quick")
    ]
    study = make_study(*records, results_dir=tmp_path)
    assert not [name for name in _names(study, overlay_reference=True) if "published" in name]
    _add_reference(tmp_path)
    paper, quick = (f"pareto-cifar10-vgg11-{name}-with-published" for name in ("paper", "quick"))
    assert [name for name in _names(study) if "published" in name] == [paper]
    every = [name for name in _names(study, overlay_reference=True) if "published" in name]
    assert every == [paper, quick]


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 20}, {"dataset_options": {"is_partial": True}}, {"evaluation_split": "validation"}],
    ids=["epochs", "data", "split"],
)
def test_a_changed_recipe_is_not_the_published_one(
    tmp_path: Path, make_record: MakeRecord, changes: dict[str, Any]
) -> None:
    _add_reference(tmp_path)
    settings = {"arch": "vgg11", "recipe": "paper", "epochs": 160}
    record = make_record(**settings)
    assert f"pareto-{PAPER}-with-published" in _names(make_study(record, results_dir=tmp_path))
    record = make_record(**settings | changes)
    record["metrics"]["validation_accuracy"] = 80.0
    names = _names(make_study(record, results_dir=tmp_path))
    assert not [name for name in names if "published" in name]


def test_the_users_settings_do_not_matter(tmp_path: Path, make_record: MakeRecord) -> None:
    study = make_study(make_record(), results_dir=tmp_path)
    (name, render), *_ = plan_figures(study)
    with rendering.figure_style():
        plain = rendering.render(render(), "svg")
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "red"}), rendering.figure_style():
        assert rendering.render(render(), "svg") == plain
    assert name == f"pareto-{STEM}"


def test_no_warnings_while_a_folder_grows(rich_records: list[dict[str, Any]]) -> None:
    with warnings.catch_warnings(), rendering.figure_style():
        warnings.simplefilter("error")
        for count in (1, len(rich_records)):
            for _, render in plan_figures(make_study(*rich_records[:count])):
                render().draw_without_rendering()
