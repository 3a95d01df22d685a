"""Which passes may go other ways than PyTorch's own: ordinary ones of training, on a CPU.

Everything that looks at, records or transforms PyTorch's operations must see PyTorch's operations.
"""

import torch
from torch.autograd import forward_ad

ORDINARY = (torch.Tensor, torch.nn.Parameter)


def is_ordinary_pass() -> bool:
    """Whether gradients are wanted, and nothing traces, transforms or watches the pass."""
    return (
        not torch.compiler.is_compiling()
        and torch.is_grad_enabled()
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and torch._C._get_tracing_state() is None
        and forward_ad._current_level < 0
    )


def is_ordinary(tensor: torch.Tensor, *dtypes: torch.dtype) -> bool:
    """Whether a tensor lies in the CPU's memory as numbers of one of these dtypes."""
    return (
        type(tensor) in ORDINARY
        and tensor.dtype in dtypes
        and tensor.device.type == "cpu"
        and tensor.layout == torch.strided
        and not tensor.is_neg()
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        and not torch._C._functorch.is_legacy_batchedtensor(tensor)
        and tensor.numel() > 0
    )


def channels_last(images: torch.Tensor) -> torch.Tensor:
    """The images (N, C, H, W) with the channels of a pixel side by side; a copy only if needed."""
    return images.contiguous(memory_format=torch.channels_last)
