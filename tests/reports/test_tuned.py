"""Reports on tuned runs and on the trials that chose their rates: neither mixes with the others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rps_bench.records import write_record
from rps_bench.reports.analysis.results import Results, read_results
from rps_bench.reports.analysis.statistics import summarise
from rps_bench.reports.analysis.table import build_table
from rps_bench.reports.analysis.warnings import find_faults
from rps_bench.reports.claims import judge_claims
from rps_bench.reports.claims.differences import find_differences
from rps_bench.reports.figures import plan_figures
from rps_bench.reports.figures.rates import draw_rates, find_chosen, find_rates
from rps_bench.reports.tables.sections import group_experiments
from tests.reports.figures.conftest import crosses, curve, draw, make_panels, make_study, points

MakeRecord = Callable[..., dict[str, Any]]


@pytest.fixture
def tuned(make_record: MakeRecord) -> MakeRecord:
    """A record at a rate that was chosen."""

    def make(method: str, rate: float, **more: Any) -> dict[str, Any]:
        tuning = {"num_trials": 5, "start": 0.1, "edge": None} | more.pop("tuning", {})
        options = {"epochs": 3, "lr": rate}
        own = {"protocol": "tuned", "tuning": tuning, "recipe_options": options}
        return make_record(method, **own, **more)

    return make


@pytest.fixture
def trial(make_record: MakeRecord) -> MakeRecord:
    """A record of the validation split."""

    def make(method: str, rate: float, accuracy: float = 70.0, **more: Any) -> dict[str, Any]:
        options = {"epochs": 3, "lr": rate}
        record = make_record(method, evaluation_split="validation", recipe_options=options, **more)
        found = accuracy if record["status"] == "completed" else None
        record["metrics"] |= {
            "test_accuracy": None, "best_test_accuracy": None, "test_loss": None,
            "validation_accuracy": found,
        }  # fmt: skip
        return record

    return make


@pytest.fixture
def fixed(make_record: MakeRecord) -> MakeRecord:
    """A record at the recipe's rate."""

    def make(method: str, rate: float = 0.1, **more: Any) -> dict[str, Any]:
        return make_record(method, recipe_options={"epochs": 3, "lr": rate}, **more)

    return make


def summary(*records: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Options, label and number of runs of every point."""
    rows = summarise(build_table(records))[["experiment_options", "label", "n"]]
    return sorted(rows.itertuples(index=False, name=None))


def test_rates_differ_within_tuned_but_not_within_fixed(
    tuned: MakeRecord, fixed: MakeRecord
) -> None:
    own = [tuned("mag", 0.1), tuned("mag", 0.1, seed=1), tuned("snip", 0.03)]
    own += [tuned("snip", 0.3, compression=100.0)]
    assert summary(*own) == [
        ("protocol=tuned", "mag", 2),
        ("protocol=tuned", "snip", 1),
        ("protocol=tuned", "snip", 1),
    ]
    assert summary(fixed("mag", 0.1), fixed("snip", 0.03)) == [
        ("lr=0.03", "snip", 1),
        ("lr=0.1", "mag", 1),
    ]


def test_protocols_share_no_mean_even_at_one_rate(tuned: MakeRecord, fixed: MakeRecord) -> None:
    records = [tuned("mag", 0.1), fixed("mag", seed=1), fixed("mag", seed=2)]
    assert summary(*records) == [("", "mag", 2), ("protocol=tuned", "mag", 1)]


def test_a_record_that_names_no_protocol_is_fixed(
    make_record: MakeRecord, fixed: MakeRecord
) -> None:
    table = build_table([fixed("mag"), fixed("mag", seed=1, protocol="fixed")])
    assert table["protocol"].tolist() == ["fixed", "fixed"]
    assert summarise(table)["n"].tolist() == [2]


def test_seeds_with_rates_chosen_anew_share_no_mean(tuned: MakeRecord) -> None:
    records = [tuned("mag", 0.1), tuned("mag", 0.03, seed=1), tuned("mag", 0.03, seed=2)]
    assert summary(*records) == [
        ("protocol=tuned", "mag (lr=0.03)", 2),
        ("protocol=tuned", "mag (lr=0.1)", 1),
    ]


def test_titles_and_files_name_the_protocol(tuned: MakeRecord, fixed: MakeRecord) -> None:
    study = make_study(tuned("mag", 0.1), tuned("mag", 0.03, compression=100.0), fixed("mag"))
    titles = [section.title for section in group_experiments(study.points)]
    assert len(titles) == 2
    assert [title for title in titles if "(protocol=tuned)" in title] == titles[1:]
    assert "pareto-cifar10-resnet20-quick-protocoltuned" in {
        figure.name for figure in plan_figures(study)
    }
    (alone,) = make_panels(tuned("mag", 0.1))
    assert alone.stem == "cifar10-resnet20-quick-protocoltuned"


def test_claims_judge_protocols_apart_and_no_trials(
    tuned: MakeRecord, fixed: MakeRecord, trial: MakeRecord
) -> None:
    records = [
        make(method, 0.1, seed=seed, accuracy=80.0 + seed)
        for make in (tuned, fixed, trial)
        for method in ("stable_rps", "mag")
        for seed in (0, 1)
    ]
    claims = judge_claims(make_study(*records))
    rows = claims[(claims["claim"] == "rps_vs_mag") & claims["dataset"].notna()]
    assert rows["experiment_options"].tolist() == ["", "protocol=tuned"]
    assert rows["n"].tolist() == [2, 2]
    assert set(rows["evaluation_split"]) == {"test"}


def test_trials_leave_the_figures_of_the_test_split_as_they_are(
    fixed: MakeRecord, trial: MakeRecord
) -> None:
    records = [fixed("mag"), fixed("mag", compression=100.0)]
    alone = {figure.name for figure in plan_figures(make_study(*records))}
    records += [trial("mag", rate) for rate in (0.03, 0.1, 0.3)]
    beside = {figure.name for figure in plan_figures(make_study(*records))}
    assert beside - alone == {"rates-cifar10-resnet20-quick-validation"}
    assert alone <= beside


def choose(trial: dict[str, Any]) -> str:
    """A file with the choice of a trial."""
    rate = trial["config"]["recipe_options"]["lr"]
    tried = {"learning_rate": rate, "validation_accuracy": 75.0, "run_id": trial["run_id"]}
    choice = {
        "learning_rate": rate, "validation_accuracy": 75.0, "edge": None, "start": 0.1, "seed": 0,
        "trials": [tried, tried | {"learning_rate": 9.0, "run_id": "other"}], "cell": {},
    }  # fmt: skip
    return json.dumps({"version": 1, "choices": {"cell": choice}})


def test_the_figure_of_rates(trial: MakeRecord, tmp_path: Path) -> None:
    best = trial("mag", 0.1, 75.0)
    records = [
        *(trial("mag", 0.03, 60.0), best, trial("mag", 0.3, status="diverged")),
        *(trial("snip", 0.03, 65.0), trial("snip", 0.1, 66.0)),
        *(trial("mag", 0.03, 50.0, compression=100.0), trial("mag", 0.1, 55.0, compression=100.0)),
    ]
    (tmp_path / "choices.json").write_text(choose(best))
    chosen = find_chosen(tmp_path)
    assert chosen == {best["run_id"]}
    (panel,) = make_panels(*records)
    rates = find_rates(panel, chosen)
    columns = ["compression", "curve", "rate", "n", "num_diverged", "is_chosen"]
    assert rates[columns].to_numpy().tolist() == [
        [10.0, "mag", 0.03, 1, 0, False],
        [10.0, "mag", 0.1, 1, 0, True],
        [10.0, "mag", 0.3, 0, 1, False],
        [10.0, "snip", 0.03, 1, 0, False],
        [10.0, "snip", 0.1, 1, 0, False],
        [100.0, "mag", 0.03, 1, 0, False],
        [100.0, "mag", 0.1, 1, 0, False],
    ]  # fmt: skip
    first, second = draw(draw_rates, panel, rates).axes
    assert points(curve(first, "mag")) == [(0.03, 60.0), (0.1, 75.0)]
    assert points(curve(first, "mag chosen")) == [(0.1, 75.0)]
    assert [points(cross) for cross in crosses(first)] == [[(0.3, 10.0)]]
    assert points(curve(second, "mag chosen")) == []
    assert first.get_ylabel() == "Validation accuracy (%)"


def test_variants_of_a_method_have_lines_of_their_own(trial: MakeRecord) -> None:
    labels = ("stable_rps", "stable_rps (a=1)", "stable_rps (b=2)")
    records = [
        trial("stable_rps", rate, 60.0 + place, label=label, method_options={"place": place})
        for place, label in enumerate(labels)
        for rate in (0.03, 0.1)
    ]
    (panel,) = make_panels(*records)
    (axes,) = draw(draw_rates, panel, find_rates(panel, frozenset())).axes
    lines = [line for line in axes.lines if len(points(line)) == 2 and line.get_marker() == "o"]
    assert len(lines) == 3
    styles = [(line.get_linestyle(), line._unscaled_dash_pattern) for line in lines]  # type: ignore[attr-defined]
    assert len({str(style) for style in styles}) == 3


def test_one_rate_alone_is_no_search(trial: MakeRecord) -> None:
    (panel,) = make_panels(trial("mag", 0.1), trial("mag", 0.1, seed=1))
    assert find_rates(panel, frozenset()).empty


def results_of(folder: Path, *records: dict[str, Any]) -> Results:
    for record in records:
        write_record(folder, record)
    return read_results(folder)


def test_a_reader_is_told_of_unequal_searches(tuned: MakeRecord, tmp_path: Path) -> None:
    results = results_of(
        tmp_path,
        tuned("mag", 0.1),
        tuned("snip", 0.3, tuning={"num_trials": 9}),
        tuned("rand", 0.9, tuning={"edge": "highest"}),
    )
    found = [f.text for f in find_faults(results) if f.kind == "mixed_tuning"]
    assert any("5 trials (2 runs)" in text and "9 trials (1 run)" in text for text in found)
    assert any("the highest that was tried: 1 run: rand" in text for text in found)


def test_equal_searches_are_no_fault(tuned: MakeRecord, tmp_path: Path) -> None:
    results = results_of(tmp_path, tuned("mag", 0.1), tuned("snip", 0.3))
    assert not [f for f in find_faults(results) if f.kind == "mixed_tuning"]


def over(decay: float, **more: Any) -> dict[str, Any]:
    """What else a record has whose weight decay was chosen with the rate."""
    tuning = {"num_trials": 6, "start": 0.1, "edge": None, "settings": {"weight_decay": decay}}
    options = {"epochs": more.pop("epochs", 3), "lr": 0.1, "weight_decay": decay, "drops": []}
    return {"protocol": "tuned", "tuning": tuning, "recipe_options": options} | more


def test_a_weight_decay_that_was_chosen_tells_no_experiments_apart(
    make_record: MakeRecord,
) -> None:
    def record(method: str, decay: float, **more: Any) -> dict[str, Any]:
        return make_record(method, **over(decay, **more))

    own = [record("stable_rps", 1e-4), record("mag", 5e-4), record("mag", 1e-3, compression=100.0)]
    assert [row[:2] for row in summary(*own)] == [
        ("protocol=tuned", "mag"), ("protocol=tuned", "mag"), ("protocol=tuned", "stable_rps"),
    ]  # fmt: skip
    assert summarise(build_table(own))["weight_decay"].isna().all()
    anew = [record("mag", 5e-4), record("mag", 1e-3, seed=1)]
    assert [row[1] for row in summary(*anew)] == [
        "mag (weight_decay=0.0005)", "mag (weight_decay=0.001)",
    ]  # fmt: skip
    longer = [record(method, decay, epochs=9)
              for method, decay in (("stable_rps", 1e-3), ("mag", 1e-4))]  # fmt: skip
    rows = find_differences(make_study(*own, *longer))
    assert rows["series"].unique().tolist() == ["recipe quick"]
    assert rows["planned_epochs"].tolist() == [3, 9]
