"""Stored sizes, counted over the tensors of the live compressed model."""

from typing import Any

import pyarrow
from torch import nn

from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.write import FORMAT, to_bytes
from rps_bench.methods.layout import count_parameters, flatten_weights, layer_sizes

ZSTD_LEVEL = 19  # the highest of zstd's ordinary levels


def count_zstd_bytes(content: bytes) -> int:
    """What zstd at level 19 leaves of a file's content, in bytes.

    By the codec that pyarrow brings: Python has one of its own from 3.14 on only. Numbers of
    trained weights hardly get smaller, repetitions and zeros do.
    """
    codec = pyarrow.Codec("zstd", compression_level=ZSTD_LEVEL)
    return len(codec.compress(content, asbytes=True))


def measure_sizes(
    compressed: CompressedModel, dense: nn.Module, stored_bytes: int | None = None
) -> dict[str, Any]:
    """The ``size`` block of a record.

    ``dense_total`` and ``stored_total`` count all parameters, biases and BatchNorm included; with a
    codebook the bits of its indices count, too, 32 of them as a number;
    ``stored_bytes`` is the length of the compressed file, and ``file_format`` its format: sizes of
    different ones do not compare.

    Args:
        compressed: The compressed network.
        dense: The network that it was made from.
        stored_bytes: Length of its file; None: of one that tells no facts, written to be counted.
    """
    if stored_bytes is None:
        stored_bytes = len(to_bytes(compressed))
    dense_total = count_parameters(dense)
    num_beside = compressed.weight_map.num_beside
    stored_total = count_parameters(compressed) + num_beside
    return {
        "dense_weights": flatten_weights(dense).numel(),
        "stored_weights": compressed.stored.numel() + num_beside,
        "dense_total": dense_total,
        "stored_total": stored_total,
        "true_compression": dense_total / stored_total,
        "stored_bytes": stored_bytes,
        "file_format": FORMAT,
    }


def layer_densities(compressed: CompressedModel) -> dict[str, float]:
    """The fraction of each layer's weights that is kept, by name, in flat order."""
    is_kept = compressed.weight_map.slots() >= 0
    pieces = is_kept.split_with_sizes(list(layer_sizes(compressed.layout)))
    names = [name for name, _ in compressed.layout]
    return {
        name: int(piece.sum()) / piece.numel() for name, piece in zip(names, pieces, strict=True)
    }
