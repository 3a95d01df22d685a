"""RPG's balanced random map (Savarese and Maire 2019; Plummer et al. 2022; here computed).

Each fold of m weights reads the m slots in an order of its own: load-optimal like RANDOMFOLD,
without its contiguity. The order is a small Feistel network with cycle walking (Black and
Rogaway 2002), so no permutation is stored. Every slot count stays exact at any m; below about a
hundred slots the orders are visibly less random than true permutations.
"""

import torch

from rps_bench.methods.sharing.hashing import hash_bits
from rps_bench.methods.sharing.sharing_map import SharingMap

NUM_ROUNDS = 4  # Luby and Rackoff 1988: four rounds look random even to an inverting observer


class BalancedMap(SharingMap):
    """slot = permutation of fold k applied to offset o."""

    kind = "balanced"

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        """A fresh permutation of the m slots per fold."""
        positions = self.positions_between(start, stop)
        folds = positions // self.num_stored
        return permute(positions % self.num_stored, folds, self.num_stored, self.key("slot"))


def permute(offsets: torch.Tensor, folds: torch.Tensor, size: int, key: int) -> torch.Tensor:
    """For each fold a permutation of 0 .. size - 1, applied to the offsets.

    The Feistel network permutes the next power of two; a value that falls outside is sent through
    again until it lands inside, which keeps it a permutation of the smaller set.

    Args:
        offsets: (N,) int64 in [0, size).
        folds: (N,) int64, which permutation applies.
        size: Number of slots.
        key: 64-bit hash key.

    Returns:
        (N,) int64 in [0, size).
    """
    num_bits = max(2, (size - 1).bit_length())
    fold_keys = hash_bits(key, folds)
    values = _feistel(offsets, fold_keys, num_bits)
    outside = (values >= size).nonzero().view(-1)
    while outside.numel():
        again = _feistel(values[outside], fold_keys[outside], num_bits)
        values[outside] = again
        outside = outside[again >= size]
    return values


def _feistel(values: torch.Tensor, keys: torch.Tensor, num_bits: int) -> torch.Tensor:
    """A keyed permutation of [0, 2^num_bits): halves take turns being xored with a hash."""
    low_bits = num_bits // 2
    low, high = values & ((1 << low_bits) - 1), values >> low_bits
    for round_number in range(0, NUM_ROUNDS, 2):
        low = low ^ (hash_bits(keys + round_number, high) & ((1 << low_bits) - 1))
        high = high ^ (hash_bits(keys + round_number + 1, low) & ((1 << (num_bits - low_bits)) - 1))
    return (high << low_bits) | low
