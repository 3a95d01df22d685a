"""The benchmark compares like with like, and its file holds what it promises. Nothing is timed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import torch

from rps_bench.core.errors import ExplainedError
from rps_bench.methods import build_method, methods_of
from rps_bench.models import ARCHITECTURES
from rps_bench.runtime.waiting import NUM_SPINS, VARIABLES, choose_waiting, stated_waiting
from rps_bench.training.loop import Trainer, Training
from scripts.bench import cells, children, measure, rates, sides, subject, sweeps, waiting
from scripts.bench.__main__ import main
from scripts.bench.busy import busy_processes
from scripts.bench.children import Child, waiting_of_a_run
from scripts.bench.conventional import build_loop, make_loader
from scripts.bench.jobs import Cell, Kernels, list_jobs
from scripts.bench.options import Options
from scripts.bench.sides import SIDES, EagerSide
from scripts.bench.subject import Job, build_network, draw_images, make_recipe
from scripts.bench.sweeps import Sweep
from scripts.bench.traffic import count_traffic_bytes

CPU = torch.device("cpu")
TINY = ("--width", "2", "--steps", "1", "--rounds", "2", "--repeats", "1", "--device", "cpu")
JOB = Job(
    side="plain",
    kernels="plain",
    precision="fp32",
    arch="resnet20",
    width=2,
    compression=10.0,
    device="cpu",
    images="random",
    num_steps=1,
    num_threads=1,
    num_workers=0,
    waiting={},
)
KERNELS = {"plain": Kernels("plain", None), "products": Kernels("products-1", None)}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_both_sides_train_the_same_network(arch: str) -> None:
    """Two steps: losses before each, so also gradients, their scaling and the update."""
    model, dataset, recipe = build_network(arch, 4).double(), draw_images(32), make_recipe(1)
    compressed = build_method("stable_rps", 10).compress(model, subject.make_probe(CPU))
    loop = build_loop(model, compressed, make_loader(dataset, 16, 0, is_pinned=False), recipe)
    trainer = Trainer(compressed, Training(dataset, recipe, 0, "fp32"))
    trainer.model.train()
    images, labels = (part[:16] for part in subject.make_probe(CPU))
    images = images.double()

    for _ in range(2):
        wanted = float(trainer.train_step(images, labels).detach())
        assert loop.train_step(images, labels) == pytest.approx(wanted, rel=1e-5)
    own = dict(loop.network.named_parameters())
    (repository,) = loop.scales
    torch.testing.assert_close(repository.detach(), compressed.stored.detach())
    for name, parameter in compressed.skeleton.named_parameters():
        torch.testing.assert_close(own[name].detach(), parameter.detach(), msg=name)


def test_the_conventional_loop_stores_an_index_for_each_weight() -> None:
    model, dataset = build_network("resnet20", 2), draw_images(16)
    compressed = build_method("stable_rps", 10).compress(model, subject.make_probe(CPU))
    loader = make_loader(dataset, 16, 0, is_pinned=False)
    loop = build_loop(model, compressed, loader, make_recipe(1))
    buffers = dict(loop.network.named_buffers())
    indices = [value for name, value in buffers.items() if name.endswith(".index")]
    assert torch.equal(
        torch.cat([index.flatten() for index in indices]), compressed.weight_map.slots()
    )
    images, labels = next(loop.batches)
    assert (images.shape, images.dtype) == ((16, 3, 32, 32), torch.float32)
    assert images.is_contiguous()
    assert labels.dtype == torch.int64


class HereChild:
    """A side in this process: everything that a child does but the process."""

    def __init__(self, job: Job) -> None:
        self.side = SIDES[job.side](job)

    def take_round(self) -> dict[str, Any]:
        return children._measure_round(self.side, CPU)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Everything in this process and small; the folder it works in."""

    def call(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "call_apart", call)
    monkeypatch.setattr(cells, "Child", HereChild)
    monkeypatch.setattr(subject, "load_images", lambda images: draw_images(256))
    monkeypatch.setattr(cells, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(rates, "CONVOLUTION", (2, 4, 8, 8))
    for name, value in {"NUM_TIMES": 1, "MATRIX_SIZE": 8, "COPY_BYTES": 64}.items():
        monkeypatch.setattr(rates, name, value)
    monkeypatch.setattr(measure, "find_kernels", lambda device: KERNELS)
    monkeypatch.setattr(sweeps, "run_sweep", lambda words, num_runs: make_sweep(words, num_runs))
    for module in (rates, sides):  # this process keeps its own number
        monkeypatch.setattr(module, "set_threads", lambda wanted: None)
    return tmp_path


def make_sweep(words: Sequence[str], num_runs: int) -> Sweep:
    """A sweep that took 16 seconds by plain kernels, and 8 by others."""
    is_plain = "engine=plain" in words
    kernels = "plain" if is_plain else "products-1"
    record = {"config": {"kernels": kernels}, "cost": {"peak_memory_bytes": 7_000_000}}
    return Sweep(16.0 if is_plain else 8.0, [record] * num_runs)


def test_the_file_holds_what_it_promises(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--arch", "vgg11", "--images", "random", "--workers", "0", "--threads", "1", "2")
    assert main([*TINY, *words]) == 0
    (path,) = (here / "results" / "benchmarks").glob("*.json")
    measured = json.loads(path.read_text())
    assert measured["hardware"] == path.stem
    assert "git_commit" in measured["provenance"]
    assert measured["options"]["images"] == "random"
    assert measured["kernels"]["products"] == {"name": "products-1", "build": None}
    assert [rates["num_threads"] for rates in measured["rates"]] == [1, 2]
    for own in measured["rates"]:
        for kind in ("matrix", "convolution"):
            assert set(own[f"{kind}_flops_per_second"]) == {"fp32", "bf16"}
        assert own["copy_bytes_per_second"] > 0

    assert [cell["num_threads"] for cell in measured["training"]] == [1, 2]
    for cell, own in zip(measured["training"], measured["rates"], strict=True):
        check_sides(cell, own)

    (recovery,) = measured["recovery"]
    assert set(recovery["maps"]) == {*methods_of("sharing"), "mag"}
    for directions in recovery["maps"].values():
        assert set(directions) == {"recover", "send_back"}
        for direction in directions.values():
            copies = direction["seconds"] / recovery["copy_seconds"]
            assert direction["per_copy"] == pytest.approx(copies)
    assert [cell["busy_processes"] for cell in measured["waiting"]] == [0, 2]
    for cell in measured["waiting"]:
        library, run = cell["sides"].values()
        assert (library["environment"], run["environment"]) == ({}, choose_waiting({}))
        num_rounds = 2 * waiting.ROUNDS_EACH[cell["busy_processes"]]
        speeds = [side["images_per_second"] for side in (library, run)]
        assert [len(own["rounds"]) for own in speeds] == [num_rounds] * 2
        rounds = zip(speeds[1]["rounds"], speeds[0]["rounds"], strict=True)
        assert run["ratio"]["rounds"] == pytest.approx([fast / slow for fast, slow in rounds])
        assert cell["num_threads"] == 2
    commands = measured["sweep"]["sides"]
    assert {name: side["ratio"]["rounds"] for name, side in commands.items()} == {
        "before": [1, 1, 1],
        "now": [2, 2, 2],
    }
    assert commands["now"]["kernels"] == ["products-1"]
    out = capsys.readouterr().out
    assert "| vgg11 10x | 2 | products fp32 |" in out
    assert "| vgg11 10x | roast |" in out
    assert "| now: engine=native | 8.0 (8.0 to 8.0) | 2.00 (2.00 to 2.00) | 7 |" in out
    assert "| vgg11 10x | nothing | as the library has it |" in out
    assert f"| 2 busy processes | as in a run (GOMP_SPINCOUNT={NUM_SPINS}) |" in out


def check_sides(cell: dict[str, Any], own_rates: dict[str, Any]) -> None:
    """The numbers of a cell's sides agree with each other and with the rates of its threads."""
    own_sides = cell["sides"]
    assert {"conventional fp32", "plain fp32", "products fp32"} <= own_sides.keys()
    for name, side in own_sides.items():
        loop, precision = name.split()
        assert side["kernels"] == ("products-1" if loop == "products" else "plain")
        speeds = side["images_per_second"]
        assert speeds["low"] <= speeds["median"] <= speeds["high"]
        for other, key in (("conventional fp32", "conventional"), (f"plain {precision}", "plain")):
            rounds = zip(
                speeds["rounds"], own_sides[other]["images_per_second"]["rounds"], strict=True
            )
            ratio = side[f"ratio_to_{key}"]
            assert ratio["rounds"] == pytest.approx([fast / slow for fast, slow in rounds])
            assert len(ratio["rounds"]) == 2
            assert ratio["median"] == pytest.approx(sum(ratio["rounds"]) / 2)
        flops = 2 * 3 * cell["macs"] * speeds["median"]
        rate = own_rates["matrix_flops_per_second"][precision]
        assert side["share_of_matrix_rate"] == pytest.approx(flops / rate)
        moved = cell["traffic_bytes"][precision] * speeds["median"]
        rate = own_rates["copy_bytes_per_second"]
        assert side["share_of_copy_rate"] == pytest.approx(moved / rate)
        assert side["peak_memory_bytes"] > 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--arch", "resnet"), f"arch must be one of {', '.join(ARCHITECTURES)}, got resnet"),
        (("--steps", "0"), "steps must be a whole number from 1 to 390, got 0"),
        (("--steps", "391"), "steps must be a whole number from 1 to 390, got 391"),
        (("--rounds", "many"), "argument --rounds: invalid int value: 'many'"),
        (("--threads", "0"), "threads must be a whole number from 1 up, got 0"),
        (("--sweeps", "-1"), "sweeps must be a whole number from 0 up, got -1"),
        (("--compression", "ten"), "compression must be numbers such as 10,100, got ten"),
        (("--compression", "1e9"), "compression 1e+09 leaves none of"),
        (("--device", "tpu"), "device tpu is not there"),
        (("--colour", "red"), "unrecognized arguments: --colour red"),
    ],
)
def test_bad_options_end_in_one_line(
    words: tuple[str, str],
    says: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*TINY, *words]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith(f"rps_bench: error: {says}")
    assert out == ""
    assert list(here.iterdir()) == []


def test_of_two_measured_rates_the_higher_one_is_kept() -> None:
    rate = {"matrix_flops_per_second": {"fp32": 2.0, "bf16": 5.0}, "copy_bytes_per_second": 1.0}
    other = {"matrix_flops_per_second": {"fp32": 3.0, "bf16": 4.0}, "copy_bytes_per_second": 7.0}
    assert rates.keep_best(rate, other) == {
        "matrix_flops_per_second": {"fp32": 3.0, "bf16": 5.0},
        "copy_bytes_per_second": 7.0,
    }


def test_traffic_counts_the_outputs_of_convolutions() -> None:
    stem, first, shortcut = 16 * 32**2, 6 * 16 * 32**2, 32 * 16**2 + 64 * 8**2
    outputs = stem + first + 6 * 32 * 16**2 + 6 * 64 * 8**2 + shortcut
    assert count_traffic_bytes(build_network("resnet20", None), 32, "bf16") == 14 * 2 * outputs


@pytest.mark.slow
def test_a_process_of_its_own_does_rounds() -> None:
    with Child(JOB) as child:
        for _ in range(2):
            measured = child.take_round()
            assert measured["seconds"] > 0
            assert measured["peak_memory_bytes"] > 0
    assert child.process.exitcode == 0


def test_an_eager_side_has_no_captured_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "load_images", lambda images: draw_images(256))
    monkeypatch.setattr(sides, "set_threads", lambda wanted: None)
    side = EagerSide(JOB._replace(side="eager"))
    side.take_round()
    assert side.trainer.captured is None
    assert side.trainer.step == 1


def test_a_side_that_fails_says_why() -> None:
    with (
        Child(JOB._replace(compression=1e9)) as child,
        pytest.raises(ExplainedError, match=r"^plain, resnet20: .* leaves none of"),
    ):
        child.take_round()
    assert child.process.exitcode == 0


@pytest.mark.parametrize(
    ("model", "slug"),
    [
        ("AMD EPYC", "amd-epyc-2-cores"),
        ("Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz", "intel-xeon-gold-6230-2-cores"),
        (None, "unknown-2-cores"),
    ],
)
def test_files_are_named_after_the_hardware(model: str | None, slug: str) -> None:
    assert measure.name_hardware({"cpu_model": model, "cpu_count": 2}, "cpu") == slug


def test_processes_are_busy_and_end_with_the_block() -> None:
    seen: list[int] = []

    def interrupt() -> None:
        with busy_processes(2) as ids:
            seen.extend(ids)
            before = [count_ticks(number) for number in ids]
            while any(count_ticks(n) == used for n, used in zip(ids, before, strict=True)):
                pass
            os.kill(ids[0], signal.SIGINT)  # a terminal sends it to them, too
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert len({*seen}) == 2
    assert not [number for number in seen if is_alive(number)]


def test_busy_processes_end_with_one_that_is_killed() -> None:
    program = (
        "import time\n"
        "from scripts.bench.busy import busy_processes\n"
        "with busy_processes(1) as ids:\n"
        "    print(*ids, flush=True)\n"
        "    time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        number = int(process.stdout.readline())
        assert is_alive(number)
        process.kill()
    while is_alive(number):  # forever, if it does not end
        time.sleep(0.01)


def count_ticks(number: int) -> int:
    """Processor time that a process has used, in ticks of the system."""
    return sum(map(int, Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[11:13]))


def is_alive(number: int) -> bool:
    """Whether a process is there, and not only its exit status."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_process_of_its_own_waits_as_its_job_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wanted = {"GOMP_SPINCOUNT": "7"}
    with Child(JOB._replace(waiting=wanted)) as child:
        child.take_round()  # until then it may be a copy of this process
        path = Path(f"/proc/{child.process.pid}/environ")
        started = dict(word.split("=", 1) for word in path.read_text().split("\0") if word)
    assert {key: value for key, value in started.items() if key in VARIABLES} == wanted
    assert stated_waiting(os.environ) == {"OMP_WAIT_POLICY": "ACTIVE"}


def test_sides_wait_as_what_they_stand_for() -> None:
    """The usual loop knows nothing of it, and of the two that are compared only one does."""
    compared = list_jobs(Options(), "cpu", Cell("resnet20", 10.0, 2), ("fp32", "bf16"), KERNELS)
    assert compared["conventional fp32"].waiting == stated_waiting(os.environ)
    assert (
        compared["plain fp32"].waiting == compared["plain bf16"].waiting == waiting_of_a_run() != {}
    )
    assert {
        name: dict(job.waiting) for name, job in waiting.list_jobs(compared["plain fp32"]).items()
    } == {waiting.LIBRARY: {}, waiting.RUN: choose_waiting({})}
