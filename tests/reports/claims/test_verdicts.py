import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rps_bench.core.errors import UserError
from rps_bench.reports.claims import CLAIMS, COLUMNS, judge_claims
from rps_bench.reports.claims.declared import Comparison, true_interval
from rps_bench.reports.claims.verdicts import decide, weigh
from tests.reports.claims.conftest import Judge, MakeArm, MakeStudy, Records

COMPARISONS = {claim.name: claim for claim in CLAIMS if isinstance(claim, Comparison)}
CASES = {
    "at_or_above": [(0.0, "supported"), (-1.0, "contradicted"), (-0.5, "undecided")],
    "above": [(1.0, "supported"), (-1.0, "contradicted"), (0.0, "undecided")],
    "equal": [
        (0.0, "supported"), (1.0, "contradicted"), (-1.0, "contradicted"), (0.5, "undecided")
    ],
    "below": [(-1.0, "supported"), (0.0, "contradicted"), (-0.5, "undecided")],
}  # fmt: skip
# std 0.1: error 0.0577, and half a point is 8.66 errors: p = 0.0065 with 2 degrees of freedom.
TIGHT = (-0.1, 0.0, 0.1)


def test_the_claims_are_those_of_the_paper() -> None:
    assert [claim.name for claim in CLAIMS] == [
        "rps_vs_mag", "rps_vs_snip", "rps_vs_synflow", "rps_vs_grasp", "rps_vs_rand",
        "rps_vs_small", "rps_vs_ltr_beyond_10x", "rps_equals_dense_at_1x",
        "roast_differs_from_dense_at_1x", "roast_diverges_for_some_init_std",
    ]  # fmt: skip
    assert {claim.method for claim in CLAIMS} == {"stable_rps", "roast"}


@pytest.mark.parametrize(
    ("name", "mean", "verdict"),
    [(claim.name, *case) for claim in COMPARISONS.values() for case in CASES[claim.direction]],
)
def test_every_verdict_of_every_claim(
    make_arm: MakeArm, judge: Judge, name: str, mean: float, verdict: str
) -> None:
    claim = COMPARISONS[name]
    place = 1.0 if claim.up_to == 1 else 100.0
    rival = [80.0, 81.0, 79.0]
    accuracies = [base + mean + noise for base, noise in zip(rival, TIGHT, strict=True)]
    rows = judge(
        name, make_arm(claim.method, accuracies, place), make_arm(claim.rival, rival, place)
    )
    (row,) = rows.to_dict("records")
    assert row["verdict"] == verdict
    assert row["difference"] == pytest.approx(mean)
    assert (row["n"], row["compression"]) == (3, place)
    assert (row["method"], row["rival"]) == (claim.method, claim.rival)
    assert row["statement"] == claim.statement


def test_numbers_of_a_row_by_hand(make_arm: MakeArm, judge: Judge) -> None:
    arms = make_arm("stable_rps", [80.0, 81.0, 83.0]), make_arm("mag", [79.0, 79.0, 80.0])
    (row,) = judge("rps_vs_mag", *arms).to_dict("records")
    # Differences 1 2 3: mean 2, error 1 / sqrt 3, so 2.5 sqrt 3 errors above -0.5.
    p = (1 - 2.5 * math.sqrt(3) / math.sqrt(2.5**2 * 3 + 2)) / 2
    assert row["p_value"] == pytest.approx(p)
    assert row["p_adjusted"] == pytest.approx(2 * p)  # the tests for and against it
    assert (row["low"], row["high"]) == pytest.approx((-0.484138, 4.484138), abs=1e-5)
    assert (row["verdict"], row["uncorrected"]) == ("supported", "supported")
    assert row["reason"] == "the difference is above -0.5"
    (row,) = judge("rps_vs_mag", *arms, margin=0.0).to_dict("records")
    assert row["verdict"] == "undecided"
    assert row["reason"] == "the interval reaches across 0"


def test_p_is_of_the_test_that_the_data_favour(make_arm: MakeArm, judge: Judge) -> None:
    arms = make_arm("stable_rps", [79.0, 79.0, 80.0]), make_arm("mag", [80.0, 81.0, 83.0])
    (row,) = judge("rps_vs_mag", *arms).to_dict("records")
    # Differences -1 -2 -3: 1.5 sqrt 3 errors below -0.5.
    p = (1 - 1.5 * math.sqrt(3) / math.sqrt(1.5**2 * 3 + 2)) / 2
    assert row["p_value"] == pytest.approx(p)
    assert row["p_adjusted"] == pytest.approx(2 * p)


def test_undecided_company_asks_for_more(make_arm: MakeArm, judge: Judge) -> None:
    arms = [make_arm("stable_rps", [80.0, 81.0, 83.0]), make_arm("mag", [79.0, 79.0, 80.0])]
    other = [arm for c in (10.0, 100.0) for arm in (make_arm("snip", [80.0, 82.0, 84.0], c),)]
    other.append(make_arm("stable_rps", [80.0, 85.0, 81.0], 100.0))
    (row,) = judge("rps_vs_mag", *arms, *other).to_dict("records")[:1]
    assert row["p_adjusted"] == pytest.approx(6 * row["p_value"])
    assert (row["verdict"], row["uncorrected"]) == ("undecided", "supported")
    assert row["reason"] == (
        "the difference is above -0.5 by its own interval, not after correction for 6 tests"
    )


def test_decided_company_asks_for_less(make_arm: MakeArm, judge: Judge) -> None:
    rps, mag = make_arm("stable_rps", [80.0, 81.0, 83.0]), make_arm("mag", [79.0, 79.0, 80.0])
    others = [make_arm(rival, [59.0, 60.0, 62.1]) for rival in ("snip", "rand")]
    (row,) = judge("rps_vs_mag", rps, mag, *others).to_dict("records")
    assert row["p_adjusted"] == pytest.approx(6 / 3 * row["p_value"])  # the third clearest of 6
    assert row["verdict"] == "supported"


def test_pairs_cancel_what_seeds_share(make_arm: MakeArm, judge: Judge) -> None:
    rps = make_arm("stable_rps", [70.0, 80.1, 89.9])
    (row,) = judge("rps_vs_mag", rps, make_arm("mag", [70.0, 80.0, 90.0])).to_dict("records")
    assert row["verdict"] == "supported"
    shuffled = make_arm("mag", [80.0, 90.0, 70.0])
    (row,) = judge("rps_vs_mag", rps, shuffled).to_dict("records")
    assert row["verdict"] == "undecided"


def test_one_seed_decides_nothing(make_arm: MakeArm, judge: Judge) -> None:
    (row,) = judge(
        "rps_vs_mag", make_arm("stable_rps", [90.0]), make_arm("mag", [10.0])
    ).to_dict("records")  # fmt: skip
    assert (row["verdict"], row["n"], row["difference"]) == ("undecided", 1, 80.0)
    assert row["reason"] == "1 seed: no spread to judge by"
    assert pd.isna([row["low"], row["high"], row["p_value"], row["p_adjusted"]]).all()


def test_only_seeds_that_both_have_count(make_arm: MakeArm, judge: Judge) -> None:
    rps = make_arm("stable_rps", [80.0, 80.0, 80.1, 99.0])
    (row,) = judge("rps_vs_mag", rps, make_arm("mag", [79.0, 79.0, 79.0])).to_dict("records")
    assert row["n"] == 3
    assert row["difference"] == pytest.approx(3.1 / 3)
    assert "1 run without a partner of the same seed left out" in row["reason"]
    (row,) = judge("rps_vs_mag", rps[:1], make_arm("mag", [1.0, 2.0])[1:]).to_dict("records")
    assert (row["n"], row["reason"]) == (0, "no seed that both have run")


def test_missing_sides_are_named(make_arm: MakeArm, judge: Judge) -> None:
    rps, snip = make_arm("stable_rps", [80.0, 81.0], 100.0), make_arm("snip", [70.0], 1000.0)
    rows = judge("rps_vs_ltr_beyond_10x", rps, snip)
    assert rows["verdict"].tolist() == ["undecided", "undecided"]
    assert rows["reason"].tolist() == ["no runs of ltr", "no runs of stable_rps and ltr"]
    assert rows["n"].tolist() == [0, 0]
    assert rows["difference"].isna().all()


def test_claims_speak_of_their_compressions_only(make_arm: MakeArm, judge: Judge) -> None:
    arms = [make_arm("stable_rps", [80.0], c) for c in (1.0, 3.16, 10.0, 31.6)]
    for name, expected in {
        "rps_vs_mag": [1.0, 3.16, 10.0, 31.6],
        "rps_vs_small": [3.16, 10.0, 31.6],
        "rps_vs_ltr_beyond_10x": [31.6],
        "rps_equals_dense_at_1x": [1.0],
        "roast_differs_from_dense_at_1x": [1.0],
    }.items():
        assert judge(name, *arms)["compression"].tolist() == expected, name


def test_a_claim_without_any_place_appears_once(make_arm: MakeArm, judge: Judge) -> None:
    (row,) = judge("rps_equals_dense_at_1x", make_arm("mag", [80.0])).to_dict("records")
    assert (row["verdict"], row["n"]) == ("undecided", 0)
    assert row["reason"] == "no runs at the compressions that it speaks of"
    assert pd.isna([row["dataset"], row["arch"], row["compression"]]).all()


def test_no_records_leave_every_claim_open(make_study: MakeStudy, make_arm: MakeArm) -> None:
    claims = judge_claims(make_study())
    assert claims["claim"].tolist() == [claim.name for claim in CLAIMS]
    assert set(claims["verdict"]) == {"undecided"}
    full = judge_claims(make_study(make_arm("mag", [80.0])))
    assert tuple(claims.columns) == tuple(full.columns) == COLUMNS
    assert claims.dtypes.tolist() == full.dtypes.tolist()


def test_diverged_runs_count_at_chance(make_arm: MakeArm, judge: Judge) -> None:
    rps, lost = make_arm("stable_rps", [80.0, 81.0, 80.5]), make_arm("mag", [None, None, 20.0])
    (row,) = judge("rps_vs_mag", rps, lost).to_dict("records")
    assert row["difference"] == pytest.approx((70 + 71 + 60.5) / 3)
    assert "2 diverged runs of mag counted at chance, 10%" in row["reason"]
    fine = {"dataset": "cifar100"}
    arms = make_arm("stable_rps", [None, 60.0], **fine), make_arm("mag", [50.0, 50.0], **fine)
    (row,) = judge("rps_vs_mag", *arms).to_dict("records")
    assert row["difference"] == pytest.approx((-49 + 10) / 2)
    assert "1 diverged run of stable_rps counted at chance, 1%" in row["reason"]


def test_an_unknown_dataset_has_no_chance_level(make_arm: MakeArm, judge: Judge) -> None:
    other = {"dataset": "other"}
    arms = make_arm("stable_rps", [60.0, 61.0], **other), make_arm("mag", [None, 50.0], **other)
    (row,) = judge("rps_vs_mag", *arms).to_dict("records")
    assert row["difference"] == pytest.approx((60 + 11) / 2)
    assert "1 diverged run of mag counted at 0% (chance is not known)" in row["reason"]


def test_two_methods_at_chance_decide_nothing(make_arm: MakeArm, judge: Judge) -> None:
    rps, other = make_arm("stable_rps", [10.0, 10.2, 10.1]), make_arm("mag", [None, 10.1, 10.0])
    (row,) = judge("rps_vs_mag", rps, other).to_dict("records")
    assert (row["verdict"], row["uncorrected"]) == ("undecided", "undecided")
    assert row["reason"].startswith("neither is better than chance: nothing to compare")
    assert (row["p_value"], row["p_adjusted"]) == (1, 1)


def test_failed_runs_do_not_count(make_arm: MakeArm, judge: Judge) -> None:
    rps, mag = make_arm("stable_rps", [80.0, 80.1, 80.2]), make_arm("mag", [79.0, 79.0, 79.0])
    mag[2] |= {"status": "failed"}
    (row,) = judge("rps_vs_mag", rps, mag).to_dict("records")
    assert row["n"] == 2
    assert "1 failed run of mag left out" in row["reason"]
    (row,) = judge("rps_vs_mag", rps, mag[2:]).to_dict("records")
    assert row["reason"] == "no runs of mag; 1 failed run of mag left out"


def test_remarks_on_partial_data_and_true_compression(make_arm: MakeArm, judge: Judge) -> None:
    few = {"dataset_options": {"is_partial": True, "num_train": 2000, "num_test": 500}}
    rps, small = make_arm("stable_rps", [60.0, 61.0], **few), make_arm("small", [50.0, 50.0], **few)
    for record in small:
        record["size"]["true_compression"] = 15.5
    (row,) = judge("rps_vs_small", rps, small).to_dict("records")
    assert "partial dataset (2,000 training images)" in row["reason"]
    assert "true compression 9.5x against 15.5x" in row["reason"]
    (row,) = judge("rps_vs_mag", rps, make_arm("mag", [50.0, 50.0], **few)).to_dict("records")
    assert "true compression" not in row["reason"]


def test_equal_differences_have_the_spread_of_a_test_image(make_arm: MakeArm, judge: Judge) -> None:
    arms = make_arm("stable_rps", [80.0, 90.0]), make_arm("mag", [79.0, 89.0])
    (row,) = judge("rps_vs_mag", *arms).to_dict("records")
    reach = 12.7062 * (100 / 10_000) / math.sqrt(6) / math.sqrt(2)
    assert row["high"] - row["difference"] == pytest.approx(reach, rel=1e-4)
    few = {"dataset_options": {"num_test": 100}}
    arms = make_arm("stable_rps", [80.0, 90.0], **few), make_arm("mag", [79.0, 89.0], **few)
    (row,) = judge("rps_vs_mag", *arms).to_dict("records")
    assert row["high"] - row["difference"] == pytest.approx(100 * reach, rel=1e-4)
    assert row["verdict"] == "undecided"


@pytest.mark.parametrize(
    "changes",
    [
        {"method_options": {"rounds": 2}, "label": "mag (rounds=2)"},
        {"precision": "bf16"},
        {"kernels": "native-avx512-1"},
        {"recipe_options": {"epochs": 30}},
        {"arch": "vgg11"},
        {"dataset": "cifar100"},
        {"evaluation_split": "validation"},
        {"compression": 11.0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_only_equals_are_compared(
    make_arm: MakeArm, judge: Judge, changes: dict[str, object]
) -> None:
    arms = make_arm("stable_rps", [80.0, 81.0]), make_arm("mag", [79.0, 80.5], **changes)
    if changes.get("evaluation_split"):
        for record in arms[1]:
            record["metrics"]["validation_accuracy"] = 79.0
    rows = judge("rps_vs_mag", *arms)
    assert rows["n"].tolist() == [0] * len(rows)
    assert "no runs of mag" in rows["reason"].tolist()


@pytest.mark.parametrize(
    ("column", "values"),
    [("precision", ["bf16", "fp32"]), ("kernels", ["native-avx512-1", "plain"])],
)
def test_arithmetics_of_one_experiment_are_judged_apart(
    make_arm: MakeArm, judge: Judge, column: str, values: list[str]
) -> None:
    arms = [
        make_arm(method, [base, base + 1], **{column: value})
        for method, base in (("stable_rps", 80.0), ("mag", 79.0))
        for value in values
    ]
    rows = judge("rps_vs_mag", *arms)
    assert rows[column].tolist() == values
    assert rows["n"].tolist() == [2, 2]


OTHERS: dict[str, dict[str, Any]] = {
    "epochs": {"recipe_options": {"epochs": 12}},
    "weight decay": {"recipe_options": {"epochs": 3, "weight_decay": 5e-4}},
    "protocol": {"protocol": "tuned"},
    "image size": {"dataset_options": {"image_size": 16}},
    "recipe": {"recipe": "paper"},
    "dataset": {"dataset": "cifar100"},
    "arch": {"arch": "vgg11"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_verdict_is_the_same_whatever_else_the_folder_holds(
    make_arm: MakeArm, judge: Judge, other: dict[str, Any]
) -> None:
    """Six tests here leave the first one open, and so they do beside others, clear or unclear."""
    own = [make_arm("stable_rps", [80.0, 81.0, 83.0]), make_arm("mag", [79.0, 79.0, 80.0])]
    own += [make_arm(rival, [80.0, 82.0, 84.0]) for rival in ("snip", "rand")]
    clear = [make_arm("stable_rps", [80.0, 80.1, 80.2], **other)]
    clear += [make_arm(rival, [10.0, 20.0, 30.0], **other) for rival in ("snip", "rand", "grasp")]
    told = ["verdict", "p_value", "p_adjusted", "reason"]
    (alone,) = judge("rps_vs_mag", *own)[told].to_dict("records")
    assert alone["verdict"] == "undecided"
    assert alone["p_adjusted"] == pytest.approx(6 * alone["p_value"])
    assert "correction for 6 tests" in alone["reason"]
    rows = judge("rps_vs_mag", *own, *clear)
    (beside,) = rows.loc[rows["n"] > 0, told].to_dict("records")
    assert beside == alone


def test_both_arithmetics_of_an_experiment_are_corrected_together(
    make_arm: MakeArm, judge: Judge
) -> None:
    arms = [
        make_arm(method, levels, precision=precision)
        for method, levels in (("stable_rps", [80.0, 81.0, 83.0]), ("mag", [79.0, 79.0, 80.0]))
        for precision in ("fp32", "bf16")
    ]
    for row in judge("rps_vs_mag", *arms).to_dict("records"):
        assert row["p_adjusted"] == pytest.approx(4 / 2 * row["p_value"])


def test_rows_tell_protocol_image_size_and_budget(make_arm: MakeArm, judge: Judge) -> None:
    def arms(size: int | None, epochs: int, decay: float, protocol: str) -> list[Records]:
        changes = {
            "dataset_options": {"image_size": size, "imbalance": None},
            "recipe_options": {"epochs": epochs, "weight_decay": decay},
            "protocol": protocol,
        }
        return [make_arm(name, [80.0, 81.0], **changes) for name in ("stable_rps", "mag")]

    settings: list[tuple[int | None, int, float, str]]
    settings = [(16, 3, 1e-4, "fixed"), (16, 3, 1e-4, "tuned"), (16, 6, 5e-4, "fixed")]
    settings.append((None, 3, 1e-4, "fixed"))
    rows = judge("rps_vs_mag", *(arm for setting in settings for arm in arms(*setting)))
    columns = ["image_size", "planned_epochs", "weight_decay", "protocol"]
    told = rows[columns].astype(object).where(rows[columns].notna(), None)
    assert sorted(map(str, told.itertuples(index=False, name=None))) == sorted(map(str, settings))
    assert rows["n"].tolist() == [2, 2, 2, 2]


def test_a_margin_is_a_number_of_points(make_study: MakeStudy) -> None:
    for margin in (-1.0, math.nan, math.inf):
        with pytest.raises(UserError, match="margin is"):
            judge_claims(make_study(), margin)


def test_verdict_and_interval_never_disagree() -> None:
    rng = np.random.default_rng(5)
    kinds = [true_interval(claim.direction, 0.5) for claim in COMPARISONS.values()]
    for size in (1, 2, 5, 300):
        low, high = np.array([kinds[i] for i in rng.integers(0, len(kinds), size)]).T
        rows = pd.DataFrame(
            {
                "n": rng.integers(1, 7, size).astype(float),
                "difference": rng.normal(0, 2, size),
                "deviation": 10 ** rng.uniform(-3, 0, size),
                "resolution": 0.01,
                "best": 80.0,
                "chance": 10.0,
                "bound_low": low,
                "bound_high": high,
            }
        )
        judged = decide(weigh(rows, 0.5))
        decided = judged[judged["verdict"] != "undecided"]
        assert (decided["verdict"] == decided["uncorrected"]).all()
        assert set(judged["verdict"]) == {"supported", "contradicted", "undecided"} or size < 300
        assert (judged["uncorrected"] != judged["verdict"]).any() or size < 300
