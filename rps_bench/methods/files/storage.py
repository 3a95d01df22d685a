"""How the stored values theta are written: as they are, or rounded to fewer bits.

Biases and BatchNorm are always written as they are: they are few, and BatchNorm suffers most.
"""

from collections.abc import Mapping

import torch

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.storages import BF16, EXACT, FP16, STORAGES

HALVES = {FP16: torch.float16, BF16: torch.bfloat16}
BLOCK = 64  # values of int8 that share a scale
LARGEST = 127  # of int8, symmetric

VALUES, SCALES = "stored", "stored_scales"  # names of the tensors in a file


def encode_values(stored: torch.Tensor, storage: str) -> dict[str, torch.Tensor]:
    """The tensors that hold (m,) values.

    `exact` keeps the dtype; `fp16` and `bf16` round to nearest; `int8` divides each block of 64
    values by its largest magnitude / 127, kept as float32, and rounds to nearest.

    Raises:
        UserError: Unknown storage, or values beyond the range of fp16.
    """
    checks.choice("storage", storage, STORAGES)
    if storage == EXACT:
        return {VALUES: stored}
    if storage in HALVES:
        rounded = stored.to(HALVES[storage])
        if bool(rounded.isinf().any()):
            largest = stored.abs().max()
            raise UserError(f"storage={storage} ends below the largest stored value {largest:g}")
        return {VALUES: rounded}
    blocks = _to_blocks(stored.float())
    scales = blocks.abs().amax(1) / LARGEST  # (ceil(m / 64),)
    divisors = scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    whole = (blocks / divisors).round_().clamp_(-LARGEST, LARGEST).to(torch.int8)
    return {VALUES: whole.view(-1)[: stored.numel()], SCALES: scales}


def decode_values(tensors: Mapping[str, torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """The (m,) values that `encode_values` wrote, in the network's dtype.

    Raises:
        ValueError: Tensors that it did not write.
    """
    values = tensors[VALUES]
    if values.dim() != 1:
        raise ValueError("its stored values are no vector")
    if values.dtype != torch.int8:
        if values.dtype not in (dtype, *HALVES.values()):
            raise ValueError(f"its stored values are {values.dtype}")
        return values.to(dtype)
    scales = tensors[SCALES]
    if scales.dtype != torch.float32 or scales.shape != (-(-values.numel() // BLOCK),):
        raise ValueError("its scales do not fit its stored values")
    blocks = _to_blocks(values.float()) * scales[:, None]
    return blocks.view(-1)[: values.numel()].to(dtype)


def round_values(stored: torch.Tensor, storage: str) -> torch.Tensor:
    """The (m,) values as they come back from a file of this storage."""
    return decode_values(encode_values(stored, storage), stored.dtype)


def _to_blocks(values: torch.Tensor) -> torch.Tensor:
    """(m,) -> (ceil(m / 64), 64), filled up with zeros."""
    padding = -values.numel() % BLOCK
    return torch.nn.functional.pad(values, (0, padding)).view(-1, BLOCK)
