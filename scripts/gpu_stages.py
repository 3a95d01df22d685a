"""The stages of a GPU check: tests, timings and runs, in separate processes with time limits."""

import importlib.util
import json
import os
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rps_bench.datasets.folders import DATA_VARIABLE
from rps_bench.records import read_records
from scripts.bench.jobs import count_threads
from scripts.bench.subject import IMAGE_SIZE, build_network
from scripts.bench.traffic import count_traffic_bytes
from scripts.commands import ROOT, Command, run_command, run_python
from scripts.soak.images import write_images

RANDOM_IMAGES = {"train": 50_000, "test": 1_000}
PAPER_IMAGES = 160 * 50_000  # images seen in a training of recipe paper
RUN = ("dataset=cifar10", "method=stable_rps", "compression=10", "recipe=quick")
MORE_SEEDS = (1, 2)
OUTCOMES = ("PASSED", "FAILED", "ERROR", "SKIPPED")


@dataclass(frozen=True)
class Setting:
    """The common settings of all stages.

    Attributes:
        device: cuda; or cpu, to try the script itself.
        folder: For temporary files.
        images: cifar10 or random.
        num_at_once: Number of runs that train at once.
        copies: Measured copy bandwidth in bytes per second, None if it could not be measured.
        options: Further options of every run, such as ``arch.width=2``.
        steps: Steps in a round of the benchmark, None for its default.
    """

    device: str
    folder: Path
    images: str
    num_at_once: int
    copies: float | None
    options: tuple[str, ...] = ()
    steps: int | None = None

    def train(self, name: str, words: Sequence[str], seconds: float) -> "Runs":
        """Run a sweep by the command line, and read its records."""
        environment = {}
        if self.images == "random":
            data = self.folder / "data"
            if not data.is_dir():
                write_images(data, RANDOM_IMAGES)
            environment[DATA_VARIABLE] = str(data)
        results = self.folder / name
        own = [f"results_dir={results}", f"device={self.device}", *self.options]
        done = run_python(["rps_bench", "-m", *RUN, *words, *own], seconds, **environment)
        return Runs(list(read_records(results)[0]), done.seconds)


class Runs(NamedTuple):
    """The records of a sweep, and the seconds of the whole command."""

    records: list[dict[str, Any]]
    seconds: float


def run_gpu_tests(setting: Setting, seconds: float) -> dict[str, Any]:
    """Run the tests marked gpu: counts of outcomes, and which did not pass."""
    missing = [name for name in ("pytest", "hypothesis") if not importlib.util.find_spec(name)]
    if missing:
        return {"skipped": f"{' and '.join(missing)} not installed"}
    files = [path for path in (ROOT / "tests").rglob("*.py") if "mark.gpu" in path.read_text()]
    words = ["pytest", "-m", "gpu", "-v", "-rN", "-p", "no:cacheprovider"]
    words += ["-o", "addopts=--import-mode=importlib", *map(str, sorted(files))]
    if importlib.util.find_spec("xdist"):
        words += ["-n", "4"]
    done = run_command([sys.executable, "-m", *words], seconds)
    return summarise_tests(done)


def summarise_tests(done: Command) -> dict[str, Any]:
    """The counts of outcomes; after a failure also which tests failed and the end of the output."""
    outcomes = read_outcomes(done.output)
    counts = {word: list(outcomes.values()).count(word) for word in OUTCOMES}
    report: dict[str, Any] = {"counts": counts}
    if done.status != 0:
        how = "not done in time" if done.status is None else f"status {done.status}"
        numbers = ", ".join(f"{count} {word.lower()}" for word, count in counts.items())
        bad = [name for name, word in outcomes.items() if word in ("FAILED", "ERROR")]
        report |= {"failed": f"{how}; {numbers}", "not_passed": bad, "end": done.output[-6000:]}
    return report


def read_outcomes(output: str) -> dict[str, str]:
    """The outcome of each test, from the lines of `pytest -v`, with or without xdist."""
    outcome = f"({'|'.join(OUTCOMES)})"
    alone = re.findall(rf"^(tests/\S+?::.+?) {outcome}", output, flags=re.MULTILINE)
    divided = re.findall(rf"^\[gw\d+\].*? {outcome} (tests/\S+?::.+?) *$", output, re.MULTILINE)
    return dict(alone) | {name: word for word, name in divided}


def benchmark(setting: Setting, arch: str, seconds: float) -> dict[str, Any]:
    """Run `python -m scripts.bench` for one network: the conventional loop and plain kernels."""
    path = setting.folder / f"{arch}.json"
    words = ["--arch", arch, "--device", setting.device, "--images", setting.images]
    words += ["--rounds", "3", "--workers", str(min(8, os.cpu_count() or 1))]
    words += ["--threads", str(count_threads()), "--sweeps", "0"]
    if setting.steps is not None:
        words += ["--steps", str(setting.steps)]
    run_python(["scripts.bench", *words, "--output", str(path)], seconds)
    measured: dict[str, Any] = json.loads(path.read_text())
    (cell,) = measured["training"]
    for name, side in cell["sides"].items():
        speed, precision = side["images_per_second"]["median"], name.split()[1]
        side |= compare_with_floor(setting, arch, precision, speed)
    return {key: measured[key] for key in ("options", "notes", "rates", "training", "recovery")}


def train_alone(setting: Setting, arch: str, seconds: float) -> dict[str, Any]:
    """Train in fp32 and in bf16, each run alone on the device."""
    words = [f"arch={arch}", "precision=fp32,bf16", "seed=0"]
    runs = setting.train(f"{arch}-alone", words, seconds)
    report: dict[str, Any] = {"command_seconds": runs.seconds}
    for record in runs.records:
        precision, cost = record["config"]["precision"], record["cost"]
        report[precision] = {
            **{key: cost[key] for key in ("images_per_second", "train_seconds")},
            "peak_memory_bytes": cost["peak_memory_bytes"],
            "test_accuracy": record["metrics"]["test_accuracy"],
            **compare_with_floor(setting, arch, precision, cost["images_per_second"]),
        }
    return report


def train_at_once(setting: Setting, arch: str, seconds: float) -> dict[str, Any]:
    """Train several seeds at once in one process, in bf16.

    ``images_per_second`` is the speed of all runs together: their images over the seconds of the
    longest run.
    """
    seeds = ",".join(map(str, range(setting.num_at_once)))
    words = [f"arch={arch}", "precision=bf16", f"seed={seeds}", f"population={setting.num_at_once}"]
    runs = setting.train(f"{arch}-at-once", words, seconds)
    costs = [record["cost"] for record in runs.records]
    num_images = sum(cost["images_per_second"] * cost["train_seconds"] for cost in costs)
    speed = num_images / max(cost["train_seconds"] for cost in costs)
    return {
        "command_seconds": runs.seconds,
        "num_runs": len(costs),
        "population": max(cost.get("population", 1) for cost in costs),
        "images_per_second": speed,
        "peak_memory_bytes": max(cost["peak_memory_bytes"] for cost in costs),
        **compare_with_floor(setting, arch, "bf16", speed),
    }


def compare_accuracies(setting: Setting, seconds: float) -> dict[str, Any]:
    """Accuracies of ResNet-20 in fp32 and bf16 after recipe quick, on real images."""
    if setting.images == "random":
        return {"skipped": "random images have nothing to learn"}
    words = ["precision=fp32,bf16", f"seed={','.join(map(str, MORE_SEEDS))}"]
    found: dict[str, list[float | None]] = {}
    for record in setting.train("accuracies", words, seconds).records:
        own = found.setdefault(record["config"]["precision"], [])
        own.append(record["metrics"]["test_accuracy"])
    return {
        precision: {"test_accuracies": own, "mean": statistics.mean(a for a in own if a)}
        for precision, own in found.items()
    }


def compare_with_floor(
    setting: Setting, arch: str, precision: str, speed: float
) -> dict[str, float]:
    """A speed in images per second, compared with the bound given by memory traffic.

    floor = copy bandwidth / traffic of an image: 14 times the outputs of all convolutions, at 4 or
    2 bytes (see ``scripts/bench/traffic.py``). ``paper_seconds`` is the time of the paper's 160
    epochs at this speed.
    """
    means = {"paper_seconds": PAPER_IMAGES / speed}
    if setting.copies is not None:
        traffic = count_traffic_bytes(build_network(arch, None), IMAGE_SIZE, precision)
        floor = setting.copies / traffic
        means["paper_seconds_at_floor"] = PAPER_IMAGES / floor
        means["times_floor"] = floor / speed
    return means
