"""Indices of a codebook as bytes: as many bits each as the codebook needs, none left between."""

import numpy as np
import torch


def pack_indices(indices: torch.Tensor, num_bits: int) -> torch.Tensor:
    """(ceil(n * num_bits / 8),) uint8: bit b of index i is bit i * num_bits + b, low bits first.

    Args:
        indices: (n,) uint8 on the CPU, below 2^num_bits.
        num_bits: From 1 to 8.
    """
    bits = np.unpackbits(indices.numpy()[:, None], axis=1, count=num_bits, bitorder="little")
    return torch.from_numpy(np.packbits(bits.reshape(-1), bitorder="little"))


def unpack_indices(packed: torch.Tensor, num_weights: int, num_bits: int) -> torch.Tensor:
    """The (n,) uint8 indices that ``pack_indices`` packed.

    Raises:
        ValueError: It packed none of so many weights and bits.
    """
    num_used = num_weights * num_bits
    if packed.dim() != 1 or packed.dtype != torch.uint8 or len(packed) != -(-num_used // 8):
        raise ValueError(f"it has not {num_bits} bits for the index of each weight")
    bits = np.unpackbits(packed.numpy(), bitorder="little")
    if bits[num_used:].any():
        raise ValueError("its last index is followed by more bits")
    rows = bits[:num_used].reshape(num_weights, num_bits)
    return torch.from_numpy(np.packbits(rows, axis=1, bitorder="little").reshape(-1))
