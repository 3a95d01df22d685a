"""Times of networks that say what they saw; how long they take is never asserted."""

import time

import pytest
import torch
from torch import nn

from rps_bench.costs.latency import FEWEST_RUNS, MOST_RUNS, measure_latency
from rps_bench.runtime.cores import limit_threads


class Witness(nn.Module):
    """Notes mode, threads and memory format of every pass; slow for one format."""

    def __init__(self, slow_format: torch.memory_format | None = None) -> None:
        super().__init__()
        self.slow_format = slow_format
        self.seen: list[tuple[bool, bool, int, bool]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        is_last = images.is_contiguous(memory_format=torch.channels_last)
        self.seen.append(
            (self.training, torch.is_inference_mode_enabled(), torch.get_num_threads(), is_last)
        )
        if self.slow_format is not None:
            time.sleep(0.02 * images.is_contiguous(memory_format=self.slow_format))
        return images


IMAGES = torch.randn(2, 3, 4, 4)


def test_quartiles_surround_the_median() -> None:
    latency = measure_latency(Witness(), IMAGES, seconds=0.01)
    assert 0 < latency.low_ms <= latency.median_ms <= latency.high_ms
    assert FEWEST_RUNS <= latency.num_runs <= MOST_RUNS


def test_few_runs_where_they_take_long() -> None:
    slow = Witness(slow_format=torch.contiguous_format)
    latency = measure_latency(slow, IMAGES, seconds=1e-6)
    assert latency.num_runs == FEWEST_RUNS
    assert len(slow.seen) > FEWEST_RUNS  # warm-ups
    assert latency.median_ms >= 20


def test_networks_run_in_evaluation_and_inference_mode_on_the_threads_asked_for() -> None:
    before = torch.get_num_threads()
    witness = Witness()
    latency = measure_latency(witness, IMAGES, num_threads=before + 1, seconds=0.001)
    assert {seen[:3] for seen in witness.seen} == {(False, True, before + 1)}
    assert latency.num_threads == before + 1
    assert torch.get_num_threads() == before


def test_threads_come_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="stop"), limit_threads(before + 1):
        raise ValueError("stop")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("slow", "fast"),
    [(torch.contiguous_format, "channels_last"), (torch.channels_last, "contiguous")],
)
def test_the_faster_memory_format_is_measured(slow: torch.memory_format, fast: str) -> None:
    witness = Witness(slow_format=slow)
    latency = measure_latency(
        witness, IMAGES, seconds=0.001, memory_formats=("contiguous", "channels_last")
    )
    assert latency.memory_format == fast
    assert {seen[3] for seen in witness.seen[-FEWEST_RUNS:]} == {fast == "channels_last"}


def test_images_are_contiguous_unless_told() -> None:
    witness = Witness()
    images = IMAGES.contiguous(memory_format=torch.channels_last)
    assert measure_latency(witness, images, seconds=0.001).memory_format == "contiguous"
    assert not any(seen[3] for seen in witness.seen)
