"""Which runs may share a mean: the experiment and the curve that each run belongs to.

An *experiment* is what one figure shows: a dataset, architecture, recipe and evaluation split with
all their options. A *curve* is a method with its non-default options, at one precision and by one
set of kernels. Runs are averaged only if they agree in experiment, curve and compression; they may
differ in seed (and hardware). Each seed counts once: of several records of one configuration only
one is kept.

By the protocol *fixed* all runs of an experiment have the recipe's learning rate. By *tuned*, which
is always an experiment of its own, each point has the rate that was chosen for it. On the
validation split, where rates are chosen, each rate is a curve of its own.
"""

import pandas as pd

from rps_bench.config import FIXED
from rps_bench.engine.names import ENGINES, PLAIN
from rps_bench.records.schema import FILE_ZSTD, TEST, UNRETRAINED_BYTES, VALIDATION
from rps_bench.reports.analysis.budgets import add_budgets
from rps_bench.reports.analysis.classes import CLASS_MEASURES
from rps_bench.reports.analysis.duplicates import find_counted
from rps_bench.reports.analysis.options import (
    DATA_OPTIONS,
    EXPERIMENT_PREFIXES,
    METHOD_PREFIXES,
    RATE,
    describe_differences,
    fill_options,
    hide_chosen,
    option_columns,
    show_chosen,
    write_option,
)

EXPERIMENT_KEYS = ["dataset", "arch", "recipe", "evaluation_split", "experiment_options"]
# What a run computes by: other numbers come of it, and it is no option of a method.
ARITHMETIC_KEYS = ["precision", "kernels"]
CURVE_KEYS = ["method", "label", *ARITHMETIC_KEYS]
POINT_KEYS = [*EXPERIMENT_KEYS, *CURVE_KEYS, "compression"]
RUN_KEYS = [*POINT_KEYS, "seed"]


def describe_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The runs that count, with the columns that tell experiments and curves apart.

    Adds `experiment_options` (image size, class imbalance and protocol, then the options in which
    runs of one dataset, architecture, recipe, split, size, imbalance and protocol differ; empty for
    runs of the fixed protocol on the dataset as it is that share all options), `accuracy`,
    `best_accuracy` and `loss` (of the split the run was evaluated on; null unless completed),
    `unretrained_accuracy` (the same, before what was compressed after training was trained again),
    `has_diverged`, `has_failed`, and `is_plain` (the method has its default options, by any
    arithmetic), and the `BUDGET_KEYS` of the experiment. `label` is made unique for every curve of
    an experiment, `variant` is the same without the arithmetic and `curve` also without a learning
    rate that is tried among others. Costs that older records lack are filled in as those of one
    ordinary training.

    Of several records of one configuration and seed, only one is returned (`find_counted`). The
    index is the table's.
    """
    runs = describe_all_runs(table)
    return runs[find_counted(runs, RUN_KEYS) == runs.index]


def describe_all_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The runs as from `describe_runs`, but with every record of a configuration."""
    has_failed = table["status"] == "failed"
    runs = table.assign(has_diverged=table["status"] == "diverged", has_failed=has_failed)
    unretrained = (split.unretrained_accuracy for split in (TEST, VALIDATION))
    optional = (FILE_ZSTD, UNRETRAINED_BYTES, *unretrained, *CLASS_MEASURES)
    runs = runs.assign(**{key: float("nan") for key in optional if key not in runs})
    runs = runs.assign(**_headline(runs), **_costs(runs))
    # Options are filled in before they are compared; labels need the final arithmetic.
    runs = runs.assign(**{key: float("nan") for key in DATA_OPTIONS if key not in runs})
    within = [*EXPERIMENT_KEYS[:-1], *DATA_OPTIONS, "protocol"]
    runs = fill_options(runs, within)
    runs["experiment_options"] = _name_experiments(runs, within)
    runs = add_budgets(runs, EXPERIMENT_KEYS)
    runs["precision"], runs["kernels"] = _resolve_precision(runs), _resolve_kernels(runs)
    return _label_curves(runs)


def _name_experiments(runs: pd.DataFrame, within: list[str]) -> list[str]:
    """The options that tell experiments apart, for each run.

    Those of its data and a protocol other than fixed are always among them; a learning rate that
    was chosen, or is tried to be chosen, is not.
    """
    columns = option_columns(runs, EXPERIMENT_PREFIXES)
    alike = hide_chosen(runs)
    if RATE in runs:
        alike = alike.assign(**{RATE: alike[RATE].mask(_is_tried(runs))})
    differences = describe_differences(alike, within, columns, null_differs=True)
    of_data = ([write_option(key, value) for value in runs[key]] for key in DATA_OPTIONS)
    protocols = ["" if x == FIXED else f"protocol={x}" for x in runs["protocol"]]
    parts = zip(*of_data, protocols, differences, strict=True)
    return [", ".join(filter(None, own)) for own in parts]


def _is_tried(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Whether each run may be a trial of a search for learning rates."""
    return runs["evaluation_split"] == VALIDATION.name


def _headline(runs: pd.DataFrame) -> dict[str, "pd.Series[float]"]:
    """Accuracy, best accuracy and loss of each run's own split, null unless completed."""
    on_validation = runs["evaluation_split"] == VALIDATION.name
    is_completed = runs["status"] == "completed"
    names = ("accuracy", "best_accuracy", "loss", "unretrained_accuracy")
    keys = ((*split.keys, split.unretrained_accuracy) for split in (TEST, VALIDATION))
    return {
        column: runs[test].mask(on_validation, runs[validation]).where(is_completed)
        for column, test, validation in zip(names, *keys, strict=True)
    }


def _costs(runs: pd.DataFrame) -> dict[str, "pd.Series[float]"]:
    """The cost columns, filled in where records are older than methods that train repeatedly."""
    ordinary = {
        "num_levels": 0,
        "num_trainings": 1,
        "population": 1,
        "total_epochs": runs["epochs"].astype("float64"),
        "total_train_seconds": runs["train_seconds"],
    }
    ran = ~runs["has_failed"]
    return {
        column: runs[column].mask(runs[column].isna() & ran, value)
        for column, value in ordinary.items()
    }


def _resolve_precision(runs: pd.DataFrame) -> "pd.Series[str]":
    """The precision of each run; one that failed too early takes its experiment's, if unique."""
    precision = runs["precision"].fillna("fp32")
    return _join_outcomes(runs, precision, precision == "auto", precision)


def _resolve_kernels(runs: pd.DataFrame) -> "pd.Series[str]":
    """The kernels of each run; one that failed too early takes its experiment's, if unique.

    What asked for other kernels than PyTorch's is never counted among runs by these.
    """
    kernels = runs["kernels"].fillna(PLAIN)
    is_asked = kernels.isin(ENGINES) & (kernels != PLAIN)
    return _join_outcomes(runs, kernels, is_asked, kernels.mask(kernels == PLAIN))


def _join_outcomes(
    runs: pd.DataFrame, own: "pd.Series[str]", is_asked: "pd.Series[bool]", known: "pd.Series[str]"
) -> "pd.Series[str]":
    """The own values; failed runs that hold what was asked for take the experiment's known one."""
    outcomes = known.mask(runs["has_failed"]).groupby([runs[key] for key in EXPERIMENT_KEYS])
    is_open = runs["has_failed"] & is_asked & (outcomes.transform("nunique") == 1)
    return own.mask(is_open, outcomes.transform("first"))


def _label_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Make labels unique per curve: the label in the record, plus what else tells curves apart.

    A record's label is the method and its non-default options. Options that still differ under one
    label (defaults that changed, hand-made records) are added to it, and so are the precision and
    the kernels if completed or diverged runs of one experiment have several. An option that a
    record does not state is no difference here: under the same label it had the default value.
    """
    # Options may tell runs of the same label apart that the label itself does not name.
    options = describe_differences(
        runs,
        within=[*EXPERIMENT_KEYS, "method", "label"],
        columns=option_columns(runs, METHOD_PREFIXES),
        null_differs=False,
    )
    labels = [_add_note(*pair) for pair in zip(runs["label"], options, strict=True)]
    runs = runs.assign(label=labels, curve=labels)
    labels = [_add_note(*pair) for pair in zip(labels, _note_rates(runs), strict=True)]
    runs = runs.assign(
        variant=labels, is_plain=[a == b for a, b in zip(labels, runs["method"], strict=True)]
    )
    for column in ARITHMETIC_KEYS:
        notes = _note_differences(runs, column)
        labels = [_add_note(*pair) for pair in zip(labels, notes, strict=True)]
    return runs.assign(label=labels)


def _note_rates(runs: pd.DataFrame) -> list[str]:
    """The learning rate of a run where others of its point have another one.

    That is so on the validation split, and where rates, or other settings, were chosen again
    between runs.
    """
    if RATE not in runs:
        return [""] * len(runs)
    curve = [*EXPERIMENT_KEYS, "method", "label"]
    tried = {RATE: runs[RATE].where(_is_tried(runs))}
    chosen = show_chosen(runs)
    rates, choices = (
        describe_differences(runs.assign(**columns), within, list(columns), False)
        for columns, within in ((tried, curve), (chosen, [*curve, "compression"]))
    )
    return [one or other for one, other in zip(rates, choices, strict=True)]


def _note_differences(runs: pd.DataFrame, column: str) -> "pd.Series[str]":
    """The value of each run, empty if all outcomes of its experiment have the same."""
    outcomes = runs[column].mask(runs["has_failed"])
    groups = outcomes.groupby([runs[key] for key in EXPERIMENT_KEYS])
    usual = groups.transform("first").where(groups.transform("nunique") == 1)
    is_lone = groups.transform("nunique") == 0
    return runs[column].mask((runs[column] == usual) | is_lone, "")


def _add_note(label: str, note: str) -> str:
    """Put a note into the label's brackets: `mag` -> `mag (note)`, `mag (a)` -> `mag (a, note)`."""
    if not note:
        return label
    return f"{label[:-1]}, {note})" if label.endswith(")") else f"{label} ({note})"
