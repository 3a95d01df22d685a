"""What a method compresses of a network, and what it leaves dense and why, as a table to read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from rps_bench.methods.base import Method
from rps_bench.methods.candidates import BIAS, NORMALISED, count_numbers
from rps_bench.methods.choice import Judged, judge
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import layer_ranges
from rps_bench.methods.weight_map import SelectionMap

MOST_NAMES = 4  # of those left dense for one reason
COMPRESSED, SHARED, WHOLE = "compressed", "shared", "kept whole"
PLAIN_REASONS = (BIAS, NORMALISED)  # of which every network has many: their names tell nothing


@dataclass(frozen=True)
class WeightRow:
    """A parameter of a network.

    Attributes:
        name: Its first name.
        shape: Its shape.
        share: Its part of all the network's parameters, by numbers; a tied one counts once.
        fate: ``density 0.1`` of a weight of which so much is kept, ``shared`` of one that is read
            from the repository, ``kept whole`` of one that the method does not compress; of a
            network that is not compressed yet ``compressed``; else why it stays dense.
        is_compressed: Whether it is one of the n weights.
    """

    name: str
    shape: tuple[int, ...]
    share: float
    fate: str
    is_compressed: bool

    @property
    def size(self) -> int:
        """Its numbers."""
        return math.prod(self.shape)


def list_weights(
    model: nn.Module, method: Method, compressed: CompressedModel | None = None
) -> list[WeightRow]:
    """A row for each parameter of a network: what a method compresses first, then the rest.

    Args:
        model: The dense network; on the meta device, too.
        method: Chooses.
        compressed: What it made of the network: tells what each weight keeps. None: before that.

    Raises:
        UserError: The choice does not fit the network.
    """
    judged = judge(method.choose(model), method.choice)
    total = sum(count_numbers(own.parameter) for own in judged)
    fates = {} if compressed is None else _find_fates(method, compressed)
    rows = [_make_row(own, total, fates.get(own.names[0], COMPRESSED)) for own in judged]
    return sorted(rows, key=lambda row: not row.is_compressed)


def _make_row(own: Judged, total: int, fate: str) -> WeightRow:
    assert own.parameter is not None
    return WeightRow(
        own.names[0],
        tuple(own.parameter.shape),
        count_numbers(own.parameter) / total,
        fate if own.reason is None else own.reason,
        own.reason is None,
    )


def _find_fates(method: Method, compressed: CompressedModel) -> dict[str, str]:
    """What becomes of each weight."""
    names = [name for name, _ in compressed.layout]
    if not isinstance(compressed.weight_map, SelectionMap):
        return dict.fromkeys(names, SHARED if method.kind == "sharing" else WHOLE)
    is_kept = compressed.weight_map.slots() >= 0
    densities = [
        float(is_kept[start:stop].double().mean())
        for start, stop in layer_ranges(compressed.layout)
    ]
    return {name: f"density {d:.3g}" for name, d in zip(names, densities, strict=True)}


def format_weights(rows: Sequence[WeightRow]) -> str:
    """The rows of ``list_weights`` as lines: a table of what is compressed, the rest by reason."""
    chosen = [row for row in rows if row.is_compressed]
    cells = [("weight", "shape", "share", "")]
    cells += [(row.name, _write(row.shape), _percent(row.share), row.fate) for row in chosen]
    widths = [max(len(cell[column]) for cell in cells) for column in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {shape:>{widths[1]}}  {share:>{widths[2]}}  {fate}".rstrip()
        for name, shape, share, fate in cells
    ]
    numbers = sum(row.size for row in chosen)
    share = _percent(sum(row.share for row in chosen))
    lines.append(f"{len(chosen)} weights of {numbers:,} numbers, {share} of the network")
    return "\n".join([*lines, *_describe_rest([row for row in rows if not row.is_compressed])])


def _describe_rest(rows: Sequence[WeightRow]) -> list[str]:
    """A line for each reason why parameters stay dense."""
    by_reason: dict[str, list[WeightRow]] = {}
    for row in rows:
        by_reason.setdefault(row.fate, []).append(row)
    return [
        f"dense, {reason}: {_percent(sum(row.share for row in own))} in {len(own)} "
        f"tensor{'s' if len(own) > 1 else ''}{'' if reason in PLAIN_REASONS else _list_names(own)}"
        for reason, own in by_reason.items()
    ]


def _list_names(rows: Sequence[WeightRow]) -> str:
    names = [f"{row.name} {_write(row.shape)}" for row in rows[:MOST_NAMES]]
    more = f" and {len(rows) - MOST_NAMES} more" if len(rows) > MOST_NAMES else ""
    return f" ({', '.join(names)}{more})"


def _write(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
