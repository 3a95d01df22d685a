import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rps_bench.records import write_record
from rps_bench.reports import Results, read_results
from rps_bench.reports.analysis.warnings import Finding, find_faults

MakeRecord = Callable[..., dict[str, Any]]
FindIn = Callable[..., tuple[Finding, ...]]


@pytest.fixture
def find_in(tmp_path: Path) -> FindIn:
    """Write records, each to a file of its own, and return the findings."""

    def find(*records: dict[str, Any]) -> tuple[Finding, ...]:
        folder = tmp_path / "records"
        folder.mkdir(exist_ok=True)
        for number, record in enumerate(records):
            (folder / f"{number}.json").write_text(json.dumps(record))
        return find_faults(read_results(tmp_path))

    return find


def test_the_checked_in_records_have_no_fault(small_study: Results) -> None:
    assert find_faults(small_study) == ()


def test_an_empty_folder_has_no_fault(tmp_path: Path) -> None:
    assert find_faults(read_results(tmp_path)) == ()


def test_a_copied_file_is_a_duplicate(study_folder: Path) -> None:
    (path, *_) = sorted(study_folder.rglob("*mag-10x*"))
    shutil.copy(path, path.with_name("copy.json"))
    study = read_results(study_folder)
    (finding,) = find_faults(study)
    run_id = "digits-resnet20-mag-10x-smoke-s0-00000004"
    assert finding == Finding(
        "duplicate",
        "digits, resnet20, recipe smoke, test split: 1 record of a configuration that is recorded"
        f" more than once, left out of all means: {run_id} (in two files)",
        (run_id,),
    )
    assert len(study.table) == 16
    assert study.points["n"].sum() == 3 + 2 + 2 + 3 + 3


def test_a_repeated_configuration_is_named_with_what_counts(
    find_in: FindIn, make_record: MakeRecord
) -> None:
    older = make_record() | {"run_id": "older"}
    newer = make_record(provenance={"started_at": "2026-11-21T10:00:00+00:00"}, device="cpu:0")
    (finding,) = find_in(older, newer | {"run_id": "newer"}, make_record(seed=1))
    assert finding.kind == "duplicate"
    assert finding.text.endswith("left out of all means: older (newer counts)")
    assert finding.run_ids == ("older", "newer")


def test_one_run_id_of_two_configurations(find_in: FindIn, make_record: MakeRecord) -> None:
    (finding,) = find_in(make_record() | {"run_id": "x"}, make_record(seed=1) | {"run_id": "x"})
    assert (finding.kind, finding.run_ids) == ("duplicate", ("x",))
    assert finding.text == "one run id, several configurations, kept apart: 1 run: x"


def test_versions_and_broken_files_are_told_apart(study_folder: Path) -> None:
    (path, *_) = sorted(study_folder.rglob("*dense*"))
    record = json.loads(path.read_text())
    path.with_name("newer.json").write_text(json.dumps(record | {"schema_version": 2}))
    path.with_name("torn.json").write_text('{"run_id": ')
    del record["schema_version"]
    path.write_text(json.dumps(record))
    torn, newer, unversioned = find_faults(read_results(study_folder))
    place = Path("records") / "digits" / "resnet20"
    assert (torn.kind, torn.run_ids) == ("broken_file", ("torn",))
    assert torn.text.startswith(f"{place / 'torn.json'} is left out: not valid JSON")
    assert newer == Finding(
        "schema_version",
        f"{place / 'newer.json'} is left out: schema_version is 2, this version reads 1",
        ("newer",),
    )
    assert (unversioned.kind, unversioned.run_ids) == ("schema_version", (record["run_id"],))


def test_recipes_of_one_name_and_several_contents(find_in: FindIn, make_record: MakeRecord) -> None:
    records = [make_record(epochs=3), make_record(epochs=3, seed=1), make_record(epochs=30)]
    (finding,) = find_in(*records, make_record(epochs=99, status="failed"))
    assert finding == Finding(
        "mixed_recipes",
        "cifar10, resnet20, recipe quick, test split: several experiments, kept apart:"
        " epochs=3 (2 runs); epochs=30 (1 run)",
        tuple(sorted(record["run_id"] for record in records)),
    )


def test_an_experiment_option_that_some_do_not_state_keeps_them_apart(
    find_in: FindIn, make_record: MakeRecord
) -> None:
    (finding,) = find_in(make_record(), make_record(arch_options={"width": 8}))
    assert finding.kind == "mixed_recipes"
    assert "options not stated (1 run)" in finding.text
    assert "width=8 (1 run)" in finding.text


def test_a_method_option_that_some_do_not_state_is_named(
    find_in: FindIn, make_record: MakeRecord
) -> None:
    silent = make_record(seed=0)
    stating = [make_record(seed=seed, method_options={"rounds": 1}) for seed in (1, 2)]
    alone = make_record("snip")
    (finding,) = find_in(silent, *stating, alone)
    assert (finding.kind, finding.run_ids) == ("unstated_option", (silent["run_id"],))
    assert finding.text.startswith("method.rounds=1 is not stated")


def test_parts_of_a_dataset_are_named(find_in: FindIn, make_record: MakeRecord) -> None:
    whole = make_record(dataset_options={"num_train": 50_000, "is_partial": False})
    part = make_record(dataset_options={"num_train": 500, "is_partial": True})
    mixed, partial = find_in(whole, part)
    assert mixed.kind == "mixed_recipes"
    assert (partial.kind, partial.run_ids) == ("partial_dataset", (part["run_id"],))
    assert partial.text == (
        "cifar10, resnet20, recipe quick (is_partial=True, num_train=500), test split: only a part"
        f" of the dataset was used: 1 run: {part['run_id']}"
    )


def test_unclean_code_is_named(find_in: FindIn, make_record: MakeRecord) -> None:
    records = [
        make_record(seed=seed, provenance={"git_dirty": True, "git_commit": "0123abc"})
        for seed in range(5)
    ]
    unknown = make_record(seed=9, provenance={"git_dirty": None, "git_commit": None})
    failed = make_record(seed=10, status="failed", provenance={"git_dirty": True})
    dirty, nameless = find_in(*records, unknown, failed)
    assert {dirty.kind, nameless.kind} == {"dirty_tree"}
    assert dirty.run_ids == tuple(record["run_id"] for record in records)
    assert ": 5 runs: " in dirty.text
    assert dirty.text.endswith(f"{records[2]['run_id']} and 2 more")
    assert nameless.run_ids == (unknown["run_id"],)


def test_different_code_within_an_experiment(find_in: FindIn, make_record: MakeRecord) -> None:
    old, new = "a" * 40, "b" * 40
    records = [
        make_record(seed=0, provenance={"git_commit": old, "versions": {"torch": "2.14.0"}}),
        make_record(seed=1, provenance={"git_commit": new}),
        make_record(seed=2, provenance={"git_commit": new}),
        make_record(seed=3, recipe="paper", provenance={"git_commit": "c" * 40}),
    ]
    (finding,) = find_in(*records)
    assert finding == Finding(
        "mixed_code",
        "cifar10, resnet20, recipe quick, test split: runs of different code:"
        f" commit {'b' * 8} (2 runs), {'a' * 8} (1 run);"
        " torch 2.15.0 (2 runs), 2.14.0 (1 run)",
        tuple(record["run_id"] for record in records[:3]),
    )


def plugin(part: str, name: str, **identity: str | int) -> dict[str, Any]:
    """The block of a record whose method, network or dataset is a plugin's."""
    return {"plugins": {part: {"name": name, "kind": "file"} | identity}}


OLD, NEW = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("part", "name", "first", "second", "tally"),
    [
        (
            "method", "mag", plugin("method", "my.py", sha256=OLD),
            plugin("method", "my.py", sha256=NEW),
            "SHA-256 bbbbbbbb (2 runs), SHA-256 aaaaaaaa (1 run)",
        ),
        (
            "arch", "resnet20", plugin("arch", "theirs", version="1.0.0"),
            plugin("arch", "theirs", version="1.0.0.post1"),
            "theirs 1.0.0.post1 (2 runs), theirs 1.0.0 (1 run)",
        ),
        (
            "method", "mag", plugin("method", "by hand", sha256=7),
            plugin("method", "by hand", sha256=8), "SHA-256 8 (2 runs), SHA-256 7 (1 run)",
        ),
        (
            "dataset", "cifar10", {}, plugin("dataset", "my.py", sha256=NEW),
            "SHA-256 bbbbbbbb (2 runs), no plugin (1 run)",
        ),
    ],
)  # fmt: skip
def test_different_code_of_a_plugin(
    find_in: FindIn,
    make_record: MakeRecord,
    part: str,
    name: str,
    first: dict[str, Any],
    second: dict[str, Any],
    tally: str,
) -> None:
    """A mean over them would be of several methods under one name."""
    records = [make_record(seed=0, **first), *(make_record(seed=s, **second) for s in (1, 2))]
    (finding,) = find_in(*records)
    assert finding == Finding(
        "mixed_plugins",
        "cifar10, resnet20, recipe quick, test split: runs of different code of"
        f" {part} {name}: {tally}",
        tuple(record["run_id"] for record in records),
    )


def test_a_plugin_that_was_renamed_or_of_other_methods_is_no_fault(
    find_in: FindIn, make_record: MakeRecord
) -> None:
    records = [
        make_record("mine", seed=0, **plugin("method", "my.py", sha256=OLD)),
        make_record("mine", seed=1, **plugin("method", "renamed.py", sha256=OLD)),
        make_record("other", **plugin("method", "other.py", sha256=NEW)),
        make_record("mag"),
    ]
    assert find_in(*records) == ()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"provenance": {"cpu_model": "Other CPU"}}, "Other CPU (2 CPUs)"),
        ({"provenance": {"cpu_count": 1}}, "Test CPU (1 CPU)"),
        ({"provenance": {"num_threads": 1}}, "Test CPU (2 CPUs, 1 thread)"),
        ({"provenance": {"gpu_name": "Some GPU"}, "device": "cuda:0"}, "Some GPU"),
    ],
    ids=str,
)
def test_different_hardware_within_an_experiment(
    find_in: FindIn, make_record: MakeRecord, changes: dict[str, Any], name: str
) -> None:
    first, second = make_record(seed=0), make_record(seed=1, **changes)
    (finding,) = find_in(first, second)
    assert (finding.kind, len(finding.run_ids)) == ("mixed_hardware", 2)
    assert f"{name} (1 run)" in finding.text
    assert "Test CPU (2 CPUs) (1 run)" in finding.text


def test_runs_alone_beside_runs_at_once(find_in: FindIn, make_record: MakeRecord) -> None:
    records = [make_record(seed=seed) for seed in range(4)]
    assert find_in(*records) == ()
    for record in records[2:]:
        record["cost"]["population"] = 8
    (finding,) = find_in(*records)
    assert (finding.kind, len(finding.run_ids)) == ("mixed_population", 4)
    assert "times and peak memory do not compare" in finding.text
    assert "runs trained alone (2 runs); 8 at once (2 runs)" in finding.text
    for record in records[:2]:
        record["cost"]["population"] = 8
    assert find_in(*records) == ()


def test_different_formats_of_the_compressed_file(find_in: FindIn, make_record: MakeRecord) -> None:
    records = [make_record(seed=seed) for seed in range(3)]
    for record in records[1:]:
        record["size"]["file_format"] = "format-2"
    (finding,) = find_in(*records)
    assert (finding.kind, len(finding.run_ids)) == ("mixed_files", 3)
    assert "bytes do not compare" in finding.text
    assert "format-2 (2 runs); an earlier one (1 run)" in finding.text


def test_one_format_of_the_compressed_file_is_no_fault(
    find_in: FindIn, make_record: MakeRecord
) -> None:
    records = [make_record(seed=seed) for seed in range(2)]
    for record in records:
        record["size"]["file_format"] = "format-2"
    assert not find_in(*records)


def test_a_gpu_that_was_not_used_makes_no_difference(
    find_in: FindIn, make_record: MakeRecord
) -> None:
    idle = make_record(seed=1, provenance={"gpu_name": "Some GPU"})
    assert find_in(make_record(seed=0), idle) == ()


def test_outcomes_are_no_faults(find_in: FindIn, make_record: MakeRecord) -> None:
    assert find_in(make_record(status="diverged"), make_record(seed=1, status="failed")) == ()


def test_records_written_by_the_store_are_found(tmp_path: Path, make_record: MakeRecord) -> None:
    write_record(tmp_path, make_record(provenance={"git_commit": None}))
    (finding,) = find_faults(read_results(tmp_path))
    assert finding.text.startswith("the commit is not known: 1 run: mag-c10-s0-")
