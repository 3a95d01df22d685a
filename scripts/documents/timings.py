"""Tables of times: compressed models in use, and training beside a conventional loop."""

from scripts.bench.tables import (
    Rows,
    describe_machine,
    list_recovery,
    list_training,
    write_markdown,
)
from scripts.documents.sources import read_json, read_table

ARCH, COMPRESSION, BATCHES = "vgg11", 100, (1, 128)
HARDWARE = "benchmarks/amd-epyc-2-cores"
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
    """The machine of the benchmark, and training there."""
    measured = read_json(HARDWARE)
    return f"{describe_machine(measured)}:\n\n{write_markdown(list_training(measured))}"


def write_recovery() -> str:
    """What recovering the weights costs there, for every map."""
    return write_markdown(list_recovery(read_json(HARDWARE)))
