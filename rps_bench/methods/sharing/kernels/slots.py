"""Each sharing map inside kernels: from a weight to its slot, and back for the maps by folds.

All functions of one direction take the same arguments, so that one kernel serves every map:

slots(weight, layer, key, layers, num_layers, m, constant) -> slot
    ``weight``: int64 positions in the flat w; ``layer``: the layer of each; ``key``: the map's key
    of slots; ``layers``: pointer to the (rows, num_layers) int64 table, whose row 0 is where each
    layer begins; ``constant``: what else the map's code depends on.
offsets(slot, fold, key, m, constant) -> offset
    The place in a fold of m weights that reads the slot: the inverse of slots within each fold.
"""
# Kernels are not typed: Triton reads annotations as its own. They are given:
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# ruff: noqa: ANN001, ANN201

import triton
import triton.language as tl

from rps_bench.methods.sharing import feistel as in_torch
from rps_bench.methods.sharing.kernels.hashing import hash_below, hash_bits

NUM_ROUNDS = tl.constexpr(in_torch.NUM_ROUNDS)


@triton.jit
def hashed_slots(
    weight, layer, key, layers, num_layers: tl.constexpr, m: tl.constexpr, constant: tl.constexpr
):
    """hash(i) mod m."""
    # m is a constant of the kernel, so this modulo is a multiplication.
    return hash_below(key, weight, m)


@triton.jit
def tiled_slots(
    weight, layer, key, layers, num_layers: tl.constexpr, m: tl.constexpr, tile: tl.constexpr
):
    """Start of the weight's tile + its place in the tile; further rows: columns, first tiles."""
    # The layer's matrix: the weight's place in it, as row and column.
    place = weight - tl.load(layers + layer)
    columns = tl.load(layers + num_layers + layer)
    first_tile = tl.load(layers + 2 * num_layers + layer)
    row = place // columns
    column = place - row * columns
    # Tiles are numbered through the whole network, row by row of tiles in each layer.
    tile_row, tile_column = row // tile, column // tile
    tiles_across = (columns + (tile - 1)) // tile
    number = first_tile + tile_row * tiles_across + tile_column
    start = hash_below(key, number, m - tile * tile + 1)
    # The last tile of a row may be narrower: its entries still run on without a gap.
    tile_width = tl.minimum(columns - tile_column * tile, tile)
    return start + (row - tile_row * tile) * tile_width + (column - tile_column * tile)


@triton.jit
def randomfold_slots(
    weight, layer, key, layers, num_layers: tl.constexpr, m: tl.constexpr, constant: tl.constexpr
):
    """(u(k) + o) mod m."""
    # Neighbours in a fold read neighbouring slots, so that a warp reads whole cache lines.
    fold = weight // m
    slot = hash_below(key, fold, m) + (weight - fold * m)
    return tl.where(slot >= m, slot - m, slot)  # both terms are below m: no modulo is needed


@triton.jit
def randomfold_offsets(slot, fold, key, m: tl.constexpr, constant: tl.constexpr):
    """(slot - u(k)) mod m."""
    offset = slot - hash_below(key, fold, m)
    return tl.where(offset < 0, offset + m, offset)


@triton.jit
def balanced_slots(
    weight, layer, key, layers, num_layers: tl.constexpr, m: tl.constexpr, num_bits: tl.constexpr
):
    """The permutation of fold k applied to offset o."""
    fold = weight // m
    fold_key = hash_bits(key, fold)
    slot = feistel(weight - fold * m, fold_key, num_bits)
    # What fell outside walks on: the network permutes the next power of two, of which more than
    # half lies inside. All lanes wait for the last.
    while tl.max(slot) >= m:
        slot = tl.where(slot >= m, feistel(slot, fold_key, num_bits), slot)
    return slot


@triton.jit
def balanced_offsets(slot, fold, key, m: tl.constexpr, num_bits: tl.constexpr):
    """The same walk backwards. A slot must be below m: from outside a walk may never end."""
    fold_key = hash_bits(key, fold)
    offset = feistel_inverse(slot, fold_key, num_bits)
    while tl.max(offset) >= m:
        offset = tl.where(offset >= m, feistel_inverse(offset, fold_key, num_bits), offset)
    return offset


@triton.jit
def feistel(values, keys, num_bits: tl.constexpr):
    """A keyed permutation of [0, 2^num_bits), int64: that of ``sharing/feistel.py``."""
    low_bits: tl.constexpr = num_bits // 2
    low_mask: tl.constexpr = (1 << low_bits) - 1
    high_mask: tl.constexpr = (1 << (num_bits - low_bits)) - 1
    low, high = values & low_mask, values >> low_bits
    # Each half is xored with a hash of the other one, which stays: so each round can be undone.
    # Hashed each time; in torch a table for each fold is looked up instead.
    for step in tl.static_range(0, NUM_ROUNDS, 2):
        low = low ^ (hash_bits(keys + step, high).to(tl.int64) & low_mask)
        high = high ^ (hash_bits(keys + (step + 1), low).to(tl.int64) & high_mask)
    return (high << low_bits) | low


@triton.jit
def feistel_inverse(values, keys, num_bits: tl.constexpr):
    """The rounds undone, last one first."""
    low_bits: tl.constexpr = num_bits // 2
    low_mask: tl.constexpr = (1 << low_bits) - 1
    high_mask: tl.constexpr = (1 << (num_bits - low_bits)) - 1
    low, high = values & low_mask, values >> low_bits
    for step in tl.static_range(0, NUM_ROUNDS, 2):
        high = high ^ (hash_bits(keys + (NUM_ROUNDS - 1 - step), low).to(tl.int64) & high_mask)
        low = low ^ (hash_bits(keys + (NUM_ROUNDS - 2 - step), high).to(tl.int64) & low_mask)
    return (high << low_bits) | low
