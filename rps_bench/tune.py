"""``python -m rps_bench.tune WORDS``: choose the learning rates of a sweep on validation images.

The words are those of a sweep (lists need no -m). For each dataset, architecture, recipe, method
and compression with its options, tune.trials trainings at as many learning rates around recipe.lr
are evaluated on images held out of train, never on test images; the best rate goes to
choices.json in results_dir, where protocol=tuned finds it. Every training is a run with a record:
the same command goes on after a stop, and several processes share the work.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path

from hydra.core.utils import env_override
from rich.table import Table

from rps_bench.core.console import say, show_table
from rps_bench.core.errors import UserError
from rps_bench.core.output import command
from rps_bench.launch.whole import discard_passing_checkpoints, do_runs
from rps_bench.records.done import find_done
from rps_bench.records.schema import Record, headline_accuracy
from rps_bench.runtime.signals import obeying_signals
from rps_bench.sweep.command_line import asks_for_information, parse_words
from rps_bench.sweep.expansion import parse
from rps_bench.sweep.hydra_errors import explained
from rps_bench.sweep.places import require_writable
from rps_bench.sweep.planning import Plan, PlannedRun, plan_runs
from rps_bench.tuning.choices import Choice, Trial, save_choices
from rps_bench.tuning.search import FIRST, find_best, find_edge, next_positions, rank, rate_at

# Whatever the sweep says. Rounding comes after training: one rate serves all kinds of storage.
TRIAL_WORDS = ("evaluation_split=validation", "protocol=fixed", "storage=exact")

Found = Mapping[Fraction, Record]


@dataclass(frozen=True)
class Branch:
    """The search along the learning rate with one combination of the other settings."""

    first: PlannedRun
    settings: Mapping[str, bool | float]

    def trial(self, position: Fraction) -> PlannedRun:
        """The run at another rate."""
        config = self.first.config
        values = {**self.settings, "lr": rate_at(config.recipe.lr, position)}
        words = (f"recipe.{name}={_to_word(value)}" for name, value in values.items())
        return PlannedRun(
            replace(config, recipe=config.recipe.with_values(values)),
            (*self.first.overrides, *words),
        )

    def look(self) -> tuple[Found, list[PlannedRun]]:
        """The trials that are recorded, and those to do next; none where the search is over."""
        found: dict[Fraction, Record] = {}
        while positions := self._list_next(found):
            trials = {position: self.trial(position) for position in positions}
            records = {position: find_done(trial.config) for position, trial in trials.items()}
            found |= {position: record for position, record in records.items() if record}
            if missing := [trials[position] for position, record in records.items() if not record]:
                return found, missing
        return found, []

    def choose(self, found: Found) -> Choice:
        """The choice from the trials of a whole search."""
        scores, config = _score(found), self.first.config
        best = find_best(scores)
        trials = [
            Trial(
                rate_at(config.recipe.lr, position),
                scores[position],
                found[position]["run_id"],
                self.settings,
            )
            for position in sorted(found)
        ]
        return Choice(
            learning_rate=rate_at(config.recipe.lr, best),
            validation_accuracy=scores[best],
            edge=find_edge(scores),
            start=config.recipe.lr,
            seed=config.seed,
            trials=tuple(trials),
            cell=config.cell,
            settings=self.settings,
        )

    def _list_next(self, found: Found) -> tuple[Fraction, ...]:
        return next_positions(_score(found), self.first.config.search.trials)


@dataclass(frozen=True)
class Cell:
    """What one rate is chosen for, as the run that the search begins with."""

    first: PlannedRun

    @property
    def branches(self) -> tuple[Branch, ...]:
        """A search for each combination of what else is chosen."""
        combinations = self.first.config.search.combinations
        return tuple(Branch(self.first, settings) for settings in combinations)

    def look(self) -> tuple[list[Found], list[PlannedRun]]:
        """The recorded trials of each branch, and those to do next; none where all are over."""
        looks = [branch.look() for branch in self.branches]
        return [found for found, _ in looks], [run for _, missing in looks for run in missing]

    def choose(self, founds: Sequence[Found]) -> Choice:
        """The best of what the branches chose from whole searches, of several the first."""
        choices = [branch.choose(own) for branch, own in zip(self.branches, founds, strict=True)]
        best = max(choices, key=lambda choice: rank(choice.validation_accuracy))
        return replace(best, trials=tuple(trial for own in choices for trial in own.trials))


@command
def main(words: Sequence[str] | None = None) -> int:
    """Search and write down the choices; returns the exit status, as ``python -m rps_bench``."""
    return obeying_signals(partial(_answer, list(sys.argv[1:] if words is None else words)))


def _answer(words: list[str]) -> int:
    arguments = parse_words(words)
    if asks_for_information(arguments):
        say(str(__doc__).strip())
        return 0
    plan = plan_trials(arguments.overrides, arguments.config_dir)
    cells = find_cells(plan)
    with env_override(plan.launching.environment):
        return _tune(plan, cells)


def plan_trials(overrides: Sequence[str], config_dir: str | None) -> Plan:
    """The runs of a sweep as trials, with the seed that ``tune.seed`` names.

    Raises:
        UserError: Anything wrong in any of them, or ``tune`` differs between them.
    """
    with explained():
        words = parse(overrides)
    for word in words:
        if word.key_or_group.partition(".")[0] == "tune" and word.is_sweep_override():
            raise UserError(f"{word.input_line} is for all cells and has one value")
    plan = plan_runs([*overrides, *TRIAL_WORDS], True, config_dir)
    searches = {replace(config.search, choices=None) for config in plan.configs}
    if len(searches) > 1:
        raise UserError("these experiments differ in tune; give one command to each")
    seed = searches.pop().seed
    if seed is None:
        return plan
    return plan_runs([*overrides, *TRIAL_WORDS, f"seed={seed}"], True, config_dir)


def find_cells(plan: Plan) -> list[Cell]:
    """The cells of a sweep, in its order, each with the first of its seeds.

    Raises:
        UserError: Searches of one cell would begin with several rates, or one with a rate that is
            no number.
    """
    cells: dict[tuple[Path, str], Cell] = {}
    for run in plan.runs:
        key = run.config.choices_path, run.config.cell_id
        first = cells.setdefault(key, Cell(run)).first.config
        if first.recipe.lr != run.config.recipe.lr:
            raise UserError(
                f"recipe.lr is what is searched and begins with one value for {first.cell_id}, "
                f"got {first.recipe.lr:g} and {run.config.recipe.lr:g}"
            )
    for cell in cells.values():
        for position in FIRST:
            rate_at(cell.first.config.recipe.lr, position)  # raises before anything is announced
    return list(cells.values())


def _tune(plan: Plan, cells: Sequence[Cell]) -> int:
    """Round after round over all cells; returns the exit status."""
    for note in plan.notes:
        say(note)
    search = cells[0].first.config.search
    others = " and ".join(f"{len(values)} values of {name}" for name, values in search.over)
    say(
        f"choosing a learning rate for each of {len(cells)} cells by {search.trials} trials"
        + (f" for each of {others}" if others else "")
    )
    for folder in {cell.first.config.choices_path.parent for cell in cells}:
        require_writable(str(folder))
    tried: set[str] = set()
    while pending := list(_list_new(cells, tried)):
        do_runs(replace(plan, runs=tuple(pending)), pending)
        tried |= {run.config.run_id for run in pending}
    searches = [(cell, *cell.look()) for cell in cells]
    whole = [(cell, cell.choose(founds)) for cell, founds, missing in searches if not missing]
    _save(whole)
    _show(whole)
    unfinished = [missing[0].config.run_id for _, _, missing in searches if missing]
    for run_id in unfinished:
        say(f"not chosen, as this trial was not recorded: {run_id}")
    discard_passing_checkpoints(
        [
            branch.trial(position).config
            for cell, founds, _ in searches
            for branch, found in zip(cell.branches, founds, strict=True)
            for position in found
        ]
    )
    return 1 if unfinished else 0


def _list_new(cells: Iterable[Cell], tried: set[str]) -> Iterator[PlannedRun]:
    """The next trials of all cells, without what this command has tried."""
    missing = chain.from_iterable(cell.look()[1] for cell in cells)
    return (run for run in missing if run.config.run_id not in tried)


def _save(whole: Sequence[tuple[Cell, Choice]]) -> None:
    """Write the choices into their files, of which a sweep over folders has several."""
    files: dict[Path, dict[str, Choice]] = {}
    for cell, choice in whole:
        config = cell.first.config
        files.setdefault(config.choices_path, {})[config.cell_id] = choice
    for path, choices in files.items():
        save_choices(path, choices)
        say(f"{len(choices)} choices in {path}")


def _show(whole: Sequence[tuple[Cell, Choice]]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("cell", "learning rate", "validation accuracy", "trials", "note"):
        justify = "left" if title in ("cell", "note") else "right"
        table.add_column(title, no_wrap=True, justify=justify)  # type: ignore[arg-type]
    for cell, choice in whole:
        accuracy = choice.validation_accuracy
        table.add_row(
            cell.first.config.cell_id,
            f"{choice.learning_rate:g}",
            "" if accuracy is None else f"{accuracy:.2f}%",
            str(len(choice.trials)),
            _note(choice),
        )
    show_table(table)


def _note(choice: Choice) -> str:
    if choice.validation_accuracy is None:
        return "all diverged"
    notes = [f"{name}={_to_word(value)}" for name, value in choice.settings.items()]
    notes += [f"the {choice.edge} rate that was tried"] if choice.edge else []
    return ", ".join(notes)


def _to_word(value: bool | float) -> str:
    """A value as the command line takes it."""
    return json.dumps(value)


def _score(found: Found) -> dict[Fraction, float | None]:
    """What the search sees of trials: their accuracy on validation images, None if diverged."""
    return {position: headline_accuracy(record) for position, record in found.items()}


if __name__ == "__main__":
    sys.exit(main())
