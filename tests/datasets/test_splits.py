"""The validation split: exact, seeded, and free of test images."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.datasets import DATASETS
from rps_bench.datasets.base import Dataset, Split
from rps_bench.datasets.splits import hold_out, hold_out_evenly


def make_numbered(num_train: int = 40, num_test: int = 7) -> Dataset:
    """A dataset whose images carry their row number; test images carry 200 and up."""

    def split(count: int, first: int) -> Split:
        numbers = torch.arange(first, first + count)
        images = numbers.to(torch.uint8).view(-1, 1, 1, 1).expand(count, 3, 32, 32)
        return Split(images, numbers % 10)

    return Dataset(DATASETS["digits"], split(num_train, 0), split(num_test, 200))


@settings(max_examples=25, deadline=None)
@given(num_images=st.integers(1, 39), seed=st.integers(0, 2**31))
def test_parts_are_the_training_images(num_images: int, seed: int) -> None:
    result = hold_out(make_numbered(), num_images, seed)
    kept, held = result.train.images[:, 0, 0, 0], result.test.images[:, 0, 0, 0]
    assert len(held) == num_images
    assert sorted(kept.tolist() + held.tolist()) == list(range(40))
    for images, labels in ((kept, result.train.labels), (held, result.test.labels)):
        assert torch.equal(images.long() % 10, labels)


def test_held_out_are_the_last_of_the_shuffle() -> None:
    order = torch.randperm(40, generator=named_generator(5, "hold_out"))
    result = hold_out(make_numbered(), 10, seed=5)
    assert result.train.images[:, 0, 0, 0].tolist() == order[:30].tolist()
    assert result.test.images[:, 0, 0, 0].tolist() == order[30:].tolist()


def test_seed_decides() -> None:
    rows = [hold_out(make_numbered(), 10, seed).test.images[:, 0, 0, 0].tolist() for seed in (0, 1)]
    assert rows[0] != rows[1]
    assert rows[0] == hold_out(make_numbered(), 10, 0).test.images[:, 0, 0, 0].tolist()


def test_held_out_images_do_not_make_a_set_partial() -> None:
    whole = make_numbered(1437, 360)
    assert not whole.is_partial
    result = hold_out(whole, 100, 0)
    assert not result.is_partial
    assert result.num_held_out == 100
    assert make_numbered(1436, 360).is_partial
    assert make_numbered(1437, 359).is_partial
    assert hold_out(make_numbered(1436, 360), 100, 0).is_partial


@pytest.mark.parametrize("num_images", [-1, 0, 40, 41])
def test_impossible_sizes_are_refused(num_images: int) -> None:
    with pytest.raises(UserError, match=rf"expected 1 to 39 .* found {num_images}"):
        hold_out(make_numbered(), num_images, 0)


def test_second_split_is_refused() -> None:
    with pytest.raises(UserError, match="taken already"):
        hold_out(hold_out(make_numbered(), 5, 0), 5, 0)


@settings(max_examples=25, deadline=None)
@given(num_images=st.integers(10, 39), seed=st.integers(0, 2**31))
def test_an_even_split_takes_as_many_of_each_class(num_images: int, seed: int) -> None:
    result = hold_out_evenly(make_numbered(), num_images, seed)
    per_class = num_images // 10
    assert torch.bincount(result.test.labels).tolist() == [per_class] * 10
    assert result.num_held_out == 10 * per_class
    kept, held = result.train.images[:, 0, 0, 0].tolist(), result.test.images[:, 0, 0, 0].tolist()
    assert kept == sorted(kept)
    assert sorted(kept + held) == list(range(40))
    assert [number % 10 for number in held] == result.test.labels.tolist()


def test_the_seed_decides_what_an_even_split_takes() -> None:
    rows = [
        hold_out_evenly(make_numbered(), 20, seed).test.images[:, 0, 0, 0].tolist()
        for seed in (0, 1, 0)
    ]
    assert rows[0] == rows[2] != rows[1]


@pytest.mark.parametrize(
    ("num_images", "message"),
    [
        (9, "expected at least 10, one for each class of digits, found 9"),
        (40, "40 are 4 of each class, and class 0 of digits has 4 training images"),
    ],
)
def test_an_even_split_that_cannot_be_is_refused(num_images: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        hold_out_evenly(make_numbered(), num_images, 0)
    once = hold_out(make_numbered(), 5, 0)
    with pytest.raises(UserError, match="a validation split was taken already"):
        hold_out_evenly(once, 10, 0)
