"""Sets of kernels: by which arithmetic a network's layers do the passes of a training step.

- ``plain``: PyTorch's own. What every committed number was made by.
- ``products``: convolutions of many channels on small images made of PyTorch's own matrix products.
- ``native``: C++ that is compiled once on the user's machine: Winograd's convolutions (Lavin and
  Gray 2016), and BatchNorm with the sum and the ReLU that follow it in one pass.

All compute the same function; their results differ by rounding. So a run is made by one set from
its first step to its last, and its record names it: ``native-avx512-1``. The number is raised when
a set gives other bits. Whatever a set has nothing faster for stays plain: other layers and shapes,
evaluation, float64, GPUs, passes that are traced, compiled, transformed or differentiated twice.

A layer trains by a set because of its class, which has no state: parameters, buffers, hooks, names,
copies and files are those of the plain layer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from rps_bench.core import checks
from rps_bench.engine.layers import (
    FusedSequential,
    NativeBatchNorm2d,
    NativeConv2d,
    ProductsConv2d,
)
from rps_bench.engine.names import AUTO, ENGINES, PLAIN
from rps_bench.engine.native import find_native, loaded_native

PRODUCTS_VERSION, NATIVE_VERSION = 1, 1  # raise it when the set gives other bits
INSTRUCTIONS = ("avx512", "avx2", "neon", "generic")  # that kernels.cpp may be compiled for

Swaps = dict[type[nn.Module], type[nn.Module]]

_SWAPS: dict[str, Swaps] = {
    PLAIN: {},
    "products": {nn.Conv2d: ProductsConv2d},
    "native": {
        nn.Conv2d: NativeConv2d,
        nn.BatchNorm2d: NativeBatchNorm2d,
        nn.Sequential: FusedSequential,
    },
}
_PLAIN_CLASSES: Swaps = {fast: plain for swaps in _SWAPS.values() for plain, fast in swaps.items()}


def resolve_kernels(requested: str, device: torch.device, say: Callable[[str], object]) -> str:
    """The full name of the set that a device trains by when one is asked for.

    Where ``native`` cannot be had, that is ``products``, with a line on why, once in a process;
    for ``auto`` it is ``plain``. All sets but ``plain`` are for CPUs alone.

    Args:
        requested: A name of ``ENGINES``.
        device: Where the training computes.
        say: Takes a line for the user.

    Raises:
        UserError: An unknown name.
    """
    checks.choice("engine", requested, ENGINES)
    if requested == PLAIN or device.type != "cpu":
        return PLAIN
    otherwise = _name_without_native(requested)
    native = None if requested == "products" else find_native(otherwise, say)
    return otherwise if native is None else _name_native(native.instructions)


def list_names(requested: str, device: torch.device) -> tuple[str, ...]:
    """The names that ``resolve_kernels`` may give; nothing is compiled to know them."""
    if requested == PLAIN or device.type != "cpu":
        return (PLAIN,)
    names = () if requested == "products" else tuple(map(_name_native, INSTRUCTIONS))
    return (*names, _name_without_native(requested))


def _name_native(instructions: str) -> str:
    return f"native-{instructions}-{NATIVE_VERSION}"


def _name_without_native(requested: str) -> str:
    return PLAIN if requested == AUTO else f"products-{PRODUCTS_VERSION}"


def name_build(name: str) -> str | None:
    """The library of a set that ``resolve_kernels`` gave on this machine; None if it has none.

    It names the source, the compiler and the processor.
    """
    return loaded_native().build if name.startswith("native") else None


@contextmanager
def training_by(model: nn.Module, name: str) -> Iterator[None]:
    """Let a network train by a set of kernels; its layers are plain again however that ends."""
    use_kernels(model, name)
    try:
        yield
    finally:
        use_kernels(model, PLAIN)


def use_kernels(model: nn.Module, name: str) -> None:
    """Let a network's layers train by a set of kernels, in place.

    Only layers of PyTorch's own classes are changed: those that someone has derived stay as they
    are.

    Args:
        model: Any network, a compressed one too.
        name: What ``resolve_kernels`` gave on this machine; ``plain`` undoes it.
    """
    swaps = _SWAPS[name.partition("-")[0]]
    for module in model.modules():
        plain = _PLAIN_CLASSES.get(type(module), type(module))
        wanted = swaps.get(plain, plain)
        if type(module) is not wanted:
            module.__class__ = wanted
