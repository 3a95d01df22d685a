"""The file of choices: for each cell the learning rate that was chosen, and all that was tried.

A cell is what a rate is chosen for: dataset, architecture, recipe, method and compression with all
their options (`RunConfig.cell`). The file lies beside the records and is kept with them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from rps_bench.config import RunConfig
from rps_bench.core import checks
from rps_bench.core.atomic import write_text
from rps_bench.core.errors import UserError
from rps_bench.runtime.locks import hold, make_lock
from rps_bench.tuning.search import CHOSEN_WITH_RATE, HIGHEST, LOWEST

VERSION = 1
LARGEST_BYTES = 1 << 25


class NoChoiceError(UserError):
    """No learning rate was chosen for a cell."""


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes:
        learning_rate: Its rate.
        validation_accuracy: After the last epoch, in percent; None: it diverged.
        run_id: Of its record.
        settings: The other settings of the recipe that were tried, if any.
    """

    learning_rate: float
    validation_accuracy: float | None
    run_id: str
    settings: Mapping[str, bool | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """What a search found for one cell.

    Attributes:
        learning_rate: The rate with the best accuracy on validation images.
        validation_accuracy: That accuracy in percent; None: all trials diverged.
        edge: lowest or highest, if it is that of all rates tried with the same settings: the best
            may lie beyond.
        start: The recipe's rate, which the search began with.
        seed: Of all trials.
        trials: By their settings and rates.
        cell: What the rate was chosen for.
        settings: Of the recipe that were chosen with the rate, if any.
    """

    learning_rate: float
    validation_accuracy: float | None
    edge: str | None
    start: float
    seed: int
    trials: tuple[Trial, ...]
    cell: Mapping[str, Any]
    settings: Mapping[str, bool | float] = field(default_factory=dict)

    @property
    def best(self) -> Trial:
        """The trial that was chosen."""
        wanted = self.learning_rate, self.settings
        return next(own for own in self.trials if (own.learning_rate, own.settings) == wanted)

    @property
    def described(self) -> dict[str, Any]:
        """What the record of a run by this choice tells of it."""
        return {
            "num_trials": len(self.trials),
            "seed": self.seed,
            "start": self.start,
            "edge": self.edge,
            "validation_accuracy": self.validation_accuracy,
        } | ({"settings": dict(self.settings)} if self.settings else {})


def with_choice(config: RunConfig) -> RunConfig:
    """The run with the rate, and the other settings, that were chosen for its cell.

    Raises:
        NoChoiceError: None was.
        UserError: The file is broken, or the search began with another rate than the run has.
    """
    path = config.choices_path
    choice = read_choices(path).get(config.cell_id)
    if choice is None:
        raise NoChoiceError(f"{path} has no learning rate for {config.cell_id}")
    if choice.start != config.recipe.lr:
        raise UserError(
            f"protocol=tuned takes the rate that was searched from recipe.lr={choice.start:g} for "
            f"{config.cell_id}, got recipe.lr={config.recipe.lr:g}: leave it out, tune from it, or "
            "take protocol=fixed"
        )
    recipe = config.recipe.with_values({"lr": choice.learning_rate} | dict(choice.settings))
    return replace(config, recipe=recipe, tuning=choice.described)


def read_choices(path: Path) -> Mapping[str, Choice]:
    """Cell ids and choices; none where there is no file.

    Raises:
        UserError: The file cannot be read, or does not hold choices.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    return _read(path, found.st_mtime_ns, found.st_size, found.st_ino)


def save_choices(path: Path, choices: Mapping[str, Choice]) -> None:
    """Put choices into the file, in place of older ones of the same cells; all others stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with hold(make_lock(path.with_name(f".{path.name}.lock"))):
        merged = dict(read_choices(path)) | dict(choices)
        listed = {cell_id: asdict(merged[cell_id]) for cell_id in sorted(merged)}
        text = json.dumps({"version": VERSION, "choices": listed}, indent=2, allow_nan=False)
        if not path.is_file() or path.read_text(encoding="utf-8") != text + "\n":
            write_text(path, text + "\n")


@lru_cache(16)  # a sweep has thousands of runs and one file
def _read(path: Path, modified_ns: int, num_bytes: int, inode: int) -> Mapping[str, Choice]:
    """The choices in a file; it is read again when it has changed."""
    if not path.is_file() or num_bytes > LARGEST_BYTES:
        raise UserError(f"{path} is no file of choices")
    try:
        table = json.loads(path.read_bytes())
        if table["version"] != VERSION:
            raise ValueError(f"version {table['version']!r}, this one reads {VERSION}")
        return {str(cell_id): _parse(values) for cell_id, values in table["choices"].items()}
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{path} holds no choices ({reason}); mend or delete it, and tune again"
        ) from error


def _parse(values: Mapping[str, Any]) -> Choice:
    """One choice, checked.

    Raises:
        ValueError, KeyError, TypeError: It is none.
    """
    known = {key.name: values[key.name] for key in fields(Choice) if key.name != "settings"}
    trials = tuple(
        Trial(
            checks.positive_number("learning_rate", trial["learning_rate"]),
            _accuracy(trial["validation_accuracy"]),
            checks.text("run_id", trial["run_id"]),
            _settings(trial),
        )
        for trial in known["trials"]
    )
    if known["edge"] is not None:
        checks.choice("edge", known["edge"], (LOWEST, HIGHEST))
    if not isinstance(known["cell"], Mapping):
        raise ValueError("cell must be an object")
    return Choice(
        checks.positive_number("learning_rate", known["learning_rate"]),
        _accuracy(known["validation_accuracy"]),
        known["edge"],
        checks.positive_number("start", known["start"]),
        checks.whole_number("seed", known["seed"], 0),
        trials,
        known["cell"],
        _settings(values),
    )


def _settings(values: Mapping[str, Any]) -> dict[str, bool | float]:
    """The settings of a choice or a trial; none where nothing but the rate was chosen."""
    settings = values.get("settings", {})
    for name, value in settings.items():
        checks.choice("settings", name, CHOSEN_WITH_RATE)
        if not isinstance(value, bool):
            checks.number(name, value)
    return dict(settings)


def _accuracy(value: object) -> float | None:
    """An accuracy as it was written, to the last digit."""
    if value is not None:
        checks.number("validation_accuracy", value, "null or a percentage", lambda x: 0 <= x <= 100)
    return value  # type: ignore[return-value]
