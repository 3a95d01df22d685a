"""The real images, where RPS_BENCH_DATA holds them: the pixels have the published statistics."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.parquet import ParquetSource

ROOT = Path(os.environ.get("RPS_BENCH_DATA") or "/nonexistent")


def is_there(name: str) -> bool:
    """Whether parquet shards of a dataset are under the data root."""
    hub = DATASETS[name].hub
    return hub is not None and any((ROOT / hub.local_folder).glob("train-*.parquet"))


@pytest.fixture(autouse=True)
def _clean_up(tmp_path: Path) -> Iterator[None]:
    """Hundreds of decoded megabytes are not left behind."""
    yield
    shutil.rmtree(tmp_path)


def needs(name: str) -> pytest.MarkDecorator:
    """Skip where the dataset is not there."""
    return pytest.mark.skipif(not is_there(name), reason=f"RPS_BENCH_DATA holds no {name}")


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=needs(n)) for n, info in DATASETS.items() if info.hub]
)
def test_real_images_fit_their_constants(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load_dataset(name, ROOT)
    monkeypatch.delattr(ParquetSource, "fill")  # the second load decodes nothing
    dataset = load_dataset(name, ROOT)
    assert dataset.is_partial == (len(dataset.train) < 50_000 or len(dataset.test) < 10_000)
    counts = dataset.train.labels.bincount(minlength=dataset.num_classes)
    assert int(counts.min()) == int(counts.max()) == len(dataset.train) // dataset.num_classes
    sample = dataset.train.images[::5].float().transpose(0, 1).flatten(1) / 255  # (3, pixels)
    assert torch.allclose(sample.mean(1), torch.tensor(dataset.mean), atol=0.01)
    assert torch.allclose(sample.std(1), torch.tensor(dataset.std), atol=0.015)
