"""The whole measurement as one JSON-ready dict: machine rates, training by turns, recovery."""

import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import torch

from rps_bench.records import collect_provenance
from rps_bench.runtime.devices import resolve_device
from rps_bench.runtime.waiting import stated_waiting
from rps_bench.training.precision import resolve_precision
from scripts.bench.cells import BASELINE, count_needs, describe_cell, say, start_sides, take_turns
from scripts.bench.children import call_apart, waiting_of_a_run
from scripts.bench.options import Options
from scripts.bench.rates import keep_best, measure_rates
from scripts.bench.recovery import RecoveryJob, measure_recovery
from scripts.bench.subject import BATCH_SIZE, Job, choose_images
from scripts.bench.waiting import LIBRARY, measure_waiting

ENGINE = "engine fp32"
NOTES = (
    "rates: the best of ten times before the rounds and ten after them",
    "images_per_second: median, lowest and highest of the rounds, which the sides took in turns; "
    "the first round of each is not counted",
    f"ratio: against {BASELINE}, of the medians; lowest and highest of the rounds' own ratios",
    "share_of_matrix_rate: 2 * 3 * macs * images_per_second / matrix_flops_per_second of the same "
    "precision. The backward pass counts twice the forward one; the gradient with respect to the "
    "images, which nobody computes, is counted with it. Convolutions can be faster than matrix "
    "products (convolution_flops_per_second): a share may be above 1",
    "on a GPU: the conventional loop's convolutions are rounded to TF32, PyTorch's default; the "
    "engine's in fp32 and the matrix rate are not. eager: the engine without CUDA graphs",
    "share_of_copy_rate: traffic_bytes * images_per_second / copy_bytes_per_second. traffic_bytes: "
    "14 times the outputs of all convolutions for one image, at 4 or 2 bytes: what convolution, "
    "BatchNorm and ReLU read and write if nothing is fused and nothing stays in a cache",
    "peak_memory_bytes: resident memory of the process during rounds, libraries included; on a "
    "GPU what its tensors took. workers_memory_bytes: what the processes that load images hold "
    "for themselves",
    "conventional: what its workers load while it rests is in its favour, two batches for each",
    f"waiting: the engine in fp32, first network only, on a CPU. Ratio against threads that wait "
    f"{LIBRARY}; beside none and two processes that want a core each. At rest the machine must do "
    "nothing else",
    "per_copy: against copying as many floats as the network has weights",
)


def measure_training(options: Options) -> dict[str, Any]:
    """Measure everything that the options ask for.

    Raises:
        UserError: The device does not exist, or a network or compression cannot be built.
        ExplainedError: A side failed.
    """
    device = str(resolve_device(options.device))
    provenance = collect_provenance()
    precision = resolve_precision("auto", torch.device(device))
    jobs = [_list_jobs(options, device, cell, precision) for cell in _list_cells(options)]
    needs = [count_needs(sides) for sides in jobs]  # first, as it finds what cannot be built
    say("the machine's rates")
    before = call_apart(measure_rates, device)
    rounds = []
    for sides in jobs:
        with ExitStack() as stack:
            rounds.append(take_turns(sides, start_sides(sides, stack), options.rounds))
    rates = keep_best(before, call_apart(measure_rates, device))
    training = [describe_cell(*parts, rates) for parts in zip(jobs, rounds, needs, strict=True)]
    say("recovery of the weights")
    recovery = [
        call_apart(
            measure_recovery,
            RecoveryJob(arch, options.width, compression, device, precision, options.repeats),
        )
        for arch, compression in _list_cells(options)
    ]
    is_cpu = device == "cpu"  # next to a GPU, threads have little to do
    waiting = measure_waiting(jobs[0][ENGINE], options.rounds) if is_cpu else []
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
        "waiting": waiting,
    }


def _list_cells(options: Options) -> list[tuple[str, float]]:
    return [(arch, compression) for arch in options.arch for compression in options.compression]


def _list_jobs(
    options: Options, device: str, cell: tuple[str, float], precision: str
) -> dict[str, Job]:
    """The sides by name: baseline, engine in fp32 and in its own precision.

    On a GPU, the engine without CUDA graphs as well.
    """
    num_steps = options.steps or (20 if device == "cpu" else 200)
    images, (arch, compression) = choose_images(options.images), cell
    sides = [("conventional", "fp32"), ("engine", "fp32"), ("engine", precision)]
    if device != "cpu":
        sides.append(("eager", precision))
    # In the conventional loop, threads wait as set by the user or the library.
    waiting = {"conventional": stated_waiting(os.environ)}
    return {
        f"{side} {own}": Job(
            *(side, own, arch, options.width, compression, device, images, num_steps),
            options.workers,
            waiting.get(side, waiting_of_a_run()),
        )
        for side, own in sides
    }


def name_hardware(provenance: Mapping[str, Any], device: str) -> str:
    """A short name of the hardware for files: the GPU, or the CPU's model and number of cores."""
    if device != "cpu":
        words = torch.cuda.get_device_name(torch.device(device))
    else:
        noise = r"\((R|TM)\)|\bCPU\b|@.*GHz"
        model = re.sub(noise, " ", provenance["cpu_model"] or "unknown")
        words = f"{model} {provenance['cpu_count']} cores"
    return "-".join(re.findall(r"[a-z0-9]+", words.lower()))
