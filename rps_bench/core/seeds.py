"""Named random streams: every source of randomness of a run comes from its one seed and a name."""

import hashlib

import torch


def derive_key(seed: int, *names: str | int) -> int:
    """A 64-bit key for one purpose, as a signed integer.

    Streams of different names are independent of each other, so adding one changes no other.

    Args:
        seed: The run's seed.
        names: The purpose, for example ``("augmentation", epoch)``; no name holds a slash.
    """
    assert not any("/" in str(name) for name in names), names
    text = "/".join(["rps_bench", str(seed), *map(str, names)])
    return int.from_bytes(
        hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True
    )


def named_generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator for one purpose. CPU always, so that a GPU run draws the same numbers.

    PyTorch's generator takes the lower 32 bits of the key.
    """
    return torch.Generator().manual_seed(derive_key(seed, *names))
