"""The ways of running a compressed file as a network, and the networks measured for each way."""

from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.inference.csr import to_csr
from rps_bench.methods import build_method
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.dense import Narrowable
from rps_bench.methods.files.write import to_bytes
from rps_bench.methods.layerwise import recover_by_layer
from rps_bench.methods.selection import store_everything
from rps_bench.models import build_model

DENSE, SMALL = "dense", "small"
EQUAL_TO = "stable_rps"  # the method whose file's size limits that of `small`
BOTH_FORMATS = ("contiguous", "channels_last")


class Way(NamedTuple):
    """A way of running: its methods, how the network is prepared, and memory formats of images.

    For inference, sharing methods differ only in their maps and pruning methods not at all, so two
    of the former and one of the latter represent them all.
    """

    methods: tuple[str, ...]
    prepare: Callable[[CompressedModel], nn.Module]
    memory_formats: tuple[str, ...] = BOTH_FORMATS


WAYS = {
    DENSE: Way((DENSE,), CompressedModel.to_dense),
    "recover_once": Way(("stable_rps", "roast"), CompressedModel.to_dense),
    "recover_by_layer": Way(("stable_rps", "roast"), recover_by_layer),
    "pruned_dense": Way(("mag",), CompressedModel.to_dense),
    # im2col needs contiguous images in any case.
    "pruned_csr": Way(("mag",), lambda compressed: to_csr(compressed.to_dense()), ("contiguous",)),
    SMALL: Way((SMALL,), CompressedModel.to_dense),
}


def build_compressed(model: nn.Module, method: str, compression: float) -> CompressedModel:
    """A network compressed by a method; `small` is chosen by the size of its file.

    The inference time of a network does not depend on its training, so nothing is trained.

    Raises:
        UserError: The compression leaves too few stored values for the method.
    """
    if method == SMALL and compression > 1:
        return narrow_to_bytes(model, len(to_bytes(build_compressed(model, EQUAL_TO, compression))))
    images = torch.zeros(2, 3, 32, 32)  # magnitudes and hashes need no data
    return build_method(method, compression).compress(model, (images, torch.arange(2)))


def narrow_to_bytes(model: nn.Module, num_bytes: int) -> CompressedModel:
    """The widest network of the same architecture whose file has at most `num_bytes` bytes.

    Raises:
        UserError: Even a width of one channel takes more.
    """
    assert isinstance(model, Narrowable)

    def narrow(width: int) -> CompressedModel:
        return store_everything(model.narrowed(width, named_generator(0, SMALL)))

    widths = range(1, model.width + 1)
    num_fitting = bisect_right(widths, num_bytes, key=lambda width: len(to_bytes(narrow(width))))
    if num_fitting == 0:
        raise UserError(f"no width of the network fits a file of {num_bytes} bytes")
    return narrow(widths[num_fitting - 1])


def build_dense(arch: str, width: int | None = None) -> nn.Module:
    """The network to compress, with seeded random weights, for ten classes."""
    return build_model(arch, width=width, generator=named_generator(0, "init"))


def check_outputs(model: nn.Module, dense: nn.Module, images: torch.Tensor) -> None:
    """Raise an AssertionError unless a way's outputs equal the dense network's up to rounding.

    The tolerance is relative to the largest output, as sums in another order differ a little.
    """
    with torch.inference_mode():
        found, wanted = model.eval()(images), dense.eval()(images)
    tolerance = 1e-4 * float(wanted.abs().max())
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=tolerance)
