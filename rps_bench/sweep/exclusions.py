"""Runs that a sweep leaves out: rules such as ``{method: [ltr, rpg], dataset: tiny_imagenet}``."""

from collections.abc import Mapping

from rps_bench.config import RunConfig
from rps_bench.core.checks import round_float
from rps_bench.core.errors import InapplicableError, UserError
from rps_bench.core.nearest import unknown_name
from rps_bench.core.shown import show

KEYS = ("dataset", "arch", "method", "recipe", "compression", "seed")


def refuse_excluded(config: RunConfig, rules: object) -> None:
    """Check the rules, and refuse a run that one of them excludes.

    Raises:
        InapplicableError: A rule matches: for each of its keys the run has its value, or one of its
            values.
        UserError: Not a list of such rules.
    """
    if not isinstance(rules, list):
        raise UserError(f"exclude must be a list of rules, got {show(rules)}")
    for rule in rules:
        if _matches(config, _check(rule)):
            raise InapplicableError(f"excluded by exclude: {_describe(rule)}")


def _check(rule: object) -> Mapping[str, object]:
    if not isinstance(rule, Mapping) or not rule:
        wanted = "rules such as {method: ltr, seed: [1, 2]}"
        raise UserError(f"exclude needs {wanted}, got {show(rule)}")
    for key in rule:
        if key not in KEYS:
            raise unknown_name("key in exclude:", str(key), KEYS)
    return rule


def _matches(config: RunConfig, rule: Mapping[str, object]) -> bool:
    values = {key: getattr(config, key) for key in KEYS} | {"recipe": config.recipe.name}
    return all(values[key] in _as_list(wanted) for key, wanted in rule.items())


def _describe(rule: Mapping[str, object]) -> str:
    """Such as ``method=ltr compression=100,316``."""
    return " ".join(f"{key}={','.join(map(str, _as_list(v)))}" for key, v in rule.items())


def _as_list(value: object) -> list[object]:
    """The values of a rule's key, numbers rounded as those of a run."""
    values = value if isinstance(value, list) else [value]
    return [round_float(each) if isinstance(each, float) else each for each in values]
