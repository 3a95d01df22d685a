"""What of a network is compressed, and why the rest is not: the one place that decides.

By default these are the weights of convolutions, linear layers, embeddings and attention.
``include`` and ``exclude`` choose by name, ``min_size`` by size. Biases, normalisation and
parameters of a user's own modules are compressed only where a pattern writes out their own name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.nn.utils import parametrize

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.nearest import did_you_mean
from rps_bench.core.patterns import Patterns, read_patterns
from rps_bench.core.shown import show
from rps_bench.methods.candidates import FROZEN, OTHER, Found, count_numbers, find_parameters

MARK = "compressed_weights"  # attribute of a network: the names of those that were chosen in it
WILD = frozenset("*?[")
# Why a parameter stays dense that could be compressed.
EXCLUDED, NOT_INCLUDED, SMALL = "excluded", "not included", "below min_size"
WISHED = (EXCLUDED, NOT_INCLUDED, SMALL)


@dataclass(frozen=True)
class WeightChoice:
    """Which weights of a network are to be compressed.

    A pattern is matched as in a shell, ``*`` over dots as well. It names a parameter
    (``blocks.0.mlp.weight``), or a module with all that is below it (``blocks.0``).

    Attributes:
        include: Patterns; only what one of them names is compressed. Empty: all weights of the
            kinds above. A bias, a parameter of a normalisation or of a module of another kind is
            meant only by a pattern whose last part has no wildcard (``*.scale``).
        exclude: Patterns; what one of them names stays dense.
        min_size: Tensors of fewer numbers stay dense.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: int = 0

    @classmethod
    def of_options(
        cls, include: Patterns, exclude: Patterns, min_size: int | None
    ) -> "WeightChoice":
        """The choice that a method's options stand for.

        Raises:
            UserError: A value that is no pattern, or a negative size.
        """
        return cls(
            read_patterns("method.include", include),
            read_patterns("method.exclude", exclude),
            0 if min_size is None else checks.whole_number("method.min_size", min_size, 0),
        )


@dataclass(frozen=True)
class Judged:
    """A parameter of a network, and whether it is compressed.

    Attributes:
        names: All names under which the network holds it, the first first.
        parameter: Itself; None where a layer has none yet, or one that is computed.
        reason: Why it stays dense; None where it is compressed.
    """

    names: tuple[str, ...]
    parameter: nn.Parameter | None
    reason: str | None


def choose(model: nn.Module, choice: WeightChoice) -> tuple[str, ...]:
    """The first names of the weights to compress, in module order.

    Raises:
        UserError: A pattern that matches nothing, or nothing that can be compressed is left.
    """
    judged = judge(model, choice)
    names = tuple(own.names[0] for own in judged if own.reason is None)
    if not names:
        raise UserError(_explain_nothing(judged, choice))
    return names


def judge(model: nn.Module, choice: WeightChoice) -> list[Judged]:
    """Each parameter of a network once, in module order, with the reason why it stays dense.

    Raises:
        UserError: A pattern that matches nothing that could be compressed; a chosen weight that is
            no plain parameter.
    """
    found = list(find_parameters(model))
    _require_matches(found, choice)
    judged = [Judged(own.names, own.parameter, _reason(own, choice)) for own in found]
    _require_plain(model, judged)
    _require_one_type(judged)
    return judged


def _reason(own: Found, choice: WeightChoice) -> str | None:
    """Why a parameter stays dense; None where it is compressed."""
    if choice.include and not any(_chooses(pattern, own) for pattern in choice.include):
        return NOT_INCLUDED if own.is_weight else own.remark
    if not choice.include and not own.is_weight:
        return own.remark
    if any(_matches(pattern, own.names) for pattern in choice.exclude):
        return EXCLUDED
    if own.obstacle is not None:
        return own.obstacle
    if count_numbers(own.parameter) < choice.min_size:
        return SMALL
    return None


def _require_matches(found: Sequence[Found], choice: WeightChoice) -> None:
    """Raise a UserError for the first pattern that changes nothing, or can only be disappointed."""
    for pattern in choice.include:
        _require_known("include", pattern, found)
        chosen = [own for own in found if _chooses(pattern, own)]
        if not chosen:
            raise UserError(
                f"include pattern {show(pattern)} matches no weight of a convolution, linear "
                "layer, embedding or attention; other parameters are compressed where the last "
                f"part of a pattern is their name, such as {_example(pattern, found)}"
            )
        obstacles = [own for own in chosen if own.obstacle is not None]
        if len(obstacles) == len(chosen):
            raise UserError(
                f"include pattern {show(pattern)} matches only what cannot be compressed: "
                f"{obstacles[0].names[0]} ({obstacles[0].obstacle})"
            )
    for pattern in choice.exclude:
        _require_known("exclude", pattern, found)
        included = choice.include or ("*",)
        if not any(
            _matches(pattern, own.names) and any(_chooses(p, own) for p in included)
            for own in found
        ):
            raise UserError(
                f"exclude pattern {show(pattern)} takes nothing out: all that it matches is dense "
                "anyway"
            )


def _require_known(option: str, pattern: str, found: Sequence[Found]) -> None:
    names = [name for own in found for name in own.names]
    if _matches(pattern, names):
        return
    places = sorted({place for name in names for place in _places(name)})
    hint = did_you_mean(pattern, places)
    few = f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"
    raise UserError(
        f"{option} pattern {show(pattern)} matches no parameter and no module of the network, "
        f"whose parameters are {few or 'none'}{hint}"
    )


def _chooses(pattern: str, own: Found) -> bool:
    """Whether an include pattern means a parameter."""
    if own.is_weight:
        return _matches(pattern, own.names)
    if WILD & set(pattern.rpartition(".")[2]):
        return False
    return any(fnmatchcase(name, pattern) for name in own.names)


def _matches(pattern: str, names: Sequence[str]) -> bool:
    """Whether a pattern names a parameter, or a module that it is in."""
    return any(fnmatchcase(place, pattern) for name in names for place in _places(name))


def _places(name: str) -> Iterator[str]:
    """A parameter's name, and those of the modules that it is in."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _example(pattern: str, found: Sequence[Found]) -> str:
    return next(own.names[0] for own in found if _matches(pattern, own.names))


def _explain_nothing(judged: Sequence[Judged], choice: WeightChoice) -> str:
    """Why nothing is left to compress."""
    reasons = [own.reason for own in judged]
    if choice != WeightChoice():
        return (
            "include, exclude and min_size leave nothing to compress of "
            f"{len(judged)} parameters, the largest of "
            f"{max((count_numbers(own.parameter) for own in judged), default=0):,} numbers"
        )
    if num_frozen := reasons.count(FROZEN):
        return (
            f"all {num_frozen} weights of the network that could be compressed are frozen; set "
            "requires_grad on those to compress"
        )
    named = [own.names[0] for own in judged if own.reason == OTHER]
    hint = f"; include names others, such as {named[0]}" if named else ""
    return "the network has no convolution, linear layer, embedding or attention to compress" + hint


def _require_plain(model: nn.Module, judged: Sequence[Judged]) -> None:
    """Raise a UserError for a chosen weight that is missing, computed or not initialised yet."""
    for own in judged:
        if own.reason is not None:
            continue
        owner = own.names[0].rpartition(".")[0]
        layer = model.get_submodule(owner)
        label = f"layer {owner or type(layer).__name__!r}"
        if isinstance(own.parameter, nn.UninitializedParameter):
            raise UserError(
                f"{label} is lazy and has no weight yet: run one batch through the network before "
                "compressing it"
            )
        if own.parameter is None:
            raise UserError(f"{label} has no weight of its own: {_way_to_plain_weight(layer)}")


def _way_to_plain_weight(layer: nn.Module) -> str:
    """What makes a weight that is computed from other tensors a parameter again."""
    if parametrize.is_parametrized(layer, "weight"):
        remove = "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')"
    elif "weight_g" in layer._parameters:
        remove = "torch.nn.utils.remove_weight_norm(layer)"
    elif "weight_mask" in layer._buffers:
        remove = "torch.nn.utils.prune.remove(layer, 'weight')"
    elif "weight_orig" in layer._parameters:
        remove = "torch.nn.utils.remove_spectral_norm(layer)"
    else:
        return "give it a weight parameter (a network that is compressed already has none)"
    return f"it is computed from other tensors; call {remove} before compressing the network"


def _require_one_type(judged: Sequence[Judged]) -> None:
    """Raise a UserError for chosen weights of several dtypes or devices: theta has one of each."""
    first: Judged | None = None
    for own in judged:
        if own.reason is not None:
            continue
        assert own.parameter is not None
        first = first or own
        assert first.parameter is not None
        ours, its = _type_of(first.parameter), _type_of(own.parameter)
        if ours != its:
            raise UserError(
                f"weights to compress must have one dtype and device: {first.names[0]} is "
                f"{ours[0]} on {ours[1]}, {own.names[0]} {its[0]} on {its[1]}; exclude one of them"
            )


def _type_of(parameter: torch.Tensor) -> tuple[torch.dtype, torch.device]:
    return parameter.dtype, parameter.device


def mark(model: nn.Module, names: Sequence[str]) -> None:
    """Let these parameters, and no others, be the network's weights to compress, in place.

    Copies of the network have the mark, too. The parameters stay as they are.

    Args:
        model: The network.
        names: Of parameters that it has, in flat order.
    """
    model.__dict__[MARK] = tuple(names)


def unmark(model: nn.Module) -> None:
    """Take the mark from a network, in place."""
    model.__dict__.pop(MARK, None)


def marked_names(model: nn.Module) -> tuple[str, ...] | None:
    """The names that a network is marked with; None of one that has no mark."""
    names: tuple[str, ...] | None = model.__dict__.get(MARK)
    return names


def chosen_names(model: nn.Module) -> tuple[str, ...]:
    """The names of a network's weights to compress: those it is marked with, or the default's."""
    names = marked_names(model)
    return choose(model, WeightChoice()) if names is None else names
