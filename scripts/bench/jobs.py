"""What is compared: the conventional loop, and training by each set of kernels that is here."""

import os
import sys
from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch

from rps_bench.engine.choose import name_build, resolve_kernels
from rps_bench.engine.names import KERNEL_SETS, PLAIN
from rps_bench.runtime.cores import find_limit
from rps_bench.runtime.waiting import stated_waiting
from scripts.bench.cells import BASELINE, say
from scripts.bench.children import waiting_of_a_run
from scripts.bench.options import Options
from scripts.bench.subject import Job, choose_images

NUM_STEPS, NUM_STEPS_OF_GPU = 6, 200  # of a round
# ResNet-20 has too few channels for products: PyTorch's own passes would be timed again.
SAME_AS_PLAIN = {("resnet20", "products")}


class Kernels(NamedTuple):
    """A set of kernels as it is on this machine."""

    name: str  # in full
    build: str | None  # of its library, if it has one


class Cell(NamedTuple):
    """A network at one compression, trained by so many threads."""

    arch: str
    compression: float
    num_threads: int


def find_kernels(device: str) -> dict[str, Kernels]:
    """The sets of kernels of a device by their short names, compiled if they were not.

    A set that the machine cannot have is left out, with a line.
    """
    found = {}
    for short in KERNEL_SETS:
        name = resolve_kernels(short, torch.device(device), say)
        if name.partition("-")[0] == short:
            found[short] = Kernels(name, name_build(name))
    return found


def count_threads() -> int:
    """The threads that a run takes by itself."""
    return min(find_limit(os.environ) or sys.maxsize, torch.get_num_threads())


def list_cells(options: Options, device: str) -> list[Cell]:
    """Every network, compression and number of threads; unless told, one thread and all on a CPU.

    Next to a GPU, threads have little to do.
    """
    own = count_threads()
    threads = options.threads or ((1, own) if device == "cpu" else (own,))
    return [
        Cell(arch, compression, num_threads)
        for arch in options.arch
        for compression in options.compression
        for num_threads in dict.fromkeys(threads)
    ]


def list_jobs(
    options: Options,
    device: str,
    cell: Cell,
    precisions: Collection[str],
    kernels: Mapping[str, Kernels],
) -> dict[str, Job]:
    """The sides by name: the baseline, each set of kernels in each precision.

    On a GPU, without CUDA graphs as well, in the last precision.
    """
    sides = [("conventional", "fp32")]
    sides += [
        (short, precision)
        for short in kernels
        for precision in precisions
        if (cell.arch, short) not in SAME_AS_PLAIN
    ]
    if device != "cpu":
        sides.append(("eager", [*precisions][-1]))
    return {
        f"{side} {precision}": Job(
            side=side,
            kernels=kernels[side].name if side in kernels else PLAIN,
            precision=precision,
            arch=cell.arch,
            width=options.width,
            compression=cell.compression,
            device=device,
            images=choose_images(options.images),
            num_steps=options.steps or (NUM_STEPS if device == "cpu" else NUM_STEPS_OF_GPU),
            num_threads=cell.num_threads,
            num_workers=options.workers,
            waiting=_choose_waiting(f"{side} {precision}"),
        )
        for side, precision in sides
    }


def _choose_waiting(name: str) -> dict[str, str]:
    """In the conventional loop, threads wait as set by the user or the library."""
    return stated_waiting(os.environ) if name == BASELINE else waiting_of_a_run()
