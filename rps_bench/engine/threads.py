"""Training steps whose bits do not depend on the number of threads.

PyTorch's operations differ in that: most give the same bits in any number of threads, some divide a
sum between them. Which do is nowhere written. So a step runs PyTorch in one thread (``steadied``),
and what is known to be free of it asks for more:

- the native kernels, which sum in an order of their own;
- convolutions forward and back to the images, and products of many matrices, where each thread has
  its own results (``spread_out``);
- two passes that do not need each other, each as one thread does it (``side_by_side``): this is how
  gradients by weight, the sums that PyTorch does divide, leave no core idle;
- one product cut into columns, once it was seen to give the bits of the whole (``multiply``).
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

import torch

from rps_bench.engine.names import PLAIN
from rps_bench.runtime.cores import limit_threads

GRAIN = 64  # columns: parts of a product begin at a multiple of it

# Threads that may be asked for where PyTorch itself has one; None outside steadied steps.
_ALLOWED: ContextVar[int | None] = ContextVar("_ALLOWED", default=None)

Beside = TypeVar("Beside")
Here = TypeVar("Here")


def count_threads() -> int:
    """How many threads may work at once."""
    return _ALLOWED.get() or torch.get_num_threads()


def steadied(kernels: str) -> AbstractContextManager[None]:
    """The context of a training step by a set of kernels; the plain set is left as PyTorch is."""
    return nullcontext() if kernels == PLAIN else _allow(count_threads(), 1)


def spread_out() -> AbstractContextManager[None]:
    """A context where PyTorch has all threads, for what gives the same bits in any number."""
    return limit_threads(count_threads())


@contextmanager
def _allow(allowed: int, used: int) -> Iterator[None]:
    """Let ``allowed`` threads be asked for, and PyTorch have ``used``."""
    token = _ALLOWED.set(allowed)
    try:
        with limit_threads(used):
            yield
    finally:
        _ALLOWED.reset(token)


def side_by_side(beside: Callable[[], Beside], here: Callable[[], Here]) -> tuple[Beside, Here]:
    """What both give, without gradients of their own, done at once if there are threads for it.

    Args:
        beside: Done in one thread.
        here: May ask for the others.
    """
    num_threads = count_threads()
    if num_threads == 1:
        return beside(), here()
    task = _pool(os.getpid()).submit(_in_one_thread, beside)
    try:
        with _allow(num_threads - 1, 1):
            own = here()
    finally:
        wait([task])  # whatever happened here, nothing works on behind the caller
    return task.result(), own


@torch.no_grad()  # a thread of the pool would record a graph
def _in_one_thread(work: Callable[[], Beside]) -> Beside:
    with _allow(1, 1):
        return work()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of a process; those of its parent are not there after a fork."""
    return ThreadPoolExecutor(thread_name_prefix="rps_bench")


def multiply(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The product of two matrices, bit for bit that of one thread."""
    shapes = (left.shape, left.stride()), (right.shape, right.stride())
    num_parts = _count_parts(left.dtype, *shapes, count_threads())
    return _multiply(left, right, num_parts)


Shape = tuple[torch.Size, tuple[int, ...]]  # and strides


@cache
def _count_parts(dtype: torch.dtype, left: Shape, right: Shape, most: int) -> int:
    """Into how many parts, one a thread, products of these shapes may be cut.

    Libraries choose by the shape how they sum, so each shape is tried once.
    """
    num_parts = min(most, right[0][1] // GRAIN)
    if num_parts < 2:
        return 1
    one, other = _draw_cancelling(dtype, left, right)
    whole = _multiply(one, other, 1)
    while num_parts > 1 and not torch.equal(_multiply(one, other, num_parts), whole):
        num_parts //= 2
    return max(num_parts, 1)


def _draw_cancelling(
    dtype: torch.dtype, left: Shape, right: Shape
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random matrices whose product is 0 but for rounding, and so tells the order of its sums."""
    generator = torch.Generator().manual_seed(0)
    one, other = (
        torch.empty_strided(*shape, dtype=dtype, device="cpu").normal_(generator=generator)
        for shape in (left, right)
    )
    half = one.shape[1] // 2
    one[:, half : 2 * half] = -one[:, :half]
    other[half : 2 * half] = other[:half]
    return one, other


def _multiply(left: torch.Tensor, right: torch.Tensor, num_parts: int) -> torch.Tensor:
    """The product in parts of its columns."""
    if num_parts < 2:
        with limit_threads(1):
            return left @ right
    size = -(-right.shape[1] // (num_parts * GRAIN)) * GRAIN
    product = left.new_empty(left.shape[0], right.shape[1])

    def work(start: int) -> None:
        columns = slice(start, start + size)
        torch.mm(left, right[:, columns], out=product[:, columns])

    starts = range(0, right.shape[1], size)
    tasks = [_pool(os.getpid()).submit(_in_one_thread, lambda s=s: work(s)) for s in starts[1:]]
    try:
        _in_one_thread(lambda: work(0))
    finally:
        wait(tasks)
    for task in tasks:
        task.result()
    return product
