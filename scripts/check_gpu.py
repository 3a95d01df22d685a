"""Check that a GPU computes correct results, and how fast: one call of under 8 minutes.

    python -m scripts.check_gpu [--seconds 450] [--output FILE] [--population 8]

Run it in the folder of the checkout, which need not be installed. Each stage runs in separate
processes with a time limit: the tests that need a GPU (if pytest and hypothesis are installed), the
benchmark of training, single runs of the command line and several at once in one process, and
accuracies for more seeds. A stage that no longer fits in the time is skipped, a failure ends only
its own stage, and the file is written after each stage, so that an abort keeps what is done. Images
are those of CIFAR-10 if its files are available, else random ones; nothing is downloaded. The
status is 2 without a GPU, 1 if a stage failed.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rps_bench.core import checks
from rps_bench.core.arguments import Parser, to_path
from rps_bench.core.atomic import write_text
from rps_bench.core.console import say
from rps_bench.core.errors import UserError, describe_failure
from rps_bench.core.output import command
from rps_bench.records import collect_provenance
from scripts.bench.children import call_apart
from scripts.bench.measure import name_hardware
from scripts.bench.rates import measure_rates
from scripts.bench.subject import choose_images
from scripts.gpu_stages import (
    Setting,
    benchmark,
    compare_accuracies,
    run_gpu_tests,
    train_alone,
    train_at_once,
)

LEAST_SECONDS = 20  # a stage is not begun with less time left


class Stage(NamedTuple):
    """A piece of work with a time limit."""

    name: str
    seconds: float
    work: Callable[[float], dict[str, Any]]


def list_stages(setting: Setting) -> list[Stage]:
    """The stages, the most important first: the last ones are skipped if time is short."""
    return [
        Stage("benchmark resnet20", 90, partial(benchmark, setting, "resnet20")),
        Stage("alone resnet20", 75, partial(train_alone, setting, "resnet20")),
        Stage("at once resnet20", 90, partial(train_at_once, setting, "resnet20")),
        Stage("tests", 150, partial(run_gpu_tests, setting)),
        Stage("benchmark vgg11", 90, partial(benchmark, setting, "vgg11")),
        Stage("at once vgg11", 90, partial(train_at_once, setting, "vgg11")),
        Stage("alone vgg11", 75, partial(train_alone, setting, "vgg11")),
        Stage("accuracies", 90, partial(compare_accuracies, setting)),
    ]


def run_stages(stages: Sequence[Stage], seconds: float, report: dict[str, Any], path: Path) -> bool:
    """Run the stages that fit in the time and write the report; return whether none failed."""
    deadline, is_good = time.monotonic() + seconds, True
    report["stages"] = {}
    for stage in stages:
        left = min(stage.seconds, deadline - time.monotonic())
        done = {"skipped": "no time is left"} if left < LEAST_SECONDS else _do(stage, left)
        report["stages"][stage.name] = done
        is_good = is_good and "failed" not in done
        write_text(path, json.dumps(report, indent=2) + "\n")
        say(f"{stage.name}: {_describe(done)}")
    return is_good


def _do(stage: Stage, seconds: float) -> dict[str, Any]:
    started = time.monotonic()
    try:
        done = stage.work(seconds)
    except Exception as error:
        done = {"failed": describe_failure(error)}
    return done | {"stage_seconds": round(time.monotonic() - started, 1)}


def _describe(done: dict[str, Any]) -> str:
    """The outcome of a stage in one line."""
    for word in ("skipped", "failed"):
        if word in done:
            return f"{word}: {done[word]}"
    speeds = _list_speeds(done)
    facts = [f"{key} {value}" for key, value in done.get("counts", {}).items()]
    facts += [f"{key} {value['mean']:.2f}%" for key, value in done.items() if _has_mean(value)]
    facts += [f"{name} {speed:.0f} images/s{_floor_of(own)}" for name, speed, own in speeds]
    return f"{', '.join(facts)} ({done['stage_seconds']} s)"


def _has_mean(value: object) -> bool:
    return isinstance(value, dict) and "mean" in value


def _list_speeds(done: dict[str, Any]) -> list[tuple[str, float, dict[str, Any]]]:
    if "training" in done:
        sides = done["training"][0]["sides"].items()
        return [(name, own["images_per_second"]["median"], own) for name, own in sides]
    parts = {"all": done} if "images_per_second" in done else done
    return [
        (name, own["images_per_second"], own)
        for name, own in parts.items()
        if isinstance(own, dict) and "images_per_second" in own
    ]


def _floor_of(own: dict[str, Any]) -> str:
    times = own.get("times_floor")
    return "" if times is None else f" ({times:.1f} times the floor)"


@command
def main(words: Sequence[str] | None = None) -> int:
    """Check a GPU as the words of the command line say; return the exit status."""
    parser = Parser(prog="python -m scripts.check_gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=450, help="for everything (450)")
    parser.add_argument("--output", type=to_path, help="results/benchmarks/check-<hardware>.json")
    parser.add_argument("--population", type=int, default=8, help="runs at once (8)")
    options = parser.parse_args(words)
    checks.positive_number("seconds", options.seconds)
    checks.whole_number("population", options.population, 1)
    if not torch.cuda.is_available():
        raise UserError("no CUDA device is there")
    return check(options.seconds, options.output, options.population)


def check(seconds: float, output: Path | None, num_at_once: int) -> int:
    """Run all stages; return the exit status."""
    started = time.monotonic()
    provenance = collect_provenance()
    hardware = name_hardware(provenance, "cuda")
    path = output or Path(f"results/benchmarks/check-{hardware}.json")
    report: dict[str, Any] = {"hardware": hardware, "provenance": provenance}
    try:
        report["rates"] = call_apart(measure_rates, "cuda")
    except Exception as error:  # the stages may still work
        say(f"rates: failed: {describe_failure(error)}")
    copies = report.get("rates", {}).get("copy_bytes_per_second")
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting("cuda", Path(folder), choose_images("auto"), num_at_once, copies)
        left = seconds - (time.monotonic() - started)
        is_good = run_stages(list_stages(setting), left, report, path)
    say(str(path))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
