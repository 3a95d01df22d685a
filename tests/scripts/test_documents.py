"""Tables of the documents say what the files hold that they are written from."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.records import write_record
from rps_bench.reports.__main__ import main as write_reports
from scripts.documents import __main__ as door
from scripts.documents import sources
from scripts.documents.blocks import fill_blocks, find_blocks
from scripts.documents.sources import read_benchmarks
from scripts.documents.tables import TABLES
from tests.reports.conftest import make_record

ROOT = door.ROOT
BLOCKS = {
    name: (path, text)
    for path in door.find_documents()
    for name, text in find_blocks(path.read_text(encoding="utf-8")).items()
}
DOCUMENT = "before\n<!-- begin: a-b -->\nold\n<!-- end: a-b -->\nafter\n"


def test_every_table_has_its_place() -> None:
    assert sorted(BLOCKS) == sorted(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_current(name: str) -> None:
    path, text = BLOCKS[name]
    if text != TABLES[name]() + "\n":
        place = path.relative_to(ROOT)
        pytest.fail(f"{place}: table {name} is stale; renew it: make docs-tables", pytrace=False)


@pytest.mark.parametrize(
    "folder",
    [
        "results",
        *(
            f"results/{name}"
            for name in ("longer", "rounding", "kernels", "half_size", "budgets", "controls")
        ),
    ],
)
def test_summaries_and_claims_are_those_of_the_committed_records(
    folder: str, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / folder / "records", tmp_path / "records")
    write_reports([str(tmp_path), "--only", "table", "claims"])
    names = [name for name in ("summary.csv", "claims.csv") if (ROOT / folder / name).exists()]
    stale = [
        name
        for name in names
        if (tmp_path / name).read_bytes() != (ROOT / folder / name).read_bytes()
    ]
    if stale:
        command = f"make report RESULTS={folder}"
        pytest.fail(f"{folder}/{stale[0]} is stale; renew it: {command}", pytrace=False)


def test_every_machine_that_was_measured_has_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of ``make check-gpu`` lies beside them; not every machine was measured by sweeps."""
    (tmp_path / "benchmarks").mkdir()
    own = read_benchmarks()[0]
    side = {"words": ["engine=plain"], "peak_memory_bytes": 7_000_000}
    side |= {key: {"median": 2.0, "low": 1.0, "high": 3.0} for key in ("seconds", "ratio")}
    sweep = {"words": ["arch=resnet20"], "num_runs": 8, "sides": {"before": side}}
    for name, swept in (("b", None), ("a", sweep), ("check-c", None)):
        path = tmp_path / "benchmarks" / f"{name}.json"
        path.write_text(json.dumps(own | {"hardware": name, "sweep": swept}))
    monkeypatch.setattr(sources, "RESULTS", tmp_path)
    training, recovery = TABLES["training-speed"](), TABLES["recovery-speed"]()
    assert re.findall(r"^(\S+), torch", training, re.M) == ["a", "b"]
    assert training.count("| conventional fp32 |") == 2 * len(own["training"])
    assert training.count("8 runs of `arch=resnet20`:") == 1
    assert "| before: engine=plain | 2.0 (1.0 to 3.0) | 2.00 (1.00 to 3.00) | 7 |" in training
    assert re.findall(r"^(\S+):$", recovery, re.M) == ["a", "b"]


def test_a_block_is_replaced_and_nothing_else() -> None:
    assert fill_blocks(DOCUMENT, {"a-b": "| new |"}) == DOCUMENT.replace("old", "| new |")
    assert find_blocks(DOCUMENT) == {"a-b": "old\n"}
    assert find_blocks("no table") == {}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (DOCUMENT, "no table is called a-b; there are other"),
        (DOCUMENT.replace("end: a-b", "end: b"), "its two markers"),
        (DOCUMENT + DOCUMENT, "a name of its own"),
        ("<!-- begin: a -->\n", "its two markers"),
    ],
)
def test_markers_that_do_not_fit_are_named(document: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fill_blocks(document, {"other": ""})


def test_the_command_renews_stale_documents_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("conf", "results"):
        (tmp_path / name).mkdir()
    stale, current = tmp_path / "README.md", tmp_path / "conf" / "README.md"
    stale.write_text(DOCUMENT)
    current.write_text(DOCUMENT.replace("old", "new"))
    monkeypatch.setattr(door, "ROOT", tmp_path)
    monkeypatch.setattr(door, "TABLES", {"a-b": lambda: "new"})
    assert door.main() == 0
    assert capsys.readouterr().out == "README.md\n"
    assert stale.read_text() == current.read_text()


def make_folder(folder: Path, *settings: dict[str, Any]) -> None:
    """Tables of made-up runs, at each setting the same: stable_rps ahead of mag by ten points."""
    levels = {"stable_rps": [80.0, 81.0, 80.5], "mag": [70.0, 71.0, 70.6], "dense": [85.0] * 3}
    for place, setting in enumerate(settings):
        for method, accuracies in levels.items():
            compression = 1.0 if method == "dense" else 10.0
            for seed, accuracy in enumerate(accuracies):
                write_record(
                    folder, make_record(method, compression, seed, accuracy + place, **setting)
                )
    write_reports([str(folder), "--only", "table", "claims"])


BUDGETS: list[dict[str, Any]] = [
    {"recipe_options": {"epochs": 3, "weight_decay": 1e-4}},
    {"recipe_options": {"epochs": 12, "weight_decay": 5e-4}, "protocol": "tuned"},
]
NAMES = [
    f"CIFAR-10, ResNet-20, recipe quick, {rest}, fp32"
    for rest in (
        "3 epochs, weight decay 0.0001, protocol fixed",
        "12 epochs, weight decay 0.0005, protocol tuned",
    )
]


@pytest.mark.parametrize("name", ["verdicts", "claims", "accuracies"])
def test_experiments_of_one_folder_are_written_apart_and_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path, *BUDGETS)
    monkeypatch.setattr(sources, "RESULTS", tmp_path)
    text = TABLES[name]()
    assert [text.count(title) for title in NAMES] == [1, 1]
    own = {
        "verdicts": "with 3 seeds, and all 2 tests corrected together, stable_rps is above"
        " magnitude pruning at 10x",
        "claims": "+10.0 (+9.8 to +10.1) ✓",
        "accuracies": "| stable_rps |  | 8",
    }
    assert text.count(own[name]) == 2
    if name == "accuracies":
        assert "80.50" in text
        assert "81.50" in text


def test_an_experiment_without_both_sides_of_a_claim_has_no_table_of_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path, make_record("stable_rps", 10, 0, 80.0, **BUDGETS[1]))
    make_folder(tmp_path, BUDGETS[0])
    monkeypatch.setattr(sources, "RESULTS", tmp_path)
    assert NAMES[1] in TABLES["accuracies"]()
    assert "protocol" not in TABLES["claims"]()  # of one experiment, which needs no name


def test_longer_training_is_set_beside_the_same_at_other_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "RESULTS", tmp_path)
    longer: dict[str, Any] = {"recipe_options": {"epochs": 12, "weight_decay": 1e-4}}
    make_folder(tmp_path / "longer", longer)
    make_folder(tmp_path, *BUDGETS)
    text = TABLES["longer-training"]()
    assert "at 10x, 3 → 12 epochs" in text
    assert "+10.0 → +10.0" in text
    make_folder(tmp_path, {"recipe_options": {"epochs": 6, "weight_decay": 1e-4}})
    with pytest.raises(ValueError, match=r"^2 experiments are CIFAR-10, ResNet-20, recipe quick"):
        TABLES["longer-training"]()


def test_controls_stand_beside_what_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label, ratio, accuracy in (
        ("snip", 10.0, 60.0),
        ("snip (shuffle=layer)", 10.0, 61.5),
        ("snip (reinit=True, shuffle=layer)", 10.0, 59.75),
        ("stable_rps", 10.0, 57.0),
        ("snip (reinit=True)", 100.0, 40.0),
        ("snip", 100.0, 42.0),
    ):
        method = label.partition(" ")[0]
        record = make_record(method, ratio, 0, accuracy, label=label)
        write_record(tmp_path / "controls", record)
    write_reports([str(tmp_path / "controls"), "--only", "table"])
    monkeypatch.setattr(sources, "RESULTS", tmp_path)
    assert TABLES["controls"]().replace(sources.MINUS, "-").splitlines()[2:] == [
        "| stable_rps | 10x | 57.00 |  |  |  |",
        "| snip | 10x | 60.00 | +1.50 |  | -0.25 |",
        "| snip | 100x | 42.00 |  | -2.00 |  |",
    ]


@pytest.mark.parametrize(
    ("claim", "verdict", "difference", "words"),
    [
        ("rps_vs_mag", "supported", 5.0, "above magnitude pruning at 10x"),
        ("rps_vs_mag", "supported", -0.2, "at or above magnitude pruning at 10x"),
        ("rps_vs_mag", "contradicted", -3.0, "below magnitude pruning at 10x"),
        ("rps_equals_dense_at_1x", "supported", -0.1, "level with the dense model at 10x"),
        ("rps_equals_dense_at_1x", "contradicted", 2.0, "above the dense model at 10x"),
        (
            "roast_differs_from_dense_at_1x",
            "contradicted",
            -0.1,
            "not below the dense model at 10x",
        ),
    ],
)
def test_a_verdict_says_no_more_than_its_test(
    claim: str,
    verdict: str,
    difference: float,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_folder(tmp_path, BUDGETS[0])
    claims = pd.read_csv(tmp_path / "claims.csv")
    (row,) = claims[(claims["claim"] == "rps_vs_mag") & (claims["n"] > 0)].to_dict("records")
    rival = "mag" if claim == "rps_vs_mag" else "dense"
    row |= {"claim": claim, "rival": rival, "verdict": verdict, "difference": difference}
    row |= {"low": difference - 0.1}
    pd.DataFrame([row]).to_csv(tmp_path / "claims.csv", index=False)
    monkeypatch.setattr(sources, "RESULTS", tmp_path)
    assert f"stable_rps is {words}; the other 0" in TABLES["verdicts"]()
