"""What the benchmark compares: sets of kernels, numbers of threads, whole sweeps."""

from collections.abc import Mapping, Sequence

import pytest

from rps_bench.core.errors import ExplainedError
from rps_bench.engine.names import KERNEL_SETS
from rps_bench.sweep.planning import plan_runs
from rps_bench.sweep.preflight import check_buildable
from scripts.bench import jobs, sides, subject, sweeps
from scripts.bench.jobs import Cell, Kernels, find_kernels, list_cells, list_jobs
from scripts.bench.options import Options, read_options
from scripts.bench.sides import SIDES, TrainerSide
from scripts.bench.subject import draw_images
from scripts.bench.sweeps import RUNS, run_sweep
from scripts.commands import Command

PLAIN = {"plain": Kernels("plain", None)}
PRODUCTS = PLAIN | {"products": Kernels("products-1", None)}
NATIVE = PRODUCTS | {"native": Kernels("native-generic-1", "kernels-0")}


@pytest.mark.parametrize(
    ("arch", "device", "kernels", "wanted"),
    [
        ("resnet20", "cpu", NATIVE, ["plain", "plain", "native", "native"]),
        ("vgg11", "cpu", NATIVE, ["plain", "plain", "products", "products", "native", "native"]),
        ("vgg11", "cpu", PRODUCTS, ["plain", "plain", "products", "products"]),
        ("resnet20", "cuda:0", PLAIN, ["plain", "plain", "eager"]),
    ],
)
def test_every_set_is_compared_in_both_precisions(
    arch: str, device: str, kernels: Mapping[str, Kernels], wanted: list[str]
) -> None:
    compared = list_jobs(Options(), device, Cell(arch, 10.0, 1), ("fp32", "bf16"), kernels)
    assert next(iter(compared)) == "conventional fp32"
    assert [job.side for job in compared.values()] == ["conventional", *wanted]
    for name, job in compared.items():
        assert name == f"{job.side} {job.precision}"
        assert job.kernels == (kernels[job.side].name if job.side in kernels else "plain")
        assert job.side in SIDES


def test_sets_that_a_machine_cannot_have_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    without = dict(zip(KERNEL_SETS, ("plain", "products-1", "products-1"), strict=True))
    monkeypatch.setattr(jobs, "resolve_kernels", lambda short, device, say: without[short])
    assert find_kernels("cpu") == PRODUCTS
    monkeypatch.setattr(jobs, "resolve_kernels", lambda short, device, say: "plain")
    assert find_kernels("cuda") == PLAIN


@pytest.mark.parametrize(
    ("words", "device", "wanted"),
    [
        ((), "cpu", [1, 4]),
        ((), "cuda:0", [4]),
        (("--threads", "1", "2"), "cpu", [1, 2]),
        (("--threads", "3", "3"), "cpu", [3]),
    ],
)
def test_numbers_of_threads(
    words: Sequence[str], device: str, wanted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "count_threads", lambda: 4)
    found = list_cells(read_options(["--arch", "vgg11", *words]), device)
    assert found == [Cell("vgg11", 10.0, count) for count in wanted]


def test_a_side_trains_by_the_kernels_of_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "load_images", lambda images: draw_images(256))
    monkeypatch.setattr(sides, "set_threads", lambda wanted: None)
    cell = Cell("vgg11", 10.0, 1)
    options = Options(width=2, steps=1, workers=0, images="random")
    compared = list_jobs(options, "cpu", cell, ("fp32",), PRODUCTS)
    side = SIDES["products"](compared["products fp32"])
    assert isinstance(side, TrainerSide)
    assert side.trainer.training.kernels == "products-1"


@pytest.mark.slow
def test_a_sweep_leaves_a_record_for_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*RUNS, "recipe=smoke", "recipe.epochs=1", "arch.width=2"]
    assert len(run_sweep(words, 2).records) == 2
    monkeypatch.setattr(sweeps, "run_python", lambda words, seconds: Command(0, "", 1.0))
    with pytest.raises(ExplainedError, match="a sweep of 1 runs left 0 records"):
        run_sweep(words, 1)


def test_runs_of_a_sweep_can_be_planned() -> None:
    words = (*RUNS, *sweeps.COMMANDS[sweeps.NOW])
    (config,) = plan_runs(words, is_sweep=True).configs
    check_buildable([config])
    assert (config.engine, config.recipe.epochs) == ("native", 2)


def test_commands_of_a_sweep_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[tuple[str, ...], int]] = []

    def run(words: Sequence[str], num_runs: int) -> sweeps.Sweep:
        asked.append((tuple(words), num_runs))
        record = {"config": {"kernels": words[-1]}, "cost": {"peak_memory_bytes": len(asked)}}
        return sweeps.Sweep(float(len(asked)), [record] * num_runs)

    monkeypatch.setattr(sweeps, "run_sweep", run)
    assert sweeps.measure_sweeps(0) is None
    assert asked == []
    measured = sweeps.measure_sweeps(2, width=2)
    before, now = ((*RUNS, "arch.width=2", *own) for own in sweeps.COMMANDS.values())
    assert asked == [(before, 1), (now, 1), *[(before, 8), (now, 8)] * 2]
    assert measured is not None
    assert measured["sides"]["before"]["seconds"]["rounds"] == [3, 5]
    assert measured["sides"]["now"]["ratio"]["rounds"] == pytest.approx([3 / 4, 5 / 6])
    assert measured["sides"]["now"]["peak_memory_bytes"] == 6
