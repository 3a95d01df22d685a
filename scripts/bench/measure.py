"""The whole measurement as one JSON-ready dict: rates, sweeps, training by turns, recovery."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import torch

from rps_bench.engine.names import PLAIN
from rps_bench.records import collect_provenance
from rps_bench.runtime.devices import resolve_device
from rps_bench.training.precision import resolve_precision
from scripts.bench.cells import BASELINE, count_needs, describe_cell, say, start_sides, take_turns
from scripts.bench.children import call_apart
from scripts.bench.jobs import Cell, find_kernels, list_cells, list_jobs
from scripts.bench.notes import NOTES
from scripts.bench.options import Options
from scripts.bench.rates import keep_best, measure_rates
from scripts.bench.recovery import RecoveryJob, measure_recovery
from scripts.bench.subject import BATCH_SIZE, Job
from scripts.bench.sweeps import measure_sweeps
from scripts.bench.waiting import measure_waiting

Sides = Mapping[str, Job]


def measure_training(options: Options) -> dict[str, Any]:
    """Measure everything that the options ask for.

    Raises:
        UserError: The device does not exist, or a network or compression cannot be built.
        ExplainedError: A side or a sweep failed.
    """
    device = str(resolve_device(options.device))
    is_cpu = device == "cpu"
    provenance = collect_provenance()
    precision = resolve_precision("auto", torch.device(device))
    precisions = list(dict.fromkeys(("fp32", precision)))
    cells = list_cells(options, device)
    # First, as it finds what cannot be built.
    needs = [count_needs(own.arch, options.width, own.compression, precisions) for own in cells]
    kernels = call_apart(find_kernels, device)  # compiled before anything is timed
    jobs = [list_jobs(options, device, cell, precisions, kernels) for cell in cells]
    sweep = measure_sweeps(options.sweeps, options.width) if is_cpu else None
    rates, rounds = _measure_turns(jobs, device, options.rounds)
    described = {key: value for key, value in asdict(options).items() if key != "output"}
    described |= {"device": device, "images": jobs[0][BASELINE].images}
    described |= {"threads": list(rates), "steps": jobs[0][BASELINE].num_steps}
    described |= {"batch_size": BATCH_SIZE}
    return {
        "hardware": name_hardware(provenance, device),
        "provenance": provenance,
        "options": described,
        "notes": list(NOTES),
        "kernels": {short: own._asdict() for short, own in kernels.items()},
        "rates": [{"num_threads": count, **own} for count, own in rates.items()],
        "training": [
            describe_cell(sides, own, need, rates[cell.num_threads])
            for cell, sides, own, need in zip(cells, jobs, rounds, needs, strict=True)
        ],
        "recovery": _measure_recovery(options, device, precision, cells),
        "waiting": _measure_waiting(jobs, options.rounds) if is_cpu else [],
        "sweep": sweep,
    }


def _measure_turns(
    jobs: Sequence[Sides], device: str, num_rounds: int
) -> tuple[dict[int, dict[str, Any]], list[dict[str, list[dict[str, Any]]]]]:
    """The machine's rates by number of threads, and the rounds of each cell."""
    threads = dict.fromkeys(sides[BASELINE].num_threads for sides in jobs)
    say("the machine's rates")
    before = {count: call_apart(measure_rates, device, count) for count in threads}
    rounds = []
    for sides in jobs:
        with ExitStack() as stack:
            rounds.append(take_turns(sides, start_sides(sides, stack), num_rounds))
    after = {count: call_apart(measure_rates, device, count) for count in threads}
    return {count: keep_best(before[count], after[count]) for count in threads}, rounds


def _measure_recovery(
    options: Options, device: str, precision: str, cells: Sequence[Cell]
) -> list[dict[str, Any]]:
    """The recovery of the weights of every network and compression, with the threads of a run."""
    say("recovery of the weights")
    return [
        call_apart(
            measure_recovery,
            RecoveryJob(arch, options.width, compression, device, precision, options.repeats),
        )
        for arch, compression in dict.fromkeys(cell[:2] for cell in cells)
    ]


def _measure_waiting(jobs: Sequence[Sides], num_rounds: int) -> list[dict[str, Any]]:
    """For the first network, with the most threads: one has none to wait for."""
    plain = [sides[f"{PLAIN} fp32"] for sides in jobs]
    own = [job for job in plain if job.arch == plain[0].arch]
    return measure_waiting(max(own, key=lambda job: job.num_threads), num_rounds)


def name_hardware(provenance: Mapping[str, Any], device: str) -> str:
    """A short name of the hardware for files: the GPU, or the CPU's model and number of cores."""
    if device != "cpu":
        words = torch.cuda.get_device_name(torch.device(device))
    else:
        noise = r"\((R|TM)\)|\bCPU\b|@.*GHz"
        model = re.sub(noise, " ", provenance["cpu_model"] or "unknown")
        words = f"{model} {provenance['cpu_count']} cores"
    return "-".join(re.findall(r"[a-z0-9]+", words.lower()))
