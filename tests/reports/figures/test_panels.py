from collections.abc import Callable
from typing import Any

from rps_bench.reports.figures.small_print import describe_panels
from tests.reports.figures.conftest import make_panels

MakeRecord = Callable[..., dict[str, Any]]


def test_recipe_variants_get_figures_of_their_own(make_record: MakeRecord) -> None:
    panels = make_panels(
        make_record(seed=0, epochs=3),
        make_record(seed=1, epochs=30),
        make_record(seed=2, epochs=30),
        make_record(evaluation_split="validation", accuracy=None, status="diverged"),
        make_record(recipe="a/b"),
        make_record(arch="vgg11", status="failed"),
    )
    assert [(panel.stem, panel.is_main) for panel in panels] == [
        ("cifar10-resnet20-a-b", True),
        ("cifar10-resnet20-quick", True),
        ("cifar10-resnet20-quick-epochs3", False),
        ("cifar10-resnet20-quick-validation", True),
    ]
    assert len(panels[1].runs) == 2
    assert describe_panels([panels[2]])[0].startswith("Recipe quick, 3 epochs")


def test_a_point_of_failed_runs_only_is_left_out_and_counted(make_record: MakeRecord) -> None:
    (panel,) = make_panels(
        make_record(), make_record("snip", status="failed"), make_record("rand", status="diverged")
    )
    assert panel.points["method"].tolist() == ["mag", "rand"]
    assert panel.num_failed == 1


def test_a_run_recorded_twice_counts_once(make_record: MakeRecord) -> None:
    older = {"started_at": "2026-11-01T10:00:00+00:00"}
    (panel,) = make_panels(make_record(accuracy=80.0), make_record(accuracy=10.0, provenance=older))
    assert panel.points[["mean", "n"]].to_numpy().tolist() == [[80.0, 1]]


def test_small_print_names_the_gpu(make_record: MakeRecord) -> None:
    gpu = {"gpu_name": "Test GPU", "started_at": None}
    panels = make_panels(make_record(device="cuda:0", precision="bf16", provenance=gpu))
    lines = ["Recipe quick, 3 epochs; 1 seed per point; bf16", "Test GPU"]
    assert describe_panels(panels) == lines
    assert describe_panels(panels, ["a note", "another"]) == [*lines, "a note; another"]


def test_small_print_of_several_panels(make_record: MakeRecord) -> None:
    later = {"started_at": "2026-11-22T10:00:00+00:00", "cpu_model": "Other CPU"}
    panels = make_panels(
        make_record(recipe="paper", epochs=160, seed=0),
        make_record(recipe="paper", epochs=160, seed=1),
        make_record(recipe="paper", epochs=100, dataset="digits", provenance=later),
    )
    first, second = describe_panels(panels, spread="mean")
    assert first == "Recipe paper, 100 or 160 epochs; 1 to 2 seeds per point, mean; fp32"
    assert second == "Test CPU (2 CPUs) and Other CPU (2 CPUs); newest run 2026-11-22"
