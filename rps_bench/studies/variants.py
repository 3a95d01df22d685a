"""Variants of methods in a study's options: a method and its options in words."""

from typing import Any

from omegaconf import OmegaConf

from rps_bench.methods import build_method
from rps_bench.methods.base import Method


def build_variant(variant: str, compression: float, seed: int) -> Method:
    """The method of words such as ``stable_rps scaling=none``.

    Raises:
        UserError: The method or an option is unknown, or a value is out of range.
    """
    name, *words = variant.split()
    options: Any = OmegaConf.to_container(OmegaConf.from_dotlist(words))
    return build_method(name, compression, seed, **options)
