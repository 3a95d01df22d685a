"""Words of a command line that are Hydra's own: which ones do something here, and what to type
instead of the others.
"""

from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from rps_bench.core.errors import UserError

SEARCH_PATH = "hydra.searchpath"  # more places of yaml files
PARAMS = "hydra.sweeper.params"  # the sweep of an experiment file

WITH_EFFECT = (
    "hydra.mode",
    SEARCH_PATH,
    "hydra/launcher",
    "hydra.launcher",
    PARAMS,
    "hydra.sweeper.max_batch_size",
    "hydra.job.name",
    "hydra.job.env_set",
)

REPLACED_LAUNCHERS = ("processes", "joblib")  # which other projects use for what is built in here
_PROCESSES = "type processes=4 for four processes; by itself a sweep takes as many as are good"

DEFAULT_SWEEPER = "hydra/sweeper=basic"
_RESULTS = "type results_dir=FOLDER for where records go"
_LOGGING = "what a run tells is in its record and, with tracking=wandb, on a dashboard"
INSTEAD = {
    "hydra.launcher.n_jobs": _PROCESSES,
    "hydra.run": _RESULTS,
    "hydra.sweep": _RESULTS,
    "hydra.output_subdir": "the settings of a run are in its record",
    "hydra.job.chdir": f"runs stay in the folder of their command; {_RESULTS}",
    "hydra.job.env_copy": "launchers hand on the whole environment",
    "hydra.verbose": _LOGGING,
    "hydra.job_logging": _LOGGING,
    "hydra/job_logging": _LOGGING,
    "hydra.hydra_logging": _LOGGING,
    "hydra/hydra_logging": _LOGGING,
    "hydra/sweeper": f"all runs are planned before the first, as {DEFAULT_SWEEPER} does",
}


def is_of_hydra(word: Override) -> bool:
    """Whether the word sets something of Hydra's, not of a run."""
    return word.key_or_group.startswith(("hydra.", "hydra/")) or word.key_or_group == "hydra"


def check_hydra_words(words: Sequence[Override]) -> None:
    """Raise a UserError for a word of Hydra's that would silently do nothing here."""
    for word in filter(is_of_hydra, words):
        if word.is_sweep_override():
            raise UserError(
                f"{word.input_line} is for all runs of a sweep and can have one value only"
                + (', in quotes: "0,1"' if _is_below(word.key_or_group, (PARAMS,)) else "")
            )
        if word.input_line != DEFAULT_SWEEPER and (instead := _find_instead(word)):
            raise UserError(f"{word.input_line} would do nothing here: {instead}")


def explain_replaced(launcher: str) -> str:
    """What to type instead of one of `REPLACED_LAUNCHERS`."""
    return f"hydra/launcher={launcher} is not needed here: {_PROCESSES}"


def _find_instead(word: Override) -> str | None:
    """What to type instead of a word that does nothing; None for one that does something."""
    for key, instead in INSTEAD.items():
        if _is_below(word.key_or_group, (key,)):
            return instead
    if _is_below(word.key_or_group, WITH_EFFECT):
        return None
    return f"of Hydra's own words take {', '.join(WITH_EFFECT)}"


def _is_below(key: str, places: Sequence[str]) -> bool:
    return any(key == place or key.startswith(f"{place}.") for place in places)
