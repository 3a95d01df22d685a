"""Benchmark of one network at one compression: its sides take turns, and their numbers."""

import statistics
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch

from rps_bench.costs.macs import measure_macs
from rps_bench.engine.names import PLAIN
from rps_bench.methods import build_method
from scripts.bench.children import Child
from scripts.bench.subject import (
    BATCH_SIZE,
    IMAGE_SIZE,
    METHOD,
    SEED,
    Job,
    build_network,
    make_probe,
)
from scripts.bench.traffic import count_traffic_bytes

BASELINE = "conventional fp32"
PAUSE_SECONDS = 0.1  # threads of the previous side may still be spinning


def count_needs(
    arch: str, width: int | None, compression: float, precisions: Collection[str]
) -> dict[str, Any]:
    """The ``macs`` of a forward pass and the ``traffic_bytes`` of training, for one image."""
    model = build_network(arch, width)
    method = build_method(METHOD, compression, SEED)
    compressed = method.compress(model, make_probe(torch.device("cpu")))
    return {
        "macs": measure_macs(compressed, IMAGE_SIZE)["macs"],
        "traffic_bytes": {
            precision: count_traffic_bytes(model, IMAGE_SIZE, precision)
            for precision in sorted(precisions)
        },
    }


def start_sides(jobs: Mapping[str, Job], stack: ExitStack) -> dict[str, Child]:
    """Start a process for each side; they end with the stack."""
    return {name: stack.enter_context(Child(job)) for name, job in jobs.items()}


def take_turns(
    jobs: Mapping[str, Job], children: Mapping[str, Child], num_rounds: int
) -> dict[str, list[dict[str, Any]]]:
    """The timed rounds of all sides, which take turns; a first warm-up round is not returned."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    for number in range(num_rounds + 1):
        for name, child in children.items():
            time.sleep(PAUSE_SECONDS)
            rounds[name].append(child.take_round())
            _say_round(jobs[name], name, number, num_rounds, rounds[name][-1]["seconds"])
    return {name: own[1:] for name, own in rounds.items()}


def _say_round(job: Job, name: str, number: int, num_rounds: int, seconds: float) -> None:
    which = f"round {number} of {num_rounds}" if number else "warm-up"
    speed = job.num_steps * BATCH_SIZE / seconds
    cell = f"{job.arch} {job.compression:g}x, threads {job.num_threads}"
    say(f"{cell}, {name}: {which}, {speed:.0f} images/s")


def describe_cell(
    jobs: Mapping[str, Job],
    rounds: Mapping[str, Sequence[Mapping[str, Any]]],
    needs: Mapping[str, Any],
    rates: Mapping[str, Any],
) -> dict[str, Any]:
    """The numbers of one network, compression and number of threads, by side."""
    job = jobs[BASELINE]
    speeds = {
        name: [job.num_steps * BATCH_SIZE / round_["seconds"] for round_ in own]
        for name, own in rounds.items()
    }
    sides = {
        name: {
            "kernels": own.kernels,
            "images_per_second": summarise(speeds[name]),
            "ratio_to_conventional": compare_speeds(speeds[name], speeds[BASELINE]),
            "ratio_to_plain": compare_speeds(speeds[name], speeds[f"{PLAIN} {own.precision}"]),
            **_share(statistics.median(speeds[name]), own.precision, needs, rates),
            "peak_memory_bytes": rounds[name][-1]["peak_memory_bytes"],
            "workers_memory_bytes": rounds[name][-1]["workers_memory_bytes"],
        }
        for name, own in jobs.items()
    }
    names = {"arch": job.arch, "method": METHOD, "compression": job.compression}
    return {**names, "num_threads": job.num_threads, **needs, "sides": sides}


def compare_speeds(speeds: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    """The ratios of the rounds, summarised: sides that took turns saw the same machine."""
    return summarise([fast / slow for fast, slow in zip(speeds, baseline, strict=True)])


def _share(
    speed: float, precision: str, needs: Mapping[str, Any], rates: Mapping[str, Any]
) -> dict[str, float]:
    """The fractions of the machine's measured rates that a speed in images per second uses."""
    flops = 2 * 3 * needs["macs"] * speed
    traffic = needs["traffic_bytes"][precision] * speed
    return {
        "share_of_matrix_rate": flops / rates["matrix_flops_per_second"][precision],
        "share_of_copy_rate": traffic / rates["copy_bytes_per_second"],
    }


def summarise(values: Sequence[float]) -> dict[str, Any]:
    """The median, lowest, highest and all values."""
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "rounds": list(values),
    }


def say(line: str) -> None:
    """Print progress on standard error: standard output is for the tables."""
    print(line, file=sys.stderr, flush=True)
