"""Cache lines that reading a block of weights touches, counted; and the time that reading takes.

Slot j of the repository lies in line j // 16: a stored value has 4 bytes, a line 64, and torch
starts a tensor at the start of a line. The model counts lines of theta only. Lines of the weights
written, and of slots read, are the same for every map.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from rps_bench.methods.layout import Layout

VALUES_PER_LINE = 16  # 64 bytes / 4


def number_tiles(layout: Layout, side: int) -> torch.Tensor:
    """Return the tile (n,) of each weight: side x side blocks of the layers' matrices.

    A layer is the matrix out x (in * kh * kw); tiles at its lower and right edge may be smaller.
    Numbers run on through the layers.
    """
    pieces, first = [], 0
    for _, shape in layout:
        rows, columns = shape[0], torch.Size(shape[1:]).numel()
        across = -(-columns // side)
        row, column = torch.arange(rows) // side, torch.arange(columns) // side
        pieces.append((first + row[:, None] * across + column).view(-1))
        first += -(-rows // side) * across
    return torch.cat(pieces)


def number_runs(num_weights: int, length: int) -> torch.Tensor:
    """Return the run (n,) of each weight: so many neighbours of the flat vector; a shorter last."""
    return torch.arange(num_weights) // length


def count_lines(slots: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
    """Return how many different lines the weights of each block read, (blocks,) int64.

    Args:
        slots: (n,) of every weight, from 0.
        blocks: (n,) the block of every weight, from 0, none empty.
    """
    lines = slots // VALUES_PER_LINE
    num_lines = int(lines.max()) + 1
    pairs = torch.unique(blocks * num_lines + lines)
    return torch.bincount(pairs // num_lines)


def count_lines_at_best(blocks: torch.Tensor) -> torch.Tensor:
    """Return the lines of each block if its weights lay side by side from the start of a line."""
    return (torch.bincount(blocks) + VALUES_PER_LINE - 1) // VALUES_PER_LINE


def time_gathers(
    slots: Sequence[torch.Tensor], nums_stored: Sequence[int], num_reads: int, repeats: int
) -> torch.Tensor:
    """Return the nanoseconds per weight of theta[slots] of each map, (maps, repeats) float64.

    The same code for every map (index_select into memory at hand); maps take turns, so that what
    else the machine does meets all of them. Processor time of this thread, which torch must not
    share its work with (`one_thread`); a first turn does not count.

    Args:
        slots: (weights,) of each map, read in this order, all of them once a pass.
        nums_stored: m of each map.
        num_reads: Weights that one timing reads at least, in whole passes.
        repeats: Timings.
    """
    rows = []
    stored = [torch.ones(m) for m in nums_stored]
    for _ in range(repeats + 1):
        rows.append([_time(*pair, num_reads) for pair in zip(stored, slots, strict=True)])
    return torch.tensor(rows[1:], dtype=torch.float64).T


def _time(stored: torch.Tensor, slots: torch.Tensor, num_reads: int) -> float:
    weights = torch.zeros(len(slots))  # written once, so that its memory is really there
    num_passes = -(-num_reads // len(slots))
    started = time.thread_time()
    for _ in range(num_passes):
        torch.index_select(stored, 0, slots, out=weights)
    return (time.thread_time() - started) * 1e9 / (num_passes * len(slots))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def last_cache_bytes() -> int | None:
    """Return the size of the processor's last cache, None where the system does not tell."""
    sizes = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    if not sizes:
        return None
    return 1024 * int(sizes[-1].read_text().strip().removesuffix("K"))
