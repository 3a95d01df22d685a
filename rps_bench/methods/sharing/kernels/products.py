"""The kernels: A theta, and A' g in two ways, for any sharing map.

Numbers that a map's code depends on (n, m, ...) are constants of the compiled kernel, which turns
slow divisions into multiplications; all others (keys, layers, scales) are read from tables. No
number is an argument, so none can change its width with its value.
"""
# Kernels are not typed: Triton reads annotations as its own. They are given:
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# ruff: noqa: ANN001, ANN201

import triton
import triton.language as tl

from rps_bench.methods.sharing.kernels.hashing import hash_signs


@triton.jit
def layers_of(weight, layers, num_layers: tl.constexpr):
    """The number of each weight's layer, int64: how many later layers begin at or before it."""
    # Every layer is compared with: a search would compare fewer, but wait for each answer.
    layer = tl.zeros_like(weight)
    for later in range(1, num_layers):
        layer += (weight >= tl.load(layers + later)).to(tl.int64)
    return layer


@triton.jit
def block_of_weights(num_words: tl.constexpr):
    """This program's weights 64 * word + bit: words (num_words, 1) and bits (1, 64), int64."""
    # int64 from the first product on: positions beyond 2^31 would turn negative in 32 bits.
    word = tl.program_id(0).to(tl.int64) * num_words + tl.arange(0, num_words)
    return word[:, None], tl.arange(0, 64).to(tl.int64)[None, :]


@triton.jit
def expand_kernel(
    stored,  # (m,)
    weights,  # (n,) written
    keys,  # (2,) int64: of slots, of signs
    layers,  # (rows, num_layers) int64
    scales,  # (num_layers,)
    n: tl.constexpr,
    m: tl.constexpr,
    num_layers: tl.constexpr,
    constant: tl.constexpr,
    slots_of: tl.constexpr,
    num_words: tl.constexpr,
):
    """w_i = theta[slot of i] * sign of i * scale of i's layer, a program per num_words * 64."""
    # Sign i is bit i mod 64 of one hash. With words and bits on axes of their own, the hash is
    # computed for (num_words, 1) lanes only, and each of them serves 64 weights.
    word, bit = block_of_weights(num_words)
    weight = word * 64 + bit  # (num_words, 64)
    inside = weight < n
    layer = layers_of(weight, layers, num_layers)
    # Lanes past the end have a slot, too, of no meaning: they read nothing and write nothing.
    slot = slots_of(weight, layer, tl.load(keys), layers, num_layers, m, constant)
    scale = tl.load(scales + layer)
    sign = hash_signs(tl.load(keys + 1), word, bit).to(scale.dtype)
    value = tl.load(stored + slot, mask=inside, other=0.0)
    # A sign changes no digit: the product is rounded once, as in torch.
    tl.store(weights + weight, value * sign * scale, mask=inside)


@triton.jit
def scatter_kernel(
    grad_weights,  # (n,)
    sums,  # (m,) added to
    keys,  # (2,) int64: of slots, of signs
    layers,  # (rows, num_layers) int64
    scales,  # (num_layers,)
    n: tl.constexpr,
    m: tl.constexpr,
    num_layers: tl.constexpr,
    constant: tl.constexpr,
    slots_of: tl.constexpr,
    num_words: tl.constexpr,
):
    """A' g by atomic additions, in any order."""
    word, bit = block_of_weights(num_words)
    weight = word * 64 + bit  # (num_words, 64)
    inside = weight < n
    layer = layers_of(weight, layers, num_layers)
    slot = slots_of(weight, layer, tl.load(keys), layers, num_layers, m, constant)
    scale = tl.load(scales + layer)
    sign = hash_signs(tl.load(keys + 1), word, bit).to(scale.dtype)
    grad = tl.load(grad_weights + weight, mask=inside, other=0.0)
    # Relaxed: additions need no order among themselves, and the kernel's end is seen by all.
    tl.atomic_add(sums + slot, grad * sign * scale, mask=inside, sem="relaxed")


@triton.jit
def gather_kernel(
    grad_weights,  # (n,)
    sums,  # (parts, m) written
    keys,  # (2,) int64: of slots, of signs
    layers,  # (rows, num_layers) int64
    scales,  # (num_layers,)
    n: tl.constexpr,
    m: tl.constexpr,
    num_layers: tl.constexpr,
    constant: tl.constexpr,
    offsets_of: tl.constexpr,
    folds_per_part: tl.constexpr,  # a multiple of num_folds
    num_folds: tl.constexpr,
    num_slots: tl.constexpr,
):
    """A' g over one part of the folds, for maps in which a slot serves one weight of each fold.

    A program holds num_folds x num_slots lanes: few slots leave room for many folds at a time,
    and many slots for few. Its sums run in one order, whatever the GPU does.
    """
    # num_slots is a power of two and m need not be. Lanes beyond the last slot repeat it, since a
    # walk of the balanced map may never end from outside, and write nothing.
    slot = tl.program_id(0).to(tl.int64) * num_slots + tl.arange(0, num_slots)
    written = slot < m
    slot = tl.minimum(slot, m - 1)[None, :]  # (1, num_slots), none beyond the last
    part = tl.program_id(1).to(tl.int64)
    first = part * folds_per_part + tl.arange(0, num_folds)[:, None]  # (num_folds, 1)
    # Every lane adds up its own slot over every num_folds-th fold of the part.
    total = tl.zeros((num_folds, num_slots), dtype=sums.dtype.element_ty)
    for done in range(0, folds_per_part, num_folds):
        fold = first + done
        weight = fold * m + offsets_of(slot, fold, tl.load(keys), m, constant)
        inside = weight < n  # not in what the last fold lacks, nor in folds after it
        scale = tl.load(scales + layers_of(weight, layers, num_layers))
        sign = hash_signs(tl.load(keys + 1), weight >> 6, weight & 63).to(scale.dtype)
        total += tl.load(grad_weights + weight, mask=inside, other=0.0) * sign * scale
    # The lanes of one slot are added last, in the tree that the compiler has fixed.
    sums += part * m + tl.program_id(0).to(tl.int64) * num_slots + tl.arange(0, num_slots)
    tl.store(sums, tl.sum(total, axis=0), mask=written)
