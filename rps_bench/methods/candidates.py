"""What a network's parameters are: its weights, what can be compressed at all, and why not.

Weights of the kinds that are compressed by default are those of convolutions, linear layers,
embeddings and attention; ``choice`` decides which of them are compressed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from rps_bench.models.initialisation import ATTENTION_WEIGHTS, COMPRESSIBLE_TYPES, EMBEDDING_TYPES

NORMALISATION = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
# Why a parameter stays dense; obstacles are said in words of their own.
FROZEN, NORMALISED, BIAS, RECURRENT = "frozen", "normalisation", "bias", "recurrent layer"
OTHER = "compressed only where include has its own name"


@dataclass(frozen=True)
class Found:
    """A parameter as the network has it, before anything is chosen.

    Attributes:
        names: All names under which the network holds it, the first first.
        parameter: Itself; None where a layer lacks it.
        is_weight: Whether it is a weight of the kinds that are compressed by default.
        obstacle: Why it cannot be compressed; None where it can.
        remark: What it is, of a parameter that is no weight of these kinds.
    """

    names: tuple[str, ...]
    parameter: nn.Parameter | None
    is_weight: bool
    obstacle: str | None
    remark: str


def find_parameters(model: nn.Module) -> Iterator[Found]:
    """Each parameter once, in module order, and each layer's weight that is none."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    kinds = _weights_by_id(model)
    seen: set[int] = set()
    for place, module in model.named_modules():
        own = [name for name in _weight_names(module) if module._parameters.get(name) is None]
        yield from (
            Found((_join(place, name),), None, True, None, "")
            for name in own
            if not isinstance(module, nn.MultiheadAttention)  # has its weights packed or apart
        )
        for attribute, parameter in module._parameters.items():
            if parameter is None or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            yield Found(
                tuple(names[id(parameter)]),
                parameter,
                id(parameter) in kinds,
                _find_obstacle(parameter, kinds.get(id(parameter), [module])),
                _remark(module, attribute, parameter),
            )


def weights_by_kind(
    model: nn.Module, types: tuple[type[nn.Module], ...] | None = None
) -> dict[str, nn.Parameter]:
    """The weights that are compressed by default, frozen ones too, each by all of its names.

    Args:
        model: The network; weights that it lacks are left out.
        types: Only those of layers of these classes; None for all.
    """
    return {
        _join(place, name): weight
        for place, module in model.named_modules(remove_duplicate=False)
        if types is None or isinstance(module, types)
        for name in _weight_names(module)
        if (weight := module._parameters.get(name)) is not None
    }


def _weights_by_id(model: nn.Module) -> dict[int, list[nn.Module]]:
    """The layers of each weight that is compressed by default."""
    layers: dict[int, list[nn.Module]] = {}
    for module in model.modules():
        for name in _weight_names(module):
            layers.setdefault(id(module._parameters.get(name)), []).append(module)
    layers.pop(id(None), None)
    return layers


def count_numbers(parameter: nn.Parameter | None) -> int:
    """Numbers in a parameter; none in one that is missing or not initialised yet."""
    is_there = parameter is not None and not isinstance(parameter, nn.UninitializedParameter)
    return parameter.numel() if is_there else 0  # type: ignore[union-attr]


def _weight_names(module: nn.Module) -> tuple[str, ...]:
    """The attributes that are weights of a kind that is compressed by default."""
    if isinstance(module, nn.MultiheadAttention):
        return ATTENTION_WEIGHTS
    return ("weight",) if isinstance(module, (*COMPRESSIBLE_TYPES, *EMBEDDING_TYPES)) else ()


def _find_obstacle(parameter: nn.Parameter, layers: Sequence[nn.Module]) -> str | None:
    """Why a parameter cannot be compressed, whatever is asked for."""
    if isinstance(parameter, nn.UninitializedParameter):
        return None  # said in full where it is chosen
    if not parameter.requires_grad:
        return FROZEN
    if not parameter.is_floating_point():
        return f"of {str(parameter.dtype).removeprefix('torch.')} numbers"
    if parameter.dim() == 0 or parameter.numel() == 0:
        return "a single number" if parameter.numel() else "empty"
    for layer in layers:
        if isinstance(layer, nn.RNNBase):
            return "a recurrent layer reads it from a list of its own"
        if isinstance(layer, EMBEDDING_TYPES) and layer.sparse:
            return "its gradients are sparse: build the embedding with sparse=False"
        if isinstance(layer, EMBEDDING_TYPES) and layer.max_norm is not None:
            return "its embedding changes it in each pass: build it without max_norm"
    return None


def _remark(module: nn.Module, attribute: str, parameter: nn.Parameter) -> str:
    """What a parameter of no kind that is compressed by default is."""
    if isinstance(module, NORMALISATION):
        return NORMALISED
    if "bias" in attribute:
        return BIAS
    if isinstance(module, nn.RNNBase):
        return RECURRENT
    return OTHER


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
