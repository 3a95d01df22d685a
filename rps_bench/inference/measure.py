"""The table of measurements: a row per architecture, compression, way, batch and device."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.costs.macs import measure_macs
from rps_bench.costs.sizes import measure_sizes
from rps_bench.inference.child import Job, measure_apart
from rps_bench.inference.options import Options
from rps_bench.inference.ways import DENSE, WAYS, build_compressed, build_dense
from rps_bench.methods.compressed import CompressedModel
from rps_bench.runtime.devices import available_devices

PRECISION = "fp32"
COLUMNS = (
    "arch", "method", "way", "compression", "true_compression", "file_bytes", "macs",
    "effective_macs", "image_size", "batch", "threads", "device", "precision", "memory_format",
    "load_ms", "median_ms", "low_ms", "high_ms", "peak_memory_bytes", "num_runs",
)  # fmt: skip


def measure_inference(options: Options) -> pd.DataFrame:
    """One row per architecture, method, way, compression, batch and device.

    `low_ms` and `high_ms` are the quartiles around `median_ms`. Compressions that a method cannot
    have are left out with a note.
    """
    rows = [row for arch in options.arch for row in _measure_arch(options, arch)]
    table = pd.DataFrame(rows).rename(columns={"num_threads": "threads"})
    return table[list(COLUMNS)]


def _measure_arch(options: Options, arch: str) -> Iterator[dict[str, Any]]:
    model = build_dense(arch, options.width)
    for method, compression in _list_networks(options):
        try:
            compressed = build_compressed(model, method, compression)
        except UserError as error:
            print(f"note: {arch}, {method}, {compression:g}x left out: {error}", file=sys.stderr)
            continue
        names = {"arch": arch, "method": method, "compression": compression}
        sizes = _describe(compressed, model, options.image_size)
        for row in _measure_ways(options, compressed, method):
            yield names | sizes | row


def _list_networks(options: Options) -> Iterator[tuple[str, float]]:
    """Each method with each compression, once; dense only with compression 1."""
    for method in dict.fromkeys(method for way in WAYS.values() for method in way.methods):
        for compression in (1.0,) if method == DENSE else options.compression:
            yield method, float(compression)


def _describe(compressed: CompressedModel, dense: nn.Module, image_size: int) -> dict[str, Any]:
    sizes = measure_sizes(compressed, dense)
    return {
        "true_compression": sizes["true_compression"],
        "file_bytes": sizes["stored_bytes"],
        "image_size": image_size,
        **measure_macs(compressed, image_size),
    }


def _measure_ways(
    options: Options, compressed: CompressedModel, method: str
) -> Iterator[dict[str, Any]]:
    """Measure the compressed file of one network in all its ways, on every device."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        compressed.save(path)
        for device in available_devices():
            for way, own in WAYS.items():
                if method not in own.methods:
                    continue
                job = Job(
                    str(path),
                    way,
                    device,
                    options.batch,
                    options.image_size,
                    options.threads,
                    options.seconds,
                )
                for row in measure_apart(job):
                    yield {"way": way, "device": device, "precision": PRECISION} | row
