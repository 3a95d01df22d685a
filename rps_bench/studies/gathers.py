"""Cache lines touched by reading a block of weights, counted, and the time of reading.

Slot j of the repository is in line j // 16: a stored value has 4 bytes, a line 64, and torch aligns
tensors to lines. Only lines of theta are counted. The lines of weights written and of slots read
are the same for every map.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from rps_bench.methods.layout import Layout

VALUES_PER_LINE = 16  # 64 bytes / 4


def number_tiles(layout: Layout, side: int) -> torch.Tensor:
    """The tile number (n,) of each weight: side x side blocks of the layers' matrices.

    A layer is a matrix out x (in * kh * kw); tiles at its lower and right edge may be smaller.
    Numbering continues from layer to layer.
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
    """The run number (n,) of each weight; a run is `length` neighbours in the flat vector."""
    return torch.arange(num_weights) // length


def count_lines(slots: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
    """The number of different lines that the weights of each block read, (blocks,) int64.

    Args:
        slots: (n,) slot of every weight, from 0.
        blocks: (n,) block of every weight, from 0, none empty.
    """
    # A pair (block, line) as one number, so that unique counts every line once per block.
    lines = slots // VALUES_PER_LINE
    num_lines = int(lines.max()) + 1
    pairs = torch.unique(blocks * num_lines + lines)
    return torch.bincount(pairs // num_lines)


def count_lines_at_best(blocks: torch.Tensor) -> torch.Tensor:
    """The lines of each block if its weights were contiguous from the start of a line."""
    return (torch.bincount(blocks) + VALUES_PER_LINE - 1) // VALUES_PER_LINE


def time_gathers(
    slots: Sequence[torch.Tensor], nums_stored: Sequence[int], num_reads: int, repeats: int
) -> torch.Tensor:
    """The nanoseconds per weight of theta[slots] for each map, (maps, repeats) float64.

    All maps use the same code (index_select into allocated memory) and take turns, so that other
    load of the machine affects all of them. Times are processor time of this thread, which must not
    share the work with others (`one_thread`); a first turn is not counted.

    Args:
        slots: (weights,) of each map, read in this order, all in every pass.
        nums_stored: m of each map.
        num_reads: The least number of weights per timing, in whole passes.
        repeats: Number of timings per map.
    """
    rows = []
    stored = [torch.ones(m) for m in nums_stored]
    for _ in range(repeats + 1):
        rows.append([_time(*pair, num_reads) for pair in zip(stored, slots, strict=True)])
    return torch.tensor(rows[1:], dtype=torch.float64).T


def _time(stored: torch.Tensor, slots: torch.Tensor, num_reads: int) -> float:
    weights = torch.zeros(len(slots))  # written, so that its memory is really allocated
    num_passes = -(-num_reads // len(slots))
    started = time.thread_time()
    for _ in range(num_passes):
        torch.index_select(stored, 0, slots, out=weights)
    return (time.thread_time() - started) * 1e9 / (num_passes * len(slots))


@contextmanager
def one_thread() -> Iterator[None]:
    """A context in which torch uses one thread."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def last_cache_bytes() -> int | None:
    """The size of the processor's last-level cache, None if the system does not tell."""
    sizes = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    if not sizes:
        return None
    return 1024 * int(sizes[-1].read_text().strip().removesuffix("K"))
