"""Compression methods by name: any network, a compression and a probe -> a CompressedModel."""

import inspect
from typing import Any

from rps_bench.core.kinds import Kind
from rps_bench.core.nearest import unknown_name
from rps_bench.methods.base import Method
from rps_bench.methods.clustering.kmeans import KMeans
from rps_bench.methods.compressed import restore
from rps_bench.methods.dense import Dense, Small
from rps_bench.methods.files.read import load_compressed
from rps_bench.methods.pruning.grasp import Grasp
from rps_bench.methods.pruning.magnitude import Magnitude
from rps_bench.methods.pruning.random import RandomPruning
from rps_bench.methods.pruning.snip import Snip
from rps_bench.methods.pruning.synflow import SynFlow
from rps_bench.methods.pruning.trained import LotteryTicketRewinding, TrainedMagnitude
from rps_bench.methods.sharing.balanced import RPG
from rps_bench.methods.sharing.hashed import HashedNet
from rps_bench.methods.sharing.randomfold import StableRPS
from rps_bench.methods.sharing.tiles import Roast
from rps_bench.methods.sharing.trained import TrainedStableRPS

__all__ = [
    "METHODS",
    "build_method",
    "default_options",
    "load_compressed",
    "methods_of",
    "restore",
]

METHODS: dict[str, type[Method]] = {
    "dense": Dense,
    "small": Small,
    "stable_rps": StableRPS,
    "roast": Roast,
    "hashednet": HashedNet,
    "rpg": RPG,
    "rand": RandomPruning,
    "mag": Magnitude,
    "snip": Snip,
    "grasp": Grasp,
    "synflow": SynFlow,
    "ltr": LotteryTicketRewinding,
    "mag_trained": TrainedMagnitude,
    "stable_rps_trained": TrainedStableRPS,
    "kmeans": KMeans,
}


def default_options(name: str) -> dict[str, Any]:
    """A method's options with their defaults."""
    fields = inspect.signature(METHODS[name]).parameters
    return {
        option: parameter.default
        for option, parameter in fields.items()
        if option not in ("compression", "seed")
    }


def methods_of(*kinds: Kind) -> tuple[str, ...]:
    """The names of the methods of some kinds, in the order of ``METHODS``."""
    return tuple(name for name, method in METHODS.items() if method.kind in kinds)


def build_method(name: str, compression: float, seed: int = 0, **options: Any) -> Method:
    """A method at one compression and seed.

    Args:
        name: A name of ``METHODS``.
        compression: Requested ratio n / m on compressible weights, >= 1.
        seed: Seed of everything random in the method.
        options: The method's own options.

    Raises:
        UserError: Unknown name or option, or a value out of its range; the message says what is
            allowed.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    allowed = default_options(name)
    for option in options:
        if option not in allowed:
            raise unknown_name(f"option of method {name}:", option, allowed)
    return METHODS[name](compression=compression, seed=seed, **options)
