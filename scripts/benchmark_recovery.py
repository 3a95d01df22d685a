"""Time recovering the weights and sending their gradient back, for every map.

Each is set against copying n floats and against a dense training step, measured in the same
process: ratios travel between machines better than milliseconds.

    python scripts/benchmark_recovery.py [--arch resnet20] [--compression 10] [--repeats 20]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from rps_bench.methods import METHODS, build_method
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import build_model
from rps_bench.records import collect_provenance
from rps_bench.seeds import named_generator

BATCH_SIZE = 128


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall seconds of a call, after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def training_step(model: CompressedModel, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Forward and backward of one batch in fp32."""
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="resnet20")
    parser.add_argument("--compression", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()

    probe = (torch.randn(BATCH_SIZE, 3, 32, 32), torch.arange(BATCH_SIZE) % 10)
    model = build_model(options.arch, generator=named_generator(0, "init"))
    dense = build_method("dense", 1).compress(model, probe)
    step = median_seconds(lambda: training_step(dense, *probe), max(3, options.repeats // 4))
    weights = dense.weights().detach()
    copy = median_seconds(weights.clone, options.repeats)

    table = Table(title=f"{options.arch}, c = {options.compression:g}, n = {weights.numel():,}")
    for column in ("method", "recover ms", "x copy", "% step", "send back ms", "x copy", "% step"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for name in METHODS:
        if name in ("dense", "small", "snip", "grasp", "synflow"):
            continue  # the identity map, and three more selections of the same kind as mag
        compressed = build_method(name, options.compression).compress(model, probe)
        weight_map, stored = compressed.weight_map, compressed.stored.detach()
        cells = []
        for work in (lambda: weight_map.expand(stored), lambda: weight_map.reduce(weights)):  # noqa: B023
            seconds = median_seconds(work, options.repeats)
            cells += [
                f"{1e3 * seconds:.2f}",
                f"{seconds / copy:.1f}",
                f"{100 * seconds / step:.1f}",
            ]
        table.add_row(name, *cells)
    hardware = collect_provenance()
    Console().print(table)
    print(
        f"copy {1e3 * copy:.2f} ms, dense step (batch {BATCH_SIZE}, fp32) {1e3 * step:.0f} ms; "
        f"medians of {options.repeats}; {hardware['num_threads']} threads, {hardware['cpu_model']}"
    )


if __name__ == "__main__":
    main()
