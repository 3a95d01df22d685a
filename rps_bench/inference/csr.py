"""Pruned networks that multiply by kept weights only: weights as torch.sparse CSR matrices.

A convolution is computed as a matrix product by im2col (Chellapilla, Puri and Simard 2006): a
sparse weight (out, in * kh * kw) times the unfolded images (in * kh * kw, B * positions).
"""

import warnings

import torch
import torch.nn.functional as F
from torch import nn

NUM_COLUMNS = 256  # of the unfolded images that are multiplied at once


class CsrLinear(nn.Module):
    """A linear layer with a sparse weight: (..., in) -> (..., out)."""

    weight: torch.Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("weight", _to_csr_matrix(layer.weight))
        self.bias = layer.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The layer's output."""
        rows = inputs.flatten(0, -2)
        product = (self.weight @ rows.T.contiguous()).T
        output = product.reshape(*inputs.shape[:-1], len(self.weight))
        return output if self.bias is None else output + self.bias


class CsrConv2d(nn.Module):
    """A convolution with a sparse weight: (B, in, H, W) -> (B, out, H', W')."""

    weight: torch.Tensor

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        assert is_supported(layer)
        assert not isinstance(layer.padding, str)
        self.register_buffer("weight", _to_csr_matrix(layer.weight.flatten(1)))
        self.bias = layer.bias
        self.kernel_size, self.stride = layer.kernel_size, layer.stride
        self.padding, self.dilation = layer.padding, layer.dilation

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The layer's output, a few images at a time so that their columns stay in the cache."""
        height, width = self._output_size(images.shape[2:])
        chunk = max(1, NUM_COLUMNS // (height * width))
        parts = [self._multiply(part) for part in torch.split(images, chunk)]
        return torch.cat(parts).view(len(images), -1, height, width)

    def _multiply(self, images: torch.Tensor) -> torch.Tensor:
        """The product (b, out, positions) of images (b, in, H, W)."""
        columns = F.unfold(
            images, self.kernel_size, self.dilation, self.padding, self.stride
        )  # (b, in * kh * kw, positions)
        # The columns of all images side by side, so that there is only one sparse product.
        product = self.weight @ columns.transpose(0, 1).flatten(1)  # (out, b * positions)
        if self.bias is not None:
            product = product + self.bias[:, None]
        return product.view(len(product), len(images), -1).transpose(0, 1)

    def _output_size(self, size: torch.Size) -> tuple[int, int]:
        """The output's (H', W') for an input's (H, W)."""
        height, width = (
            (size[axis] + 2 * self.padding[axis] - self.dilation[axis] * (kernel - 1) - 1)
            // self.stride[axis]
            + 1
            for axis, kernel in enumerate(self.kernel_size)
        )
        return height, width


def to_csr(model: nn.Module) -> nn.Module:
    """Replace every layer that has a sparse form, in place; return the model."""
    for name, layer in list(model.named_modules()):
        if not is_supported(layer):
            continue
        sparse = CsrConv2d(layer) if isinstance(layer, nn.Conv2d) else CsrLinear(layer)
        if not name:
            return sparse
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, sparse)
    return model


def is_supported(layer: nn.Module) -> bool:
    """Whether a layer has a sparse form: linear, or an ungrouped convolution with zero padding."""
    if not isinstance(layer, nn.Conv2d):
        return isinstance(layer, nn.Linear)
    is_plain = layer.groups == 1 and layer.padding_mode == "zeros"
    return is_plain and not isinstance(layer.padding, str)


def _to_csr_matrix(weight: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        return weight.detach().to_sparse_csr()
