"""Tables of times: compressed models in use, and training beside a conventional loop."""

from collections.abc import Mapping
from typing import Any

from scripts.bench.tables import (
    Rows,
    describe_machine,
    describe_sweep,
    list_recovery,
    list_sweep,
    list_training,
    write_markdown,
)
from scripts.documents.sources import read_benchmarks, read_json, read_table

ARCH, COMPRESSION, BATCHES = "vgg11", 100, (1, 128)
WAYS = {
    "dense": "dense",
    "recover_once": "{method}, all weights recovered when it is loaded",
    "recover_by_layer": "{method}, recovered layer by layer",
    "pruned_dense": "{method}, with its zeros",
    "pruned_csr": "{method}, as sparse matrices",
    "small": "small (a file of equal bytes)",
}


def write_inference() -> str:
    """What each way to run VGG-11 at 100x costs, and the machine."""
    table = read_table("inference")
    is_shown = (table["compression"] == COMPRESSION) | (table["way"] == "dense")
    table = table[(table["arch"] == ARCH) & is_shown & table["batch"].isin(BATCHES)]
    rows = []
    for (method, way), own in table.groupby(["method", "way"], sort=False):
        one, many = (own[own["batch"] == batch].iloc[0] for batch in BATCHES)
        numbers = (one.file_bytes / 1e6, one.median_ms, many.median_ms, one.peak_memory_bytes / 1e6)
        cells = (f"{number:.3g}" for number in numbers)
        rows.append((WAYS[str(way)].format(method=method), *cells))
    heads = (
        "way to run",
        "file, MB",
        "1 image, ms",
        "128 images, ms",
        "peak memory for 1 image, MB",
    )
    options = read_json("inference")
    made = options["provenance"]
    caption = (
        f"VGG-11 at {COMPRESSION}x, fp32, one thread of an {made['cpu_model']}, torch"
        f" {made['versions']['torch']}, medians of {table['num_runs'].min()} to"
        f" {table['num_runs'].max()} runs:"
    )
    return f"{caption}\n\n{write_markdown(Rows(heads, 1, rows))}"


def write_training() -> str:
    """Training on every machine that was measured, and whole sweeps where they were."""
    return "\n\n".join(map(_write_machine, read_benchmarks()))


def _write_machine(measured: Mapping[str, Any]) -> str:
    parts = [f"{describe_machine(measured)}:", write_markdown(list_training(measured))]
    if measured["sweep"]:
        parts += [f"{describe_sweep(measured)}:", write_markdown(list_sweep(measured))]
    return "\n\n".join(parts)


def write_recovery() -> str:
    """What recovering the weights costs on each of them, for every map."""
    return "\n\n".join(
        f"{measured['hardware']}:\n\n{write_markdown(list_recovery(measured))}"
        for measured in read_benchmarks()
    )
