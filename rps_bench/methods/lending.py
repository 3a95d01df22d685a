"""Lending a network its weights without changing it: a view that holds them for one forward pass.

A layer that got its weight in place would show it to every thread, and lose it before a
checkpointed block computes again. So each pass runs a view: shallow copies of the layers that get a
weight and of the modules on the way to them. They share all parameters, buffers and hooks with the
network. What still refers to the view later, such as a block that is computed again in the backward
pass, still has its weights; nothing else sees them.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods.layout import Places

LENT = "lent_weights"  # attribute of a layer: {name of its parameter: index in the layout}
HIDING = "hiding_modules"  # attribute of a module: its attributes that hide modules from PyTorch
_OF_EVERY_MODULE = frozenset(nn.Module().__dict__)
_LISTS = (list, tuple, set, frozenset)  # themselves: what a subclass is made of is its own affair

Swap = Callable[[nn.Module], nn.Module]


def require_copyable(network: nn.Module) -> None:
    """Raise a UserError if a copy of the network would go on using the network itself.

    A function that was made in a module's ``__init__`` may hold on to that module. A copy of the
    module has the same function, which would compute with the original's weights.
    """
    own = {id(module) for module in network.modules()}
    for place, module in network.named_modules():
        for name, value in module.__dict__.items():
            cells = (value.__closure__ or ()) if isinstance(value, FunctionType) else ()
            if any(id(_content(cell)) in own for cell in cells):
                label = f"{place}.{name}" if place else name
                raise UserError(
                    f"the function {label} holds on to a module of the network, of which a copy "
                    "would use the original's weights; make it a method"
                )


def require_reachable(network: nn.Module, weights: Mapping[str, nn.Parameter]) -> None:
    """Raise a UserError if a module also keeps a weight where no copy of it can be put.

    Recurrent layers do, and modules that list parameters of others.

    Args:
        network: The network.
        weights: Those to compress, by name.
    """
    names = {id(weight): name for name, weight in weights.items()}
    for place, module in network.named_modules():
        for attribute, value in module.__dict__.items():
            if attribute in _OF_EVERY_MODULE:
                continue
            for tensor in _tensors_in(value):
                if id(tensor) in names:
                    label = f"{place}.{attribute}" if place else attribute
                    name = names[id(tensor)]
                    raise UserError(
                        f"{name} is also kept in {label}, which would go on with the uncompressed "
                        f"weight: read it from its module, or leave it dense with exclude={name}"
                    )


def _tensors_in(value: object) -> Iterator[torch.Tensor]:
    """The tensors that an attribute's value holds."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, partial):
        yield from _tensors_in((value.func, value.args, value.keywords))
    elif isinstance(value, dict):
        yield from _tensors_in((*value.values(),))
    elif isinstance(value, _LISTS):
        for entry in value:
            yield from _tensors_in(entry)


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # a name that was never set
        return None


def is_partly_compiled(network: nn.Module) -> bool:
    """Whether ``torch.compile`` was asked for a part, which then runs no copy of its module."""
    return any(
        "dynamo_ctx" in module.__dict__ or module._compiled_call_impl is not None
        for module in network.modules()
    )


def take_weights(network: nn.Module, places: Places) -> None:
    """Take the compressible weights from a network, in place, and note where they belong.

    Args:
        network: Holds the weights so far.
        places: All names of each weight, in flat order.
    """
    # Every name of a tied weight notes the same index, so that a pass lends them one tensor.
    for index, names in enumerate(places):
        for name in names:
            owner, _, attribute = name.rpartition(".")
            layer = network.get_submodule(owner)
            layer.register_parameter(attribute, None)  # keeps its place among the parameters
            layer.__dict__.setdefault(LENT, {})[attribute] = index
    # Looked for once, here: a pass would otherwise search every attribute of every module.
    for module in network.modules():
        hiding = [name for name, value in module.__dict__.items() if _hides_modules(name, value)]
        if hiding:
            module.__dict__[HIDING] = hiding


def give_weights(network: nn.Module, weights: Sequence[torch.Tensor]) -> None:
    """Give a network that lacks its weights parameters of its own, in place; ties stay ties.

    Args:
        network: One that ``take_weights`` has changed.
        weights: In flat order, in the layers' shapes.
    """
    parameters = [nn.Parameter(weight) for weight in weights]
    for module in network.modules():
        module.__dict__.pop(HIDING, None)
        for attribute, index in module.__dict__.pop(LENT, {}).items():
            setattr(module, attribute, parameters[index])


@contextmanager
def lend_weights(network: nn.Module, weights: Sequence[torch.Tensor]) -> Iterator[nn.Module]:
    """A view of the network with its weights in place.

    Attributes that a pass sets on the view's modules are set on the network's, too, as if it had
    run itself.

    Args:
        network: One that ``take_weights`` has changed; left as it is.
        weights: In flat order, in the layers' shapes.
    """
    # Copies first, then their contents: a module that leads to another one must be able to name
    # that one's copy, in whatever order the two come, and in circles, too.
    borrowers = _find_borrowers(network)
    twins = {id(module): _shallow_copy(module) for module in borrowers}

    def swap(module: nn.Module) -> nn.Module:
        return twins.get(id(module), module)

    # Into each copy go its weights as plain attributes (the autograd graph goes through them), the
    # copies of its submodules, and copies of what it hides.
    own: dict[int, set[str]] = {}  # attributes in which a copy differs from its original
    for module in borrowers:
        changed: dict[str, Any] = {
            name: weights[index] for name, index in module.__dict__.get(LENT, {}).items()
        }
        changed["_modules"] = {
            name: None if child is None else swap(child) for name, child in module._modules.items()
        }
        for name in module.__dict__.get(HIDING, ()):
            changed[name] = _with_modules(module.__dict__[name], swap)
        twins[id(module)].__dict__.update(changed)
        own[id(module)] = set(changed)
    try:
        yield swap(network)
    finally:
        # Also after an error in the pass, as if the network had run itself.
        for module in borrowers:
            _keep_state(module, twins[id(module)], own[id(module)])


@contextmanager
def hold_weights(network: nn.Module, weights: Sequence[torch.Tensor]) -> Iterator[nn.Module]:
    """The network itself with its weights in place, for one pass that nothing runs beside.

    Args:
        network: One that ``take_weights`` has changed; as before afterwards.
        weights: In flat order, in the layers' shapes.
    """
    borrowers = [module for module in network.modules() if LENT in module.__dict__]
    try:
        for module in borrowers:
            for name, index in module.__dict__[LENT].items():
                module.__dict__[name] = weights[index]
        yield network
    finally:
        for module in borrowers:
            for name in module.__dict__[LENT]:
                module.__dict__.pop(name, None)


def _find_borrowers(network: nn.Module) -> list[nn.Module]:
    """The modules that get a weight, and those that lead to them."""
    # Down from the network: who reaches whom, and which modules lack a weight.
    leading_to: dict[int, list[nn.Module]] = {}
    lacking, waiting, seen = [], [network], {id(network)}
    while waiting:
        module = waiting.pop()
        if LENT in module.__dict__:
            lacking.append(module)
        for other in _reached_from(module):
            leading_to.setdefault(id(other), []).append(module)
            if id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)
    # Back up from those: everything on a way to one must be a copy, too, or a pass would come to
    # the original. Modules off all ways are shared as they are.
    borrowers: dict[int, nn.Module] = {}
    while lacking:
        module = lacking.pop()
        if id(module) not in borrowers:
            borrowers[id(module)] = module
            lacking += leading_to.get(id(module), ())
    return list(borrowers.values())


def _reached_from(module: nn.Module) -> Iterator[nn.Module]:
    """The submodules of a module, and the modules that it hides.

    Networks with tied weights often keep a layer in a list, a table or a bound method, where
    PyTorch does not count it a second time.
    """
    yield from (child for child in module._modules.values() if child is not None)
    for name in module.__dict__.get(HIDING, ()):
        yield from _modules_in(module.__dict__[name])


def _shallow_copy(module: nn.Module) -> nn.Module:
    """A module of the same class with the same attributes."""
    # Without __init__, which may take arguments, draw numbers or register hooks once more.
    twin = module.__new__(type(module))
    twin.__dict__.update(module.__dict__)
    return twin


def _keep_state(module: nn.Module, twin: nn.Module, own: set[str]) -> None:
    """Set on a module what a pass has set on its copy, but for the copy's ``own`` attributes."""
    kept = module.__dict__
    for name, value in twin.__dict__.items():
        if name not in own and (name not in kept or kept[name] is not value):
            kept[name] = value


def _hides_modules(name: str, value: object) -> bool:
    """Whether a module's attribute holds other modules that are none of its submodules."""
    return name not in _OF_EVERY_MODULE and any(True for _ in _modules_in(value))


def _modules_in(value: object) -> Iterator[nn.Module]:
    """The modules that an attribute's value holds, in the places where ``_with_modules`` swaps."""
    if isinstance(value, nn.Module):
        yield value
    elif isinstance(value, MethodType):
        yield from _modules_in(value.__self__)
    elif isinstance(value, partial):
        yield from _modules_in((value.func, value.args, value.keywords))
    elif isinstance(value, dict):
        yield from _modules_in((*value.keys(), *value.values()))
    elif type(value) in _LISTS:
        for entry in value:  # type: ignore[attr-defined]
            yield from _modules_in(entry)


def _with_modules(value: Any, swap: Swap) -> Any:
    """The value with each module in it swapped; what holds modules becomes a new object."""
    if isinstance(value, nn.Module):
        return swap(value)
    if not any(True for _ in _modules_in(value)):
        return value
    if isinstance(value, MethodType):
        return MethodType(value.__func__, _with_modules(value.__self__, swap))
    if isinstance(value, partial):
        inside = _with_modules((value.func, value.args, value.keywords), swap)
        return partial(inside[0], *inside[1], **inside[2])
    if isinstance(value, dict):
        swapped = copy.copy(value)  # of its own class, such as OrderedDict or defaultdict
        swapped.clear()
        for key, entry in value.items():
            swapped[_with_modules(key, swap)] = _with_modules(entry, swap)
        return swapped
    return type(value)(_with_modules(entry, swap) for entry in value)
