"""Training classes of unequal size: the law, what is kept, and a run that states it."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rps_bench.core.errors import UserError
from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.base import Dataset, Split
from rps_bench.datasets.imbalance import class_counts, make_imbalanced
from rps_bench.datasets.probe import probe_batch
from rps_bench.datasets.splits import hold_out_evenly
from rps_bench.records import check_record, read_records
from tests.conftest import Command


def make_numbered(sizes: dict[int, int]) -> Dataset:
    """Training images that carry their row number, so many of each class, classes mixed."""
    labels = torch.cat([torch.full((size,), label) for label, size in sizes.items()])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    numbers = torch.arange(len(labels)).to(torch.uint8)
    images = numbers.view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    test = Split(images[:10], torch.arange(10))
    return Dataset(DATASETS["digits"], Split(images, labels), test)


def count_labels(dataset: Dataset) -> list[int]:
    return torch.bincount(dataset.train.labels, minlength=10).tolist()


def rows_of(dataset: Dataset) -> list[int]:
    """The row numbers in the images."""
    return [int(image[0, 0, 0]) for image in dataset.train.images]


def test_the_law_by_hand() -> None:
    """With ten classes and ratio 100 the exponent is 2, with ratio 10 it is 1."""
    assert class_counts(5000, 10, 100.0) == [5000, 1250, 556, 312, 200, 139, 102, 78, 62, 50]
    assert class_counts(100, 10, 10.0) == [100, 50, 33, 25, 20, 17, 14, 12, 11, 10]
    assert class_counts(20, 10, 100.0)[-5:] == [1, 1, 1, 1, 1]  # never none


@given(largest=st.integers(1, 10_000), num_classes=st.integers(2, 200), ratio=st.floats(1.001, 1e4))
def test_the_law_falls_by_the_ratio(largest: int, num_classes: int, ratio: float) -> None:
    counts = class_counts(largest, num_classes, ratio)
    assert len(counts) == num_classes
    assert counts[0] == largest
    assert counts == sorted(counts, reverse=True)
    assert abs(counts[-1] - max(1.0, largest / ratio)) < 0.5 + 1e-6


def test_digits_follow_the_law_and_keep_their_test_split() -> None:
    whole = load_dataset("digits")
    dataset = make_imbalanced(whole, 10.0, seed=0)
    smallest = min(count_labels(whole))
    assert count_labels(dataset) == class_counts(smallest, 10, 10.0)
    assert dataset.test is whole.test
    assert (dataset.imbalance, whole.imbalance) == (10.0, None)
    assert dataset.is_partial


def test_kept_images_are_images_of_the_class_in_their_order() -> None:
    whole = make_numbered(dict.fromkeys(range(10), 20))
    dataset = make_imbalanced(whole, 5.0, seed=3)
    rows = rows_of(dataset)
    assert rows == sorted(set(rows))
    assert torch.equal(whole.train.labels[torch.tensor(rows)], dataset.train.labels)


def test_the_seed_says_which_and_not_how_many() -> None:
    whole = make_numbered(dict.fromkeys(range(10), 20))
    first, again, other = (make_imbalanced(whole, 5.0, seed) for seed in (0, 0, 1))
    assert rows_of(first) == rows_of(again)
    assert rows_of(first) != rows_of(other)
    assert count_labels(first) == count_labels(other)


def test_a_higher_ratio_keeps_some_of_the_same() -> None:
    whole = make_numbered(dict.fromkeys(range(10), 20))
    mild, strong = (make_imbalanced(whole, ratio, 0) for ratio in (3.0, 20.0))
    assert set(rows_of(strong)) < set(rows_of(mild))


def test_classes_of_several_sizes_give_what_the_smallest_can() -> None:
    sizes = dict.fromkeys(range(9), 25) | {9: 12}
    assert count_labels(make_imbalanced(make_numbered(sizes), 4.0, 0)) == class_counts(12, 10, 4.0)


def test_a_class_without_images_is_refused() -> None:
    with pytest.raises(UserError, match=r"dataset\.imbalance needs training images of every class"):
        make_imbalanced(make_numbered(dict.fromkeys(range(9), 20)), 4.0, 0)


def test_an_even_validation_split_leaves_sizes_that_no_seed_changes() -> None:
    """Of 20 images of each class 5 are held out, so the largest class has 15."""
    whole = make_numbered(dict.fromkeys(range(10), 20))
    splits = [make_imbalanced(hold_out_evenly(whole, 50, seed), 5.0, seed) for seed in (0, 1)]
    for dataset in splits:
        assert count_labels(dataset) == class_counts(15, 10, 5.0)
        held_out = {int(image[0, 0, 0]) for image in dataset.test.images}
        assert not held_out & set(rows_of(dataset))
    assert rows_of(splits[0]) != rows_of(splits[1])


def test_an_answer_that_knows_frequent_classes_alone_is_worth_its_share_of_classes() -> None:
    """Three of ten classes hold six of ten training images, and three of ten held-out ones."""
    whole = make_numbered(dict.fromkeys(range(10), 25))
    dataset = make_imbalanced(hold_out_evenly(whole, 50, 0), 10.0, 0)
    is_frequent = dataset.train.labels < 3
    assert float(is_frequent.double().mean()) > 0.6
    assert float((dataset.test.labels < 3).double().mean()) == 0.3


def test_the_probe_takes_what_a_rare_class_has() -> None:
    dataset = make_imbalanced(load_dataset("digits"), 100.0, 0)
    sizes = count_labels(dataset)
    assert sizes[-1] == 1
    images, labels = probe_batch(dataset, seed=0)
    assert torch.bincount(labels).tolist() == [min(size, 10) for size in sizes]
    assert len(images) == len(labels)


def test_a_run_states_its_imbalance(command: Command, tmp_path: Path) -> None:
    words = ("recipe=smoke", "arch.width=2", "device=cpu", "method=snip")
    assert command("-m", *words, "dataset.imbalance=null,100") == 0
    records, _ = read_records(tmp_path / "results")
    stated = {}
    for record in records:
        check_record(record)
        assert record["status"] == "completed"
        options = record["config"]["dataset_options"]
        stated[options["imbalance"]] = options
        classes = record["classes"]
        assert sum(classes["num_train"]) == options["num_train"]
        assert sum(classes["num_evaluated"]) == options["num_test"]
        kept = load_dataset("digits")
        if options["imbalance"] is not None:
            kept = make_imbalanced(kept, options["imbalance"], seed=0)
        assert classes["num_train"] == count_labels(kept)
    assert stated[None]["num_train"] == 1437
    assert not stated[None]["is_partial"]
    smallest = min(count_labels(load_dataset("digits")))
    assert stated[100]["num_train"] == sum(class_counts(smallest, 10, 100.0))
    assert stated[100]["num_test"] == stated[None]["num_test"] == 360
