"""The options of a plugin's method: its dataclass fields, which take the place of a yaml."""

import dataclasses
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.shown import show

OF_EVERY_METHOD = ("compression", "seed")
# Words of a method's yaml that are no options.
RESERVED = ("name", "fixed_compression", "smallest_compression", "largest_compression")

_WORDS = {
    NoneType: "null",
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
}


def check_defaults(method: type) -> None:
    """Raise a UserError unless each option has a default that a yaml could hold, of its own type.

    The line goes on from the method's name.
    """
    for field in _fields(method):
        if field.name in RESERVED:
            raise UserError(f"cannot call an option {field.name}: a method's yaml has it, too")
        if field.default is dataclasses.MISSING:
            hint = "" if field.default_factory is dataclasses.MISSING else ", without a factory"
            raise UserError(f"needs a default for its option {field.name}{hint}")
        if not isinstance(field.default, bool | int | float | str | NoneType):
            single = "a number, a text, true, false or null"
            raise UserError(f"needs {single} as default of {field.name}, got {show(field.default)}")
    try:
        get_type_hints(method)
    except Exception as error:
        raise UserError(f"has annotations that cannot be read ({error})") from error
    for name, value in list_options(method).items():
        try:
            check_option(method, name, value)
        except UserError as error:
            raise UserError(f"has a default that is none: {error}") from error


def list_options(method: type) -> dict[str, Any]:
    """A method's options with their defaults, numbers as those of a run."""
    return {
        field.name: checks.round_float(field.default)
        if isinstance(field.default, float)
        else field.default
        for field in _fields(method)
    }


def check_option(method: type, name: str, value: Any) -> Any:
    """The value of an option as its field is annotated.

    Annotations other than None, bool, int, float, str, their unions and ``Literal`` are left to
    the method, which checks its values in ``__post_init__``.

    Raises:
        UserError: A value of another type.
    """
    key, annotation = f"method.{name}", get_type_hints(method).get(name, Any)
    if get_origin(annotation) is Literal:
        return _check_choice(key, value, get_args(annotation))
    is_union = get_origin(annotation) in (Union, UnionType)
    kinds = get_args(annotation) if is_union else (annotation,)
    if not all(kind in _WORDS for kind in kinds):
        return value

    def fits(value: object) -> bool:
        return type(value) in kinds or (type(value) is int and float in kinds)

    if not fits(value):
        checks.refuse(key, " or ".join(_WORDS[kind] for kind in kinds), value, fits)
    is_float = isinstance(value, float) or (type(value) is int and int not in kinds)
    return checks.number(key, value) if is_float else value


def _check_choice(key: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if not any(type(value) is type(own) and value == own for own in allowed):
        checks.refuse(key, f"one of {', '.join(map(show, allowed))}", value)
    return value


def _fields(method: Any) -> list[dataclasses.Field[Any]]:
    """The fields that are options."""
    fields = dataclasses.fields(method)
    return [field for field in fields if field.init and field.name not in OF_EVERY_METHOD]
