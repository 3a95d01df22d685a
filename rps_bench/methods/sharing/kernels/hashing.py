"""The hashes of ``sharing/hashing.py`` inside kernels: the same numbers.

Unsigned here, since shifting an unsigned number to the right brings in zeros; products wrap alike.
"""
# Kernels are not typed: Triton reads annotations as its own. They are given:
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# ruff: noqa: ANN001, ANN201

import triton
import triton.language as tl

from rps_bench.methods.sharing import hashing

ALL_64 = (1 << 64) - 1
GOLDEN = tl.constexpr(hashing.GOLDEN & ALL_64)
MULTIPLIER_1 = tl.constexpr(hashing.MULTIPLIER_1 & ALL_64)
MULTIPLIER_2 = tl.constexpr(hashing.MULTIPLIER_2 & ALL_64)
MASK_63 = tl.constexpr(hashing.MASK_63)


@triton.jit
def hash_bits(key, index):
    """64 hash bits, uint64, of each index; ``key`` and ``index`` are 64-bit tensors."""
    # Shifts carry high bits down, products carry low bits up, until every bit of the input has had
    # its say in every bit of the output.
    bits = (index.to(tl.uint64) + 1) * GOLDEN + key.to(tl.uint64)
    bits = (bits ^ (bits >> 30)) * MULTIPLIER_1
    bits = (bits ^ (bits >> 27)) * MULTIPLIER_2
    return bits ^ (bits >> 31)


@triton.jit
def hash_below(key, index, bound: tl.constexpr):
    """A hash in [0, bound), int64, for each index."""
    # Signed again for the modulo: never negative, and both of its sides are of one kind.
    return (hash_bits(key, index) & MASK_63).to(tl.int64) % bound


@triton.jit
def hash_signs(key, word, bit):
    """+1 or -1, int32, of the weights 64 * word + bit; where ``word`` is narrow, few hashes."""
    # The hash has the shape of ``word``, the shift that of both: broadcasting comes last.
    bits = hash_bits(key, word) >> bit.to(tl.uint64)
    return 1 - 2 * (bits & 1).to(tl.int32)
