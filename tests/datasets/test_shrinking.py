"""Images averaged down: the arithmetic by hand and against PyTorch's own, and runs on them."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.embedded import choose_test_rows
from rps_bench.datasets.shrinking import shrink, shrink_images
from rps_bench.methods.files.read import read_facts
from rps_bench.records import check_record, read_records
from rps_bench.records.models import model_path
from tests.conftest import Command
from tests.datasets.test_real import needs

DATA_ROOT = os.environ.get("RPS_BENCH_DATA", "")


def test_means_by_hand() -> None:
    """Halves go to the even neighbour, so they are as often rounded down as up."""
    image = torch.tensor(
        [
            [0, 1, 0, 255, 7, 8],
            [1, 0, 255, 0, 7, 8],
            [1, 1, 0, 0, 255, 255],
            [2, 2, 0, 1, 255, 254],
        ],
        dtype=torch.uint8,
    )
    square = torch.cat([image, torch.zeros(2, 6, dtype=torch.uint8)]).expand(2, 3, 6, 6)
    # Means 0.5, 127.5, 7.5; 1.5, 0.25, 254.75; 0, 0, 0.
    expected = torch.tensor([[0, 128, 8], [2, 0, 255], [0, 0, 0]], dtype=torch.uint8)
    found = shrink_images(square, 3)
    assert found.dtype == torch.uint8
    assert torch.equal(found, expected.expand(2, 3, 3, 3))


@given(
    count=st.sampled_from([1, 2, 255, 256, 257, 300]),
    size=st.integers(1, 4),
    side=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_means_are_those_of_exact_arithmetic(count: int, size: int, side: int, seed: int) -> None:
    """Also of sizes that are no powers of two, and of more images than one chunk holds."""
    shape = (count, 3, size * side, size * side)
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    expected = F.avg_pool2d(images.double(), side).round().to(torch.uint8)
    assert torch.equal(shrink_images(images, size), expected)


def test_all_halves_are_exact() -> None:
    """Every mean of four pixels that ends in .5."""
    totals = torch.arange(2, 4 * 255, 4)
    pixels = torch.stack([(totals + rest) // 4 for rest in range(4)], 1)
    found = shrink_images(pixels.to(torch.uint8).view(-1, 1, 2, 2), 1).flatten().long()
    assert torch.equal(pixels.sum(1), totals)
    assert torch.equal(found % 2, torch.zeros_like(found))
    assert torch.equal((4 * found - totals).abs(), torch.full_like(found, 2))


def test_a_flat_image_keeps_its_value() -> None:
    flat = torch.arange(256, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 64, 64)
    assert torch.equal(shrink_images(flat, 2), flat[..., :2, :2])


@pytest.mark.parametrize("size", [8, 16])
def test_digits_are_as_if_they_had_been_enlarged_less(size: int) -> None:
    """Their 32x32 pixels are repeated ones, so a mean of repetitions is the pixel itself."""
    bunch = load_digits()
    scanned = ((bunch.images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)
    large = torch.from_numpy(scanned.repeat(size // 8, axis=1).repeat(size // 8, axis=2))
    is_test = torch.from_numpy(choose_test_rows(bunch.target, 360))
    small = shrink(load_dataset("digits"), size)
    for split, rows in ((small.train, ~is_test), (small.test, is_test)):
        assert torch.equal(split.images, large[rows, None].expand(-1, 3, -1, -1))


def test_only_the_images_change() -> None:
    whole = load_dataset("digits")
    before = whole.train.images.clone()
    small = shrink(whole, 16)
    assert (small.image_size, whole.image_size) == (16, 32)
    assert small.info == replace(whole.info, image_size=16)
    assert torch.equal(small.train.labels, whole.train.labels)
    assert torch.equal(whole.train.images, before)


@pytest.mark.parametrize(
    ("dataset", "sizes"),
    [
        ("digits", (8, 16, 32)),
        ("cifar10", (1, 2, 4, 8, 16, 32)),
        ("cifar100", (1, 2, 4, 8, 16, 32)),
        ("tiny_imagenet", (1, 2, 4, 8, 16, 32, 64)),
    ],
)
def test_the_sizes_that_a_dataset_can_have(dataset: str, sizes: tuple[int, ...]) -> None:
    assert DATASETS[dataset].sizes == sizes


def test_runs_on_smaller_digits(command: Command, tmp_path: Path) -> None:
    """A run of its own: other images, as many weights, a quarter of the multiply-adds."""
    words = ("recipe=smoke", "arch.width=2", "device=cpu", "method=snip", "keep_model=true")
    assert command("-m", *words, "dataset.image_size=null,16") == 0
    records, _ = read_records(tmp_path / "results")
    by_size = {}
    for record in records:
        check_record(record)
        assert record["status"] == "completed"
        by_size[record["config"]["dataset_options"]["image_size"]] = record
    whole, small = by_size[None], by_size[16]
    assert small["run_id"].startswith("digits-16px-resnet20-snip-")
    assert whole["run_id"].startswith("digits-resnet20-snip-")
    assert small["size"]["dense_weights"] == whole["size"]["dense_weights"]
    classifier = 8 * 10  # inputs x classes, once an image
    assert 4 * (small["cost"]["macs"] - classifier) == whole["cost"]["macs"] - classifier
    assert small["metrics"]["test_loss"] != whole["metrics"]["test_loss"]
    assert not small["config"]["dataset_options"]["is_partial"]
    assert (
        read_facts(model_path("results", "digits", "resnet20", small["run_id"]))["image_size"] == 16
    )


@pytest.mark.real_data
@needs("cifar10")
def test_runs_on_smaller_real_images(command: Command, tmp_path: Path) -> None:
    words = ("dataset=cifar10", "recipe=smoke", "arch.width=2", "device=cpu", "method=mag")
    sizes = ("dataset.image_size=16", f"data_root={DATA_ROOT}")
    assert command("-m", *words, *sizes, "seed=0,1") == 0
    records, _ = read_records(tmp_path / "results")
    assert [record["status"] for record in records] == ["completed", "completed"]
    assert {record["config"]["dataset_options"]["image_size"] for record in records} == {16}
