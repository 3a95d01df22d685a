"""What Hydra refuses, as one line that says what to type instead."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rps_bench.core.conf_folder import config_folder
from rps_bench.core.errors import UserError
from rps_bench.core.nearest import did_you_mean, no_pair, unknown_name
from rps_bench.core.shown import show
from rps_bench.plugins.groups import GROUPS as PLUGIN_GROUPS
from rps_bench.sweep.hydra_words import REPLACED_LAUNCHERS, explain_replaced

GROUPS = ("dataset", "arch", "method", "recipe", "tracking", "experiment")
NAMED_GROUPS = ("dataset", "arch", "method", "tracking")  # those whose name is no free text
NOISE = ("hydra.cc", "append", "Error when parsing index")  # lines of Hydra's that help nobody
LAUNCHER_EXTRAS = {"submitit_slurm": "slurm"}  # what needs which extra


@contextmanager
def explained() -> Iterator[None]:
    """Turn what Hydra raises into one line. Odd words make it raise nearly anything."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error.__cause__, UserError):  # raised amid Hydra's work
            raise error.__cause__ from None
        raise UserError(_explain(error, config_folder())) from error


def refuse_unchosen(overrides: Sequence[Override]) -> None:
    """Raise a UserError for a group that is not chosen as ``group=name``."""
    for override in overrides:
        key, value = override.key_or_group, override.value()
        group, _, option = key.partition(".")
        if not key:
            raise no_pair(str(override.input_line), _allowed_keys())
        if key in GROUPS and not override.is_delete() and isinstance(value, int | float):
            hint = "leave it out for the default"
            raise UserError(f"{key} is chosen by name, got {show(value)}; {hint}")
        if group in NAMED_GROUPS and option == "name":
            raise UserError(f"{key} names what {group} was chosen; to choose it, type {group}=NAME")


def _explain(error: Exception, folder: Path) -> str:
    """An error of Hydra, OmegaConf or what they stand on, as one line.

    Args:
        error: The error.
        folder: Of the yaml files.
    """
    if isinstance(error, OverrideParseException):
        return str(_explain_word(error))
    if not isinstance(error, HydraException | OmegaConfBaseException):
        reason = (str(error).splitlines() or [""])[0]
        return f"these words cannot be read ({type(error).__name__}: {reason})"
    if isinstance(error, MissingConfigException) and error.options is not None:
        return _explain_missing(error, error.options)
    if ambiguous := re.match("Ambiguous value for argument '(.*)'", str(error)):
        several = f"{ambiguous[1]} has several values: to sweep over them, add -m"
        return f"{several}; a list is written [a,b], a text with commas in quotes"
    text = _join_lines(error)
    if re.search(r"object_type=\w+Sweep", text):  # OmegaConf on a sweep as a value
        return (
            "a function such as range(0,3) is a list by itself: write its values out beside others"
        )
    return _explain_key(error, text, folder) or text.rstrip(".")


def _join_lines(error: Exception) -> str:
    """What an error says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(line for line in lines if not any(noise in line for noise in NOISE))


def _explain_word(error: OverrideParseException) -> UserError:
    word, reasons = error.override, str(error).splitlines()
    key, _, value = word.partition("=")
    if "while evaluating" in str(error):  # a function such as range, which says what it takes
        return UserError(_join_lines(error))
    if any("missing EQUAL" in reason for reason in reasons):
        return no_pair(word, _allowed_keys())
    if word.endswith(","):
        return UserError(f"{word} ends in a comma: lists are written {key}=a,b without spaces")
    own = [reason for reason in reasons if not reason.startswith(("Error parsing", "See "))]
    reason = (own or reasons)[0].partition(" expecting ")[0].partition(": ")
    return UserError(
        f"{show(word)} cannot be read ({reason[0]}); a value with such signs goes in quotes: "
        f"'{key}=\"{value}\"'"
    )


def _explain_missing(error: MissingConfigException, options: Sequence[str]) -> str:
    """Why a choice of a group is none."""
    missing = str(error.missing_cfg_file)
    if missing.startswith("hydra/launcher/") and Path(missing).name in REPLACED_LAUNCHERS:
        return explain_replaced(Path(missing).name)
    extra = LAUNCHER_EXTRAS.get(Path(missing).name)
    if extra is not None:
        return f"hydra/launcher={extra} needs: pip install 'rps_bench[{extra}]'"
    named = re.search(r"Available options in '(.+)'", str(error))
    group = named[1] if named else missing.rpartition("/")[0]
    choice = missing.removeprefix(f"{group}/")
    hint = did_you_mean(Path(choice).stem, options)
    if not hint and group in PLUGIN_GROUPS:
        hint = "; one of your own comes with plugins=[FILE.py]"
    return f"{group} must be one of {', '.join(options)}, got {show(choice)}{hint}"


def _explain_key(error: Exception, text: str, folder: Path) -> str | None:
    """Why a value cannot be put where a word says; None if the error is another one."""
    cause = error.__cause__
    key = str(getattr(cause, "full_key", ""))
    parent = getattr(cause, "parent_node", None)
    if text.startswith("Could not override") and isinstance(parent, DictConfig):
        prefix = key.rpartition(".")[0]
        if not prefix:
            return _explain_top_key(key, parent)
        allowed = [f"{prefix}.{name}" for name in map(str, parent)]
        return f"{unknown_name('key', key, allowed)}{_name_owners(key, folder)}"
    if text.startswith("Error merging override"):
        if getattr(cause, "object_type", None) is list:
            return f"{key} must be a list, got {text.partition('=')[2]}"
        return f"{key}: {str(cause).splitlines()[0]}"
    return None


def _explain_top_key(key: str, config: DictConfig) -> str:
    """Why there is no such key; it may be one of a group's, or another's name."""
    options = [f"{group}.{name}" for group in GROUPS for name in map(str, config.get(group) or ())]
    allowed = _allowed_keys()
    hint = did_you_mean(key.replace("/", "."), [*allowed, *options])
    return f"unknown key {show(key)}; allowed: {', '.join(allowed)}{hint}"


def _allowed_keys() -> tuple[str, ...]:
    """The keys of a command line."""
    from rps_bench.sweep.freeze import TOP_KEYS  # imports what a run is, which --help need not

    return (*TOP_KEYS, "experiment")


def _name_owners(key: str, folder: Path) -> str:
    """Which other choices of the key's group have it, such as ``; method=ltr has it``."""
    group, _, option = key.rpartition(".")
    group = group.replace(".", "/")
    owners = list(_find_owners(folder / group, option))
    verb = "have" if len(owners) > 1 else "has"
    return f"; {group}={' or '.join(owners)} {verb} it" if owners else ""


def _find_owners(folder: Path, option: str) -> Iterator[str]:
    for path in sorted(folder.glob("*.yaml")):
        if option in OmegaConf.load(path):
            yield path.stem
