"""What holds while a network is run for its scores, and is put back afterwards."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from rps_bench.core.plain_attention import plain_attention
from rps_bench.core.seeds import derive_key
from rps_bench.methods.pruning.wide_floats import WideFloats


@contextmanager
def scoring(model: nn.Module, seed: int) -> Iterator[None]:
    """Let a working copy be scored: the same scores every time, twice differentiable.

    Its own draws, as of dropout, come from the seed. Attention is made of plain matrix products:
    the fused kernels have no second derivative. A network in half precision is widened to float32
    in place, since its scores would underflow.

    Args:
        model: The working copy.
        seed: The method's.
    """
    with ExitStack() as stack:
        stack.enter_context(fixed_draws(model, seed))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(plain_attention())
        stack.enter_context(_plain_recurrence(model))
        if _widen_halves(model):
            stack.enter_context(WideFloats(torch.float32))
        yield


@contextmanager
def fixed_draws(model: nn.Module, seed: int) -> Iterator[None]:
    """Let PyTorch's own generators, from which a network draws, start at the method's seed.

    Each time it is entered, the draws are the same. Afterwards the generators are as before.
    """
    key = derive_key(seed, "scores", "network")
    gpus = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(key)
        for gpu in gpus:  # torch.manual_seed would also seed the others, which are not put back
            torch.cuda.default_generators[gpu].manual_seed(key)
        yield


@contextmanager
def _plain_recurrence(model: nn.Module) -> Iterator[None]:
    """Keep recurrent layers off cuDNN's, which have no second derivative and in eval mode none."""
    is_recurrent = any(isinstance(layer, nn.RNNBase) for layer in model.modules())
    cudnn = torch.backends.cudnn.enabled
    try:
        torch.backends.cudnn.enabled = cudnn and not is_recurrent
        yield
    finally:
        torch.backends.cudnn.enabled = cudnn


def _widen_halves(model: nn.Module) -> bool:
    """Bring floating parameters and buffers of fewer than 32 bits to float32; whether any were."""
    halves = [
        tensor
        for tensor in (*model.parameters(), *model.buffers())
        if tensor.is_floating_point() and tensor.dtype.itemsize < torch.float32.itemsize
    ]
    for tensor in halves:
        tensor.data = tensor.data.float()
    return bool(halves)
