"""Permutations of any size by key: a small Feistel network with cycle walking.

Nothing is stored: where a value goes is computed whenever it is asked (Black and Rogaway 2002). The
order is exact at any size; below about a hundred values it is visibly less random than that of a
true permutation.
"""

import torch

from rps_bench.methods.sharing.hashing import hash_bits

NUM_ROUNDS = 4  # Luby and Rackoff 1988: four rounds look random even to an inverting observer


def count_bits(size: int) -> int:
    """Bits of the smallest Feistel network that permutes at least ``size`` values."""
    return max(2, (size - 1).bit_length())


def permute(
    offsets: torch.Tensor, rows: torch.Tensor, folds: torch.Tensor, size: int, key: int
) -> torch.Tensor:
    """For each fold a permutation of 0 .. size - 1, applied to the offsets.

    The Feistel network permutes the next power of two; a value that falls outside is sent through
    again until it lands inside, which keeps it a permutation of the smaller set.

    Args:
        offsets: (N,) int64 in [0, size).
        rows: (N,) int64, which of the folds' permutations applies.
        folds: (F,) int64, their numbers.
        size: Number of slots.
        key: 64-bit hash key.

    Returns:
        (N,) int64 in [0, size).
    """
    num_bits = count_bits(size)
    tables = _round_tables(hash_bits(key, folds), num_bits)
    values = _feistel(offsets, rows, tables, num_bits)
    # A walk ends: applied again and again, a permutation comes back to where it began, which is
    # inside. Only those still outside walk on. The power of two is less than twice the size (but
    # for a size of 1), so that on average each step brings more than half of them home.
    outside = (values >= size).nonzero().view(-1)
    while outside.numel():
        again = _feistel(values[outside], rows[outside], tables, num_bits)
        values[outside] = again
        outside = outside[again >= size]
    return values


def _round_tables(fold_keys: torch.Tensor, num_bits: int) -> list[torch.Tensor]:
    """What each round xors one half with, for each fold and value of the other half.

    A half has few values, so hashing each of them once costs less than hashing each offset.

    Returns:
        For each round (F * values,) int64: fold by fold, value by value.
    """
    low_bits = num_bits // 2
    tables = []
    for round_number in range(NUM_ROUNDS):
        is_low = round_number % 2 == 0  # this round changes the low half by a hash of the high one
        changed, other = low_bits, num_bits - low_bits
        changed, other = (changed, other) if is_low else (other, changed)
        halves = torch.arange(1 << other, device=fold_keys.device)
        bits = hash_bits((fold_keys + round_number)[:, None], halves)
        tables.append(bits.bitwise_and_((1 << changed) - 1).view(-1))
    return tables


def _feistel(
    values: torch.Tensor, rows: torch.Tensor, tables: list[torch.Tensor], num_bits: int
) -> torch.Tensor:
    """A keyed permutation of [0, 2^num_bits): halves take turns being xored with a hash.

    Each round can be undone, since the half that it hashed is still there: so no two values meet,
    however poor the hash.
    """
    low_bits = num_bits // 2
    high_bits = num_bits - low_bits
    low, high = values & ((1 << low_bits) - 1), values >> low_bits
    low_rows, high_rows = rows << low_bits, rows << high_bits  # where a fold's tables begin
    for round_number in range(0, NUM_ROUNDS, 2):
        low = low ^ tables[round_number].index_select(0, high_rows + high)
        high = high ^ tables[round_number + 1].index_select(0, low_rows + low)
    return (high << low_bits) | low
