"""Named streams: pinned keys, and independence of names."""

import itertools

import pytest
import torch

from rps_bench.core.seeds import derive_key, named_generator


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ((0,), 8792551550516109995),
        ((0, "init"), 4568586382721084005),
        ((0, "order", 1), 53990017707212954),
        ((0, "augmentation", 1), 5443869877583114691),
        ((1, "order", 1), -7276532490591569116),
        ((2**63 - 1, "map"), 6242069938069099623),
    ],
)
def test_keys_never_change(arguments: tuple[int, ...], key: int) -> None:
    assert derive_key(*arguments) == key


def test_streams_never_change() -> None:
    order = torch.randperm(8, generator=named_generator(0, "order", 1))
    assert order.tolist() == [5, 4, 0, 1, 2, 7, 6, 3]
    draws = torch.rand(2, generator=named_generator(0, "init"), dtype=torch.float64)
    assert draws.tolist() == pytest.approx([0.4733260260897987, 0.021003682548667024], rel=1e-12)


def test_keys_are_signed_64_bit_and_use_all_bits() -> None:
    keys = [derive_key(seed, "bits") for seed in range(2000)]
    assert all(-(2**63) <= key < 2**63 for key in keys)
    for bit in range(64):
        assert 800 < sum(key >> bit & 1 for key in keys) < 1200  # 1000 expected, std 22


def test_different_seeds_and_names_give_different_keys_and_streams() -> None:
    names: list[tuple[str | int, ...]] = [(), ("init",), ("order", 1), ("order", 2), ("order", 11)]
    names += [("augmentation", epoch) for epoch in range(1, 200)]
    keys = [derive_key(seed, *name) for seed, name in itertools.product(range(20), names)]
    assert len(set(keys)) == len(keys)
    # PyTorch's CPU generator takes the lower 32 bits of a seed: they alone must differ too.
    assert len({key & 0xFFFFFFFF for key in keys}) == len(keys)
    first = [torch.rand(4, generator=named_generator(3, *name)).tolist() for name in names]
    assert len({tuple(draws) for draws in first}) == len(names)


def test_the_order_of_names_matters() -> None:
    assert derive_key(0, "a", "b") != derive_key(0, "b", "a")
    assert derive_key(0, "a", 1) != derive_key(0, 1, "a")


def test_a_number_is_not_split_or_joined() -> None:
    assert derive_key(1, 2) != derive_key(12)
    assert derive_key(0, "order", 1, 2) != derive_key(0, "order", 12)
    assert derive_key(0, "orde", "r") != derive_key(0, "order")


def test_a_name_with_the_separator_is_refused() -> None:
    with pytest.raises(AssertionError):
        derive_key(0, "a/b")
