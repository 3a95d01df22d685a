"""Positions of kept weights as bytes: the smallest of a bitmask, a list and coded gaps."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

_PAYLOAD_BITS = 7  # of a byte of a coded gap; the eighth says that more follow
_LONGEST_GAP_BYTES = 5  # 35 bits, beyond any position here


class Coding(NamedTuple):
    """A way to write ascending positions below n, and to read them back."""

    encode: Callable[[torch.Tensor, int], torch.Tensor]
    decode: Callable[[torch.Tensor, int], torch.Tensor]


def encode_positions(kept: torch.Tensor, num_weights: int) -> tuple[str, torch.Tensor]:
    """The name of the smallest coding of (m,) ascending positions, and its tensor."""
    coded = {name: coding.encode(kept, num_weights) for name, coding in CODINGS.items()}
    name = min(coded, key=lambda name: coded[name].nbytes)
    return name, coded[name]


def decode_positions(name: str, coded: torch.Tensor, num_weights: int) -> torch.Tensor:
    """The (m,) int64 positions of a coding.

    Raises:
        ValueError: Unknown coding, or bytes that are no ascending positions below n.
    """
    if name not in CODINGS:
        raise ValueError(f"unknown coding of positions {name!r}")
    kept = CODINGS[name].decode(coded, num_weights)
    is_ascending = bool((kept.diff() > 0).all())
    if kept.numel() and not (is_ascending and kept[0] >= 0 and kept[-1] < num_weights):
        raise ValueError("its kept weights are not ascending within the network")
    return kept


def _to_mask(kept: torch.Tensor, num_weights: int) -> torch.Tensor:
    """(ceil(n / 8),) uint8: bit i mod 8 of byte i div 8 is set for a kept weight i."""
    bits = np.zeros(num_weights, dtype=np.bool_)
    bits[kept.numpy()] = True
    return torch.from_numpy(np.packbits(bits, bitorder="little"))


def _from_mask(mask: torch.Tensor, num_weights: int) -> torch.Tensor:
    _require(mask, torch.uint8)
    if len(mask) != -(-num_weights // 8):
        raise ValueError("its mask has not a bit for each weight")
    bits = np.unpackbits(mask.numpy(), count=num_weights, bitorder="little")
    return torch.from_numpy(np.flatnonzero(bits))


def _to_list(kept: torch.Tensor, num_weights: int) -> torch.Tensor:
    """(m,) the positions; int32 where n allows."""
    return kept.to(torch.int32 if num_weights < 2**31 else torch.int64)


def _from_list(positions: torch.Tensor, num_weights: int) -> torch.Tensor:
    _require(positions, torch.int32, torch.int64)
    return positions.long()


def _to_gaps(kept: torch.Tensor, num_weights: int) -> torch.Tensor:
    """(bytes,) uint8: the distances between neighbours, seven bits a byte, low ones first.

    The first distance is the first position; of the others one less than the distance is written.
    """
    gaps = np.diff(kept.numpy(), prepend=-1) - 1  # (m,), the first of them the position itself
    places = np.arange(_LONGEST_GAP_BYTES) * _PAYLOAD_BITS
    rest = gaps[:, None] >> places  # (m, 5)
    is_needed = (rest > 0) | (places == 0)
    has_more = rest >> _PAYLOAD_BITS > 0
    coded = (rest & 127) | (has_more << _PAYLOAD_BITS)
    return torch.from_numpy(coded[is_needed].astype(np.uint8))


def _from_gaps(coded: torch.Tensor, num_weights: int) -> torch.Tensor:
    _require(coded, torch.uint8)
    content: NDArray[np.uint8] = coded.numpy()
    ends = np.flatnonzero(content < 128)
    if len(content) and (len(ends) == 0 or ends[-1] != len(content) - 1):
        raise ValueError("its coded gaps end amid one")
    starts = np.concatenate(([0], ends[:-1] + 1)).astype(np.int64)[: len(ends)]
    lengths = ends - starts + 1
    if len(lengths) and lengths.max() > _LONGEST_GAP_BYTES:
        raise ValueError("one of its coded gaps is too long")
    place = np.arange(len(content)) - np.repeat(starts, lengths)
    parts = (content.astype(np.int64) & 127) << (place * _PAYLOAD_BITS)
    gaps = np.add.reduceat(parts, starts) if len(starts) else parts
    return torch.from_numpy(np.cumsum(gaps + 1) - 1)


def _require(coded: torch.Tensor, *dtypes: torch.dtype) -> None:
    if coded.dim() != 1 or coded.dtype not in dtypes:
        raise ValueError("its kept weights are of a wrong type")


CODINGS = {
    "mask": Coding(_to_mask, _from_mask),
    "list": Coding(_to_list, _from_list),
    "gaps": Coding(_to_gaps, _from_gaps),
}
