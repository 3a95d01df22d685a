"""The whole measurement: rates, both sides in turns, recovery; one JSON-ready dict."""

import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import torch

from rps_bench.costs.macs import measure_macs
from rps_bench.devices import resolve_device
from rps_bench.methods import build_method
from rps_bench.records import collect_provenance
from rps_bench.training.precision import resolve_precision
from scripts.bench.children import Child, call_apart
from scripts.bench.options import Options
from scripts.bench.rates import measure_rates
from scripts.bench.recovery import RecoveryJob, measure_recovery
from scripts.bench.subject import (
    BATCH_SIZE,
    METHOD,
    SEED,
    Job,
    build_network,
    choose_images,
    make_probe,
)

BASELINE = "conventional fp32"
NOTES = (
    "images_per_second: median, lowest and highest of the rounds, which the sides took in turns; "
    "the first round of each is not counted",
    f"ratio: against {BASELINE}, of the medians; lowest and highest of the rounds' own ratios",
    "share_of_matrix_rate: 2 * 3 * macs * images_per_second / matrix_flops_per_second of the same "
    "precision. The backward pass counts twice the forward one; the gradient with respect to the "
    "images, which nobody computes, is counted with it. A GPU's convolutions in fp32 may be "
    "rounded to TF32, its matrix rate is not",
    "peak_memory_bytes: resident memory of the process during rounds, libraries included; on a "
    "GPU what its tensors took. workers_memory_bytes: what the processes that load images hold "
    "for themselves",
    "conventional: what its workers load while it rests is in its favour, two batches for each",
    "per_copy: against copying as many floats as the network has weights",
)


def measure_training(options: Options) -> dict[str, Any]:
    """Measure what the options ask for.

    Raises:
        UserError: A device that is not there, or a network or compression that cannot be built.
        ExplainedError: A side failed.
    """
    device = str(resolve_device(options.device))
    provenance = collect_provenance()
    precision = resolve_precision("auto", torch.device(device))
    jobs = [_list_jobs(options, device, cell, precision) for cell in _list_cells(options)]
    macs = [_count_macs(sides[BASELINE]) for sides in jobs]  # first: it builds what is asked for
    say("the machine's rates")
    rates = call_apart(measure_rates, device)
    training = [
        _measure_cell(sides, options.rounds, own, rates)
        for sides, own in zip(jobs, macs, strict=True)
    ]
    say("recovery of the weights")
    recovery = [
        call_apart(
            measure_recovery,
            RecoveryJob(arch, options.width, compression, device, precision, options.repeats),
        )
        for arch, compression in _list_cells(options)
    ]
    described = {key: value for key, value in asdict(options).items() if key != "output"}
    described |= {"device": device, "images": jobs[0][BASELINE].images}
    described |= {"steps": jobs[0][BASELINE].num_steps, "batch_size": BATCH_SIZE}
    return {
        "hardware": name_hardware(provenance, device),
        "provenance": provenance,
        "options": described,
        "notes": list(NOTES),
        "rates": rates,
        "training": training,
        "recovery": recovery,
    }


def _list_cells(options: Options) -> list[tuple[str, float]]:
    return [(arch, compression) for arch in options.arch for compression in options.compression]


def _list_jobs(
    options: Options, device: str, cell: tuple[str, float], precision: str
) -> dict[str, Job]:
    """The sides by name: the baseline, and the engine in fp32 and in its own precision."""
    num_steps = options.steps or (20 if device == "cpu" else 200)
    images, (arch, compression) = choose_images(options.images), cell
    sides = [("conventional", "fp32"), ("engine", "fp32"), ("engine", precision)]
    return {
        f"{side} {own}": Job(
            side, own, arch, options.width, compression, device, images, num_steps, options.workers
        )
        for side, own in sides
    }


def _measure_cell(
    jobs: Mapping[str, Job], num_rounds: int, macs: int, rates: Mapping[str, Any]
) -> dict[str, Any]:
    """The sides of one network and compression."""
    job = jobs[BASELINE]
    rounds = _take_turns(jobs, num_rounds)
    speeds = {
        name: [job.num_steps * BATCH_SIZE / own["seconds"] for own in rounds[name]]
        for name in rounds
    }
    sides = {}
    for name, own in jobs.items():
        rate = rates["matrix_flops_per_second"][own.precision]
        ratios = [fast / slow for fast, slow in zip(speeds[name], speeds[BASELINE], strict=True)]
        sides[name] = {
            "images_per_second": _summarise(speeds[name]),
            "ratio": _summarise(ratios)
            | {"median": statistics.median(speeds[name]) / statistics.median(speeds[BASELINE])},
            "share_of_matrix_rate": 6 * macs * statistics.median(speeds[name]) / rate,
        }
        for key in ("peak_memory_bytes", "workers_memory_bytes"):
            sides[name][key] = max(round_[key] for round_ in rounds[name])
    names = {"arch": job.arch, "method": METHOD, "compression": job.compression}
    return names | {"macs": macs, "sides": sides}


def _count_macs(job: Job) -> int:
    """Multiply-accumulates of one image's forward pass."""
    method = build_method(METHOD, job.compression, SEED)
    compressed = method.compress(
        build_network(job.arch, job.width), make_probe(torch.device("cpu"))
    )
    return measure_macs(compressed, 32)["macs"]


def _take_turns(jobs: Mapping[str, Job], num_rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Rounds of all sides, A B C A B C ...; each side's first one is not returned."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    with ExitStack() as stack:
        children = {name: stack.enter_context(Child(job)) for name, job in jobs.items()}
        for number in range(num_rounds + 1):
            for name, child in children.items():
                rounds[name].append(child.take_round())
                _say_round(jobs[name], name, number, num_rounds, rounds[name][-1]["seconds"])
    return {name: own[1:] for name, own in rounds.items()}


def _say_round(job: Job, name: str, number: int, num_rounds: int, seconds: float) -> None:
    which = f"round {number} of {num_rounds}" if number else "warm-up"
    speed = job.num_steps * BATCH_SIZE / seconds
    say(f"{job.arch} {job.compression:g}x, {name}: {which}, {speed:.0f} images/s")


def _summarise(values: Sequence[float]) -> dict[str, Any]:
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "rounds": list(values),
    }


def name_hardware(provenance: Mapping[str, Any], device: str) -> str:
    """A short name for files: of the GPU, or of the CPU's model and number of cores."""
    if device != "cpu":
        words = torch.cuda.get_device_name(torch.device(device))
    else:
        noise = r"\((R|TM)\)|\bCPU\b|@.*GHz"
        model = re.sub(noise, " ", provenance["cpu_model"] or "unknown")
        words = f"{model} {provenance['cpu_count']} cores"
    return "-".join(re.findall(r"[a-z0-9]+", words.lower()))


def say(line: str) -> None:
    """Progress goes to standard error: standard output holds the tables."""
    print(line, file=sys.stderr, flush=True)
