"""What the runs of a sweep would compress of their networks, each network once."""

from collections.abc import Iterator, Sequence

from rps_bench.config import RunConfig
from rps_bench.datasets.info import DATASETS
from rps_bench.methods.base import Method
from rps_bench.methods.choice import WeightChoice
from rps_bench.methods.layout import Layout, num_weights
from rps_bench.methods.overview import format_weights, list_weights
from rps_bench.sweep.preflight import build_method_of, build_without_storage

Network = tuple[str, int, int | None, WeightChoice]


def describe_weights(configs: Sequence[RunConfig]) -> Iterator[str]:
    """A table for each network and choice of weights, and how many numbers each method stores.

    Raises:
        UserError: A run that cannot be built.
    """
    runs: dict[Network, dict[str, Method]] = {}
    for config in configs:
        method = build_method_of(config)
        classes = DATASETS[config.dataset].num_classes
        network = config.arch, classes, config.width, method.choice
        runs.setdefault(network, {})[f"{config.label} at {config.compression:g}x"] = method
    for (arch, classes, width, _), methods in runs.items():
        model = build_without_storage(arch, classes, width)
        rows = list_weights(model, next(iter(methods.values())))
        yield f"{arch} of {classes} classes{f', width {width}' if width else ''}:"
        yield format_weights(rows)
        yield from _describe_stored(
            methods, tuple((row.name, row.shape) for row in rows if row.is_compressed)
        )


def _describe_stored(methods: dict[str, Method], layout: Layout) -> Iterator[str]:
    """A line for each method that stores fewer numbers than there are weights."""
    for label, method in methods.items():
        if method.kind not in ("sharing", "pruning"):
            continue
        how = "shared by all" if method.kind == "sharing" else "kept, those that score highest"
        yield f"{label}: {method.num_stored(layout):,} of {num_weights(layout):,} numbers, {how}"
