"""Multiply-accumulates of one image's forward pass by the weights that are compressed."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rps_bench.core.errors import UserError
from rps_bench.core.plain_attention import plain_attention
from rps_bench.costs.sizes import layer_densities
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import Layout, layout_of

aten = torch.ops.aten
# Whose last two operands are matrices, or a matrix and a vector, that are multiplied.
PRODUCTS = (aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten.mv, aten.addmv, aten.dot)
# That multiply by no weight, and normalisation, which is not counted.
WITHOUT = (
    *(aten.add, aten.add_, aten.sub, aten.sub_, aten.rsub, aten.cat, aten.stack, aten.where),
    *(aten.embedding, aten._embedding_bag, aten._embedding_bag_forward_only),
    *(aten.index, aten.index_select, aten.gather, aten.copy_),
    *(
        aten.native_batch_norm,
        aten._native_batch_norm_legit,
        aten._native_batch_norm_legit_no_training,
    ),
    *(aten.native_layer_norm, aten.native_group_norm, aten._fused_rms_norm),
)


def measure_macs(
    compressed: CompressedModel, image_size: int, densities: Mapping[str, float] | None = None
) -> dict[str, int]:
    """``macs`` of the network as it stands, and ``effective_macs`` that count kept weights only.

    Args:
        compressed: The compressed network.
        image_size: Height and width of its input.
        densities: Its ``layer_densities``, where they are at hand.
    """
    per_weight = count_multiplications(compressed.to_dense(), compressed.layout, image_size)
    if densities is None:
        densities = layer_densities(compressed)
    effective = sum(round(macs * densities[name]) for name, macs in per_weight.items())
    return {"macs": sum(per_weight.values()), "effective_macs": effective}


def multiplications_of(model: nn.Module, image_size: int) -> dict[str, int]:
    """``count_multiplications`` of a dense network's own compressible weights."""
    return count_multiplications(model, layout_of(model), image_size)


def count_multiplications(model: nn.Module, layout: Layout, image_size: int) -> dict[str, int]:
    """How often the numbers of each weight multiply for one image, by the weight's first name.

    Counted where PyTorch computes, so that it does not matter which module reads a weight. One that
    is tied multiplies wherever it is used; looking up an embedding multiplies nothing.

    Args:
        model: A dense network; left as it is.
        layout: Of the weights to count, by names that it has.
        image_size: Height and width of its input.

    Raises:
        UserError: A weight goes into an operation of which it is not known.
    """
    weights = {name: model.get_parameter(name) for name, _ in layout}
    counter = _Counter(model, weights)
    like = next(iter(weights.values()))
    modes = {module: module.training for module in model.modules()}
    try:
        images = torch.zeros(1, 3, image_size, image_size).to(like)
        with torch.no_grad(), plain_attention(), counter:
            model.eval()(images)
    finally:
        for module, is_training in modes.items():
            module.training = is_training
    return counter.counts


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts, while it lasts, the multiplications by some parameters of a network.

    What is computed from parameters and buffers alone, such as a transposed copy, stands for those
    that it comes from.
    """

    def __init__(self, model: nn.Module, weights: Mapping[str, nn.Parameter]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = dict.fromkeys(weights, 0)
        # Storages by address, the tensors kept alive beside them so that no address comes again.
        self._kept: list[torch.Tensor] = [*model.parameters(), *model.buffers()]
        self._origins: dict[int, str | None] = {_address(tensor): None for tensor in self._kept}
        self._origins |= {_address(weight): name for name, weight in weights.items()}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Not to be hidden from a compiler that PyTorch would import for it, for seconds."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Do an operation and count it."""
        result = func(*args, **(kwargs or {}))
        operands = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if operands and all(_address(tensor) in self._origins for tensor in operands):
            self._follow(result, self._find_weight(operands))
        else:
            self._count(func.overloadpacket, args, operands, result)
        return result

    def _find_weight(self, operands: Sequence[torch.Tensor]) -> str | None:
        """The last of the operands that is a weight, or was made of one."""
        names = [self._origins.get(_address(tensor)) for tensor in operands]
        return next((name for name in reversed(names) if name is not None), None)

    def _follow(self, result: Any, weight: str | None) -> None:
        """Note what was made of parameters alone."""
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and _address(tensor) not in self._origins:
                self._kept.append(tensor)
                self._origins[_address(tensor)] = weight

    def _count(
        self, operation: Any, args: tuple[Any, ...], operands: list[torch.Tensor], result: Any
    ) -> None:
        weight = self._find_weight(operands)
        if weight is None or operation in WITHOUT:
            return
        if operation in PRODUCTS:
            if multiplying := self._find_weight(operands[-2:]):  # else it is added only
                self.counts[multiplying] += result.numel() * operands[-2].shape[-1]
        elif operation is aten.convolution:
            if multiplying := self._find_weight(operands[:2]):
                self.counts[multiplying] += _count_convolution(args, result)
        elif operation is aten.mul:
            self.counts[weight] += result.numel()
        else:
            raise UserError(f"multiplications by {weight} cannot be counted: {operation} does them")


def _address(tensor: torch.Tensor) -> int:
    """Where the numbers of a tensor lie, the same for its views."""
    return tensor.untyped_storage().data_ptr() or id(tensor)


def _count_convolution(args: tuple[Any, ...], result: torch.Tensor) -> int:
    """Each weight multiplies once at each place of the outputs; transposed, of the inputs."""
    inputs, weight, is_transposed = args[0], args[1], args[6]
    places = inputs if is_transposed else result
    num_places: int = places.numel() // places.shape[1]
    return num_places * int(weight.numel())
