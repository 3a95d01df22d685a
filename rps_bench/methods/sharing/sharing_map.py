"""The map of every parameter-sharing method: a slot by hash, a sign by hash, a scale per layer."""

import inspect
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.seeds import derive_key
from rps_bench.methods.clustering.codebook_map import CodebookMap
from rps_bench.methods.layout import Layout, layer_ranges, num_weights
from rps_bench.methods.sharing import kernels
from rps_bench.methods.sharing.hashing import hash_sign_octets, hash_signs, signs_of_octets
from rps_bench.methods.sharing.kernels.layout import Kernel, KernelLayout
from rps_bench.methods.weight_map import IdentityMap, SelectionMap, WeightMap

BLOCK = 1 << 18  # weights: what is computed for so many stays in the caches of CPU cores

# Of every map that was defined, here or in a plugin, by the kind that files and states name it by.
MAP_TYPES: dict[str, type["SharingMap"]] = {}


class SharingMap(WeightMap):
    """Row i of A has lambda_i * g(i) at slot h(i): lambda the layer's scale, g a sign by hash.

    Slots, signs and scales are computed from (seed, position, layer table) whenever they are
    needed; one seed serves the whole network.

    A subclass gives ``slots_between`` and its ``kind``, by which files and states find the class
    again. What else its ``__init__`` takes is an option: JSON-ready, kept as an attribute of the
    same name, and checked by ``check_options`` where it comes from a file. It may give a ``kernel``
    for GPUs; without one it runs there in plain torch. Neither kind nor kernel is inherited: they
    stand for the slots of one class.

    Args:
        layout: The layers in flat order.
        scales: lambda of each layer.
        num_stored: m.
        seed: The map's seed.
    """

    kind: ClassVar[str]
    kernel: ClassVar[Kernel | None] = None  # what it runs on a GPU

    def __init_subclass__(cls, **options: Any) -> None:
        """Enter a new class in ``MAP_TYPES``.

        Raises:
            UserError: Its kind is another class's.
        """
        super().__init_subclass__(**options)
        cls.kernel = vars(cls).get("kernel")  # its parent's would read other slots on a GPU
        if "kind" in vars(cls):
            _enter(cls)

    def __init__(self, layout: Layout, scales: Sequence[float], num_stored: int, seed: int) -> None:
        super().__init__(num_weights(layout), num_stored)
        self.layout, self.scales, self.seed = layout, tuple(scales), seed
        self.ranges = layer_ranges(layout)
        self._kernel_layout: KernelLayout | None = None

    def expand(self, stored: torch.Tensor) -> torch.Tensor:
        """A theta, on a GPU by one kernel if the map has one."""
        if self.kernel is not None and kernels.can_run(stored):
            return kernels.expand(self.kernel_layout(), stored)
        return super().expand(stored)

    def reduce(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """A' g, on a GPU by one kernel if the map has one that is allowed."""
        if self.kernel is not None and self.kernel.may_reduce() and kernels.can_run(grad_weights):
            return kernels.reduce(self.kernel_layout(), grad_weights)
        return self.reduce_in_torch(grad_weights)

    def kernel_layout(self) -> KernelLayout:
        """The map in numbers, for its kernel; the same object every time."""
        assert self.kernel is not None
        if self._kernel_layout is None:
            self._kernel_layout = KernelLayout(
                self.kernel,
                self.num_weights,
                self.num_stored,
                keys=(self.key("slot"), self.key("sign")),
                begins=tuple(begin for begin, _ in self.ranges),
                scales=self.scales,
                constant=self.kernel_constant(),
                rows=self.kernel_rows(),
            )
        return self._kernel_layout

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy or a pickle: without tables on a GPU, which the reader may not have."""
        return self.__dict__ | {"_kernel_layout": None}

    def kernel_constant(self) -> int:
        """What the code of this map's kernel depends on beside n, m and the number of layers."""
        return 0

    def kernel_rows(self) -> tuple[tuple[int, ...], ...]:
        """What its kernel must know of the layers beside where they begin: a number per layer."""
        return ()

    def key(self, purpose: str) -> int:
        """The hash key of one purpose ("slot", "sign", ...) of this map."""
        return derive_key(self.seed, self.kind, purpose)

    def positions_between(self, start: int, stop: int) -> torch.Tensor:
        """start, start + 1, ... on the map's device."""
        return torch.arange(start, stop, device=self.anchor.device)

    def signs(self) -> torch.Tensor:
        """(n,) the signs of all weights."""
        anchor = self.anchor
        return hash_signs(self.key("sign"), self.num_weights, anchor.dtype, anchor.device)

    def coefficients_between(self, start: int, stop: int) -> torch.Tensor:
        """lambda_i * g(i)."""
        return self._coefficients(start, stop, self._sign_octets(start, stop))

    def _sign_octets(self, start: int, stop: int) -> torch.Tensor:
        return hash_sign_octets(self.key("sign"), start, stop, self.anchor.device)

    def _coefficients(self, start: int, stop: int, octets: torch.Tensor) -> torch.Tensor:
        """(stop - start,) the coefficients of a range whose sign bits are ``octets``."""
        parts, dtype = self._layer_parts(start, stop), self.anchor.dtype
        if len(parts) == 1:
            return signs_of_octets(octets, start, stop - start, dtype, parts[0][2])
        coefficients = signs_of_octets(octets, start, stop - start, dtype)
        for low, high, scale in parts:
            coefficients[low - start : high - start].mul_(scale)
        return coefficients

    def _layer_parts(self, start: int, stop: int) -> list[tuple[int, int, float]]:
        """Each layer's part of a range, and its lambda."""
        first = bisect_right(self.ranges, start, key=lambda limits: limits[1])
        parts = []
        for (begin, end), scale in zip(self.ranges[first:], self.scales[first:], strict=True):
            if begin >= stop:
                break
            parts.append((max(begin, start), min(end, stop), scale))
        return parts

    def blocks(
        self, start: int, stop: int, unit: int = 1
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """A range in parts that fit a CPU core's cache (whole on a GPU), with their coefficients.

        Args:
            start, stop: The range.
            unit: Parts but the last have a multiple of so many weights.

        Yields:
            Start and stop of the part, and its (stop - start,) coefficients.
        """
        octets = self._sign_octets(start, stop)
        size = max(1, BLOCK // unit) * unit if self.anchor.device.type == "cpu" else stop - start
        first = start // 64 * 64
        for low in range(start, stop, size):
            high = min(low + size, stop)
            yield low, high, self._coefficients(low, high, octets[(low - first) // 64 * 8 :])

    def expand_range(self, stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Rows of A theta, block by block."""
        weights, stored = stored.new_empty(stop - start), stored.detach()
        for low, high, coefficients in self.blocks(start, stop):
            read = stored.index_select(0, self.slots_between(low, high))
            torch.mul(read, coefficients, out=weights[low - start : high - start])
        return weights

    def reduce_in_torch(self, grad_weights: torch.Tensor) -> torch.Tensor:
        """A' g in plain torch, block by block, each slot's sum in the order of the weights."""
        sums = grad_weights.new_zeros(self.num_stored)
        for low, high, coefficients in self.blocks(0, self.num_weights):
            products = coefficients.mul_(grad_weights[low:high])
            sums.index_add_(0, self.slots_between(low, high), products)
        return sums

    def description(self) -> dict[str, object]:
        """All that the map is computed from, beside the layer table; JSON-ready."""
        # What __init__ takes, whatever that is: an option left out would come back as its default,
        # and the numbers of theta as other weights.
        _, *names = inspect.signature(type(self)).parameters
        return {"kind": self.kind} | {name: getattr(self, name) for name in names}

    @classmethod
    def check_options(cls, layout: Layout, options: Mapping[str, Any]) -> None:
        """Raise an error unless a map of a layer table can be computed from these options.

        Args:
            layout: The layer table.
            options: What a description holds beside its kind, from a file that may say anything.

        Raises:
            ValueError, LookupError, TypeError: They describe no map of this layer table.
        """
        checks.whole_number("its num_stored", options["num_stored"], 1, num_weights(layout))
        checks.whole_number("its seed", options["seed"], 0)
        if len(options["scales"]) != len(layout):
            raise ValueError("its scales do not fit the network")
        for scale in options["scales"]:
            checks.positive_number("its scale", scale)


def _enter(map_type: type[SharingMap]) -> None:
    """Enter a class under its kind, in place of what the same source has defined before."""
    kind = checks.text(f"the kind of {map_type.__name__}", map_type.kind)
    if kind in (IdentityMap.kind, SelectionMap.kind, CodebookMap.kind):
        raise UserError(f"the kind {kind!r} is that of a map of another nature; choose another")
    known = MAP_TYPES.get(kind, map_type)
    if not _have_one_source(known, map_type):
        raise UserError(
            f"the kind {kind!r} of {_name_of(map_type)} is that of {_name_of(known)} already; "
            "choose another"
        )
    MAP_TYPES[kind] = map_type


def _have_one_source(known: type, other: type) -> bool:
    """Whether a class is another one defined again: a notebook's cell, a plugin loaded twice."""
    if known.__qualname__ != other.__qualname__:
        return False
    file = _file_of(known)
    return known.__module__ == other.__module__ or (file is not None and file == _file_of(other))


def _file_of(map_type: type) -> str | None:
    """Where its slots are computed; a module's own name for its file may be gone, or another."""
    code = getattr(vars(map_type).get("slots_between"), "__code__", None)
    return None if code is None else str(code.co_filename)


def _name_of(map_type: type) -> str:
    return f"{map_type.__module__}.{map_type.__qualname__}"
