"""What a reader should know before trusting a mean: the faults of a study, as text, with run ids.

Nothing here changes a number. Failed and diverged runs are outcomes, not faults.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from rps_bench.reports.analysis.duplicates import find_counted
from rps_bench.reports.analysis.options import METHOD_PREFIXES, option_columns, write_value
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS, POINT_KEYS, RUN_KEYS, describe_all_runs
from rps_bench.reports.words import count_of

NUM_NAMED = 3  # runs or values named in a text; `run_ids` has all runs

BYTES_DO_NOT_COMPARE = "bytes do not compare, formats of the compressed files differ"
UNSTATED_FORMAT = "an earlier one"

_CODE = {"git_commit": "commit", "package_version": "rps_bench", "versions.torch": "torch"}
_HASH_LENGTH = 8  # of a commit, or of a plugin's content
# What a plugin may offer, and among which runs it should be the same: means are taken over them.
_PLUGIN_KEYS = {
    "dataset": EXPERIMENT_KEYS,
    "arch": EXPERIMENT_KEYS,
    "method": [*EXPERIMENT_KEYS, "method"],
}
_OTHER_VERSION = "schema_version is"  # the start of a reason to refuse a record of another version


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: `broken_file`, `schema_version`, `duplicate`, `mixed_recipes`, `unstated_option`,
            `mixed_tuning`, `partial_dataset`, `dirty_tree`, `mixed_code`, `mixed_plugins`,
            `mixed_hardware`, `mixed_population` or `mixed_files`.
        text: One line: what is wrong, where, in how many runs, and the first few of these.
        run_ids: All runs concerned; for a file that could not be read, its name without suffix.
    """

    kind: str
    text: str
    run_ids: tuple[str, ...]


def find_faults(results: Results) -> tuple[Finding, ...]:
    """The faults of a study, in the order of `Finding.kind`.

    Failed runs enter no mean, so they are checked for duplicates only.
    """
    outcomes = results.runs[~results.runs["has_failed"]]
    return (
        *_unread_files(results),
        *_unversioned(results),
        *_duplicates(results),
        *_repeated_ids(results.runs),
        *_mixed_recipes(outcomes),
        *_unstated_options(outcomes),
        *_mixed_tuning(outcomes),
        *_partial_datasets(outcomes),
        *_dirty_trees(outcomes),
        *_mixed_code(outcomes),
        *_mixed_plugins(outcomes),
        *_mixed_hardware(outcomes),
        *_mixed_populations(outcomes),
        *_mixed_files(outcomes),
    )


def _unread_files(results: Results) -> Iterator[Finding]:
    problems = sorted(results.problems, key=lambda problem: _is_other_version(problem.reason))
    for path, reason in problems:
        kind = "schema_version" if _is_other_version(reason) else "broken_file"
        name = path.relative_to(results.results_dir)
        yield Finding(kind, f"{name} is left out: {reason}", (path.stem,))


def _is_other_version(reason: str) -> bool:
    return reason.startswith(_OTHER_VERSION)


def _unversioned(results: Results) -> Iterator[Finding]:
    run_ids = [record["run_id"] for record in results.records if "schema_version" not in record]
    if run_ids:
        yield _make("schema_version", "no schema version, read as version 1", run_ids)


def _duplicates(results: Results) -> Iterator[Finding]:
    """Name the records that `describe_runs` leaves out, and the one that counts instead."""
    runs = describe_all_runs(results.table)
    # `counted` holds, for each run, the index of the run that stands for its configuration.
    counted = find_counted(runs, RUN_KEYS)
    runs = runs.assign(counted=runs["run_id"].loc[counted].to_numpy())
    for key, group in runs[counted != runs.index].groupby(EXPERIMENT_KEYS, dropna=False):
        pairs = [
            f"{left_out} (in two files)" if left_out == counts else f"{left_out} ({counts} counts)"
            for left_out, counts in zip(group["run_id"], group["counted"], strict=True)
        ]
        num_records = count_of(len(group), "record")
        text = f"{_where(key)}: {num_records} of a configuration that is recorded more than once"
        text += f", left out of all means: {_name(pairs)}"
        yield Finding("duplicate", text, _unique([*group["run_id"], *group["counted"]]))


def _repeated_ids(runs: pd.DataFrame) -> Iterator[Finding]:
    repeated = runs.loc[runs["run_id"].duplicated(), "run_id"].unique().tolist()
    if repeated:
        what = "one run id, several configurations, kept apart"
        yield _make("duplicate", what, repeated)


def _mixed_recipes(runs: pd.DataFrame) -> Iterator[Finding]:
    # Same names, different options: these are separate experiments, which names do not show.
    for key, group in runs.groupby(EXPERIMENT_KEYS[:-1], dropna=False):
        if group["experiment_options"].nunique() > 1:
            variants = _tally(group["experiment_options"].replace("", "options not stated"), "; ")
            text = f"{_where(key)}: several experiments, kept apart: {variants}"
            yield Finding("mixed_recipes", text, _unique(group["run_id"]))


def _unstated_options(runs: pd.DataFrame) -> Iterator[Finding]:
    """Name the runs that do not state an option which others of the same mean state."""
    # Runs share a mean if their labels agree, even if an older record does not state an option.
    groups = runs.groupby(POINT_KEYS, dropna=False)
    for column in option_columns(runs, METHOD_PREFIXES):
        stated = groups[column].transform("first")
        silent = runs[runs[column].isna() & stated.notna()]
        if len(silent):
            values = sorted({write_value(value) for value in stated.loc[silent.index]})
            option = f"{column}={' or '.join(values)}"
            what = f"{option} is not stated, and taken as such because the label agrees"
            yield _make("unstated_option", what, silent["run_id"])


def _mixed_tuning(runs: pd.DataFrame) -> Iterator[Finding]:
    """Name rates that were chosen with unequal effort, or at an end of what was tried."""
    for column in ("tuning.num_trials", "tuning.edge"):
        if column not in runs:
            return
    for key, group in runs[runs["tuning.num_trials"].notna()].groupby(EXPERIMENT_KEYS):
        counts = group["tuning.num_trials"].map("{:.0f} trials".format)
        if counts.nunique() > 1:
            text = f"{_where(key)}: rates were chosen by unlike numbers of trials: "
            yield Finding("mixed_tuning", text + _tally(counts, "; "), _unique(group["run_id"]))
    for edge, group in runs.groupby("tuning.edge"):
        what = f"the best learning rate may lie beyond, the chosen one is the {edge} that was tried"
        yield _make("mixed_tuning", what, group["run_id"])


def _partial_datasets(runs: pd.DataFrame) -> Iterator[Finding]:
    if "dataset.is_partial" not in runs:
        return
    partial = runs[runs["dataset.is_partial"].astype("str") == "True"]
    for key, group in partial.groupby(EXPERIMENT_KEYS, dropna=False):
        what = f"{_where(key)}: only a part of the dataset was used"
        yield _make("partial_dataset", what, group["run_id"])


def _dirty_trees(runs: pd.DataFrame) -> Iterator[Finding]:
    dirty = runs.loc[runs["git_dirty"].fillna(False), "run_id"]
    unknown = runs.loc[runs["git_commit"].isna(), "run_id"]
    if len(dirty):
        yield _make("dirty_tree", "the code differed from the commit that is recorded", dirty)
    if len(unknown):
        yield _make("dirty_tree", "the commit is not known", unknown)


def _mixed_code(runs: pd.DataFrame) -> Iterator[Finding]:
    codes = runs.assign(git_commit=runs["git_commit"].str[:_HASH_LENGTH])
    for key, group in codes.groupby(EXPERIMENT_KEYS, dropna=False):
        parts = [
            f"{name} {_tally(group[column], ', ')}"
            for column, name in _CODE.items()
            if column in group and group[column].nunique() > 1
        ]
        if parts:
            text = f"{_where(key)}: runs of different code: {'; '.join(parts)}"
            yield Finding("mixed_code", text, _unique(group["run_id"]))


def _mixed_plugins(runs: pd.DataFrame) -> Iterator[Finding]:
    """Name what was trained with several versions of one plugin: they may compute other things."""
    for part, keys in _PLUGIN_KEYS.items():
        plugins = _describe_plugins(runs, part)
        for key, group in plugins.groupby([runs[key] for key in keys], dropna=False):
            if group.nunique() > 1:
                name = str(runs.loc[group.index[0], part])
                text = f"{_where(key)}: runs of different code of {part} {name}"
                run_ids = _unique(runs.loc[group.index, "run_id"])
                yield Finding("mixed_plugins", f"{text}: {_tally(group, ', ')}", run_ids)


def _describe_plugins(runs: pd.DataFrame, part: str) -> "pd.Series[str]":
    """What gave a part of each run."""
    columns = [f"plugins.{part}.{key}" for key in ("name", "version", "sha256")]
    known = runs.reindex(columns=columns).astype("object").fillna("").astype("str")
    texts = [_name_plugin(*row) for row in known.itertuples(index=False, name=None)]
    return pd.Series(texts, index=runs.index, dtype="str")


def _name_plugin(name: str, version: str, digest: str) -> str:
    """A plugin by its content where that is known: its file may have been renamed."""
    if digest:
        return f"SHA-256 {digest[:_HASH_LENGTH]}"
    return f"{name} {version}" if name else "no plugin"


def _mixed_hardware(runs: pd.DataFrame) -> Iterator[Finding]:
    hardware = pd.Series(_describe_hardware(runs), index=runs.index, dtype="str")
    for key, group in hardware.groupby([runs[key] for key in EXPERIMENT_KEYS], dropna=False):
        if group.nunique() > 1:
            text = f"{_where(key)}: times do not compare, hardware differs: {_tally(group, '; ')}"
            yield Finding("mixed_hardware", text, _unique(runs.loc[group.index, "run_id"]))


def _mixed_populations(runs: pd.DataFrame) -> Iterator[Finding]:
    for key, group in runs.groupby(EXPERIMENT_KEYS, dropna=False):
        if group["population"].nunique() > 1:
            counts = group["population"].map(lambda n: "alone" if n == 1 else f"{n:.0f} at once")
            text = f"{_where(key)}: times and peak memory do not compare, runs trained"
            yield Finding(
                "mixed_population", f"{text} {_tally(counts, '; ')}", _unique(group["run_id"])
            )


def _mixed_files(runs: pd.DataFrame) -> Iterator[Finding]:
    for key, group in runs.groupby(EXPERIMENT_KEYS, dropna=False):
        formats = name_file_formats(group)
        if formats.nunique() > 1:
            text = f"{_where(key)}: {BYTES_DO_NOT_COMPARE}: {_tally(formats, '; ')}"
            yield Finding("mixed_files", text, _unique(group["run_id"]))


def name_file_formats(runs: pd.DataFrame) -> "pd.Series[str]":
    """The format of the compressed file whose size each run states."""
    if "file_format" not in runs:
        return pd.Series(UNSTATED_FORMAT, index=runs.index, dtype="str")
    return runs["file_format"].fillna(UNSTATED_FORMAT)


def _describe_hardware(runs: pd.DataFrame) -> list[str]:
    """Name the hardware of each run: the GPU if it trained on one, else the CPU."""
    columns = ("device", "gpu_name", "cpu_model", "cpu_count", "num_threads")
    names = []
    for device, gpu, cpu, num_cpus, num_threads in zip(*(runs[c] for c in columns), strict=True):
        if isinstance(device, str) and device.startswith("cuda"):
            names.append("unknown GPU" if pd.isna(gpu) else str(gpu))
            continue
        counts = [count_of(number, noun)
                  for number, noun in ((num_cpus, "CPU"), (num_threads, "thread"))
                  if not pd.isna(number)]  # fmt: skip
        name = "unknown CPU" if pd.isna(cpu) else str(cpu)
        names.append(f"{name} ({', '.join(counts)})" if counts else name)
    return names


def _make(kind: str, what: str, run_ids: Iterable[str]) -> Finding:
    """A finding whose text ends with the number of runs and names the first of them."""
    found = _unique(run_ids)
    return Finding(kind, f"{what}: {count_of(len(found), 'run')}: {_name(found)}", found)


def _where(key: object) -> str:
    """Name an experiment by its keys; options are left out if there are none."""
    assert isinstance(key, tuple)
    dataset, arch, recipe, split, *options = key
    note = f" ({options[0]})" if options and options[0] else ""
    return f"{dataset}, {arch}, recipe {recipe}{note}, {split} split"


def _tally(values: "pd.Series[str]", separator: str) -> str:
    """Write the values, the most frequent first, each with its number of runs."""
    counts = values.value_counts()
    parts = [f"{value} ({count_of(number, 'run')})" for value, number in counts.items()]
    return _name(parts, separator)


def _name(names: Sequence[str], separator: str = ", ") -> str:
    rest = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
    return separator.join(names[:NUM_NAMED]) + rest


def _unique(run_ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run_ids))
