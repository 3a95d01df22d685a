from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.claims import judge_claims, save_claims, summarise_claims
from rps_bench.reports.claims.markdown import MINUS, write_claims
from rps_bench.reports.styles import TIMES
from tests.reports.claims.conftest import MakeArm, MakeStudy, Records

RECORDS = Path(__file__).parents[1] / "records"


@pytest.fixture
def arms(make_arm: MakeArm) -> list[Records]:
    return [
        make_arm("stable_rps", [80.0, 81.0, 83.0], 10.0),
        make_arm("mag", [79.0, 79.0, 80.0], 10.0),
        make_arm("stable_rps", [60.0, 61.0], 100.0),
        make_arm("mag", [10.0, 12.0], 100.0),
        make_arm("stable_rps", [20.0, 21.0], 1000.0),
        make_arm("mag", [20.0, 22.0], 1000.0),
        make_arm("snip", [75.0], 10.0, dataset="cifar100"),
    ]


def test_summary_counts_compressions(make_study: MakeStudy, arms: list[Records]) -> None:
    # At 100x 99 errors with 1 degree of freedom: 6 p / 1 = 0.019; at 10x 6 p / 2 = 0.074.
    summary = summarise_claims(judge_claims(make_study(*arms)))
    mag = summary[summary["claim"] == "rps_vs_mag"].sort_values("dataset")
    counts = ["supported", "contradicted", "undecided", "leaning_for", "without_data", "num_seeds"]
    assert mag["dataset"].tolist() == ["cifar10", "cifar100"]
    assert mag[counts].to_numpy().tolist() == [[1, 0, 2, 1, 0, 3], [0, 0, 1, 0, 1, 0]]
    (open_claim,) = summary[summary["claim"] == "rps_equals_dense_at_1x"].to_dict("records")
    assert (open_claim["undecided"], open_claim["without_data"]) == (1, 1)


def test_the_page_by_eye(make_study: MakeStudy, make_arm: MakeArm) -> None:
    study = make_study(
        make_arm("stable_rps", [80.0, 81.0, 83.0]), make_arm("mag", [79.0, 79.0, 80.0])
    )
    page = write_claims(judge_claims(study), 0.5)
    verdicts, comparisons = page.split("## Every comparison")
    assert "All 2 tests of the experiment are corrected together" in page
    assert "at most 5% are expected to be wrong" in page
    assert "### CIFAR-10, ResNet-20, recipe quick, 3 epochs, protocol fixed, fp32" in verdicts
    sentence = "stable_rps is at or above mag at every compression."
    assert f"| {sentence} | 10{TIMES} |  |  |  |" in verdicts
    assert (
        f"| stable_rps is at or above snip at every compression. |  |  |  | 10{TIMES}" in verdicts
    )
    assert "No record speaks of `rps_vs_ltr_beyond_10x`, `rps_equals_dense_at_1x`" in verdicts
    assert (
        f"| `rps_vs_mag` | 10{TIMES} | supported | +2.00 | {MINUS}0.48 to +4.48 | 3 | 0.049 |"
        " the difference is above -0.5 |"
    ) in comparisons
    assert "rps_vs_snip" not in comparisons
    assert "experiments together" not in page


def test_several_experiments_are_also_counted_together(
    make_study: MakeStudy, arms: list[Records]
) -> None:
    page = write_claims(judge_claims(make_study(*arms)), 0.5)
    assert "## 2 experiments together: recipe quick, 3 epochs, protocol fixed\n" in page
    assert "| stable_rps is at or above mag at every compression. | 1 |  | 3 | 1 |  | 1 |" in page
    assert f"compression. | 100{TIMES} |  | 10{TIMES} (for), 1000{TIMES} |" in page
    assert (
        "### CIFAR-100, ResNet-20, recipe quick, 3 epochs, protocol fixed, fp32\n\nNo claim" in page
    )


def test_budgets_and_protocols_are_told_and_never_counted_together(
    make_study: MakeStudy, make_arm: MakeArm
) -> None:
    def arms(epochs: int, decay: float, seeds: int = 2, **changes: Any) -> list[Records]:
        recipe = {"epochs": epochs, "weight_decay": decay}
        levels = {"stable_rps": [80.0, 81.0, 80.5], "mag": [79.0, 79.5, 79.0]}
        return [
            make_arm(method, own[:seeds], recipe_options=recipe, **changes)
            for method, own in levels.items()
        ]

    small: dict[str, Any] = {"dataset_options": {"image_size": 16, "imbalance": None}}
    page = write_claims(
        judge_claims(
            make_study(
                *arms(3, 1e-4, 3),
                *arms(12, 5e-4),
                *arms(3, 1e-4, protocol="tuned"),
                *arms(6, 1e-4, **small),
                make_arm("snip", [70.0, 71.0, 70.5]),
            )
        ),
        0.5,
    )
    assert "All tests of one experiment (2 each) are corrected together" in page
    assert "With 3 seeds a difference in the experiment with most tests (2) decides alone" in page
    assert "experiments together" not in page
    for title in (
        "CIFAR-10, ResNet-20, recipe quick, 3 epochs, weight decay 0.0001, protocol fixed, fp32",
        "CIFAR-10, ResNet-20, recipe quick, 12 epochs, weight decay 0.0005, protocol fixed, fp32",
        "CIFAR-10, ResNet-20, recipe quick, 3 epochs, weight decay 0.0001, protocol tuned, fp32",
        "CIFAR-10 at 16 px, ResNet-20, recipe quick, 6 epochs, weight decay 0.0001,"
        " protocol fixed, fp32",
    ):
        assert page.count(f"### {title}\n") == 2, title


def test_tables_are_whole_whatever_the_text(make_study: MakeStudy, make_arm: MakeArm) -> None:
    odd = {"recipe": "a|b"}
    study = make_study(make_arm("stable_rps", [80.0], **odd), make_arm("mag", [79.0], **odd))
    claims = judge_claims(study)
    claims["reason"] = "either | or"
    rows = [line for line in write_claims(claims, 0.5).splitlines() if line.startswith("| `")]
    assert rows[0].endswith(r"either \| or |")
    assert {row.replace(r"\|", "").count("|") for row in rows} == {9}


def test_the_page_tells_how_clear_a_difference_must_be(
    make_study: MakeStudy, make_arm: MakeArm
) -> None:
    rivals = [make_arm(name, [50.0, 51.0, 53.0]) for name in ("mag", "snip", "rand", "grasp")]
    arms = [make_arm("stable_rps", [50.0, 52.0, 54.0]), *rivals]
    assert "All 8 tests of the experiment" in (
        page := write_claims(judge_claims(make_study(*arms)), 0.5)
    )
    # p = .05 / 8, .05 / 4 and .05 / 2 with 2 degrees of freedom, then with 4.
    assert "With 3 seeds a difference decides alone if it lies 8.9 standard errors" in page
    assert "6.2 if half of the comparisons are decided, 4.3 if all are" in page
    assert "with 5 seeds 4.3, 3.5 and 2.8." in page
    alone = write_claims(judge_claims(make_study(*arms[:2])), 0.5)
    assert "decides alone if it lies 4.3 standard errors" in alone
    assert "4.3 if half of the comparisons are decided, 4.3 if all are" in alone


def test_files_are_written_and_repeat_exactly(
    make_study: MakeStudy, arms: list[Records], tmp_path: Path
) -> None:
    study = make_study(*arms)
    paths = save_claims(study)
    assert paths == [tmp_path / "claims.csv", tmp_path / "claims.md"]
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in save_claims(make_study(*arms[::-1]))] == first
    read = pd.read_csv(paths[0])
    claims = judge_claims(study)
    assert read["verdict"].tolist() == claims["verdict"].tolist()
    assert read["difference"].tolist() == pytest.approx(claims["difference"].tolist(), nan_ok=True)


def test_no_records_still_make_a_page(make_study: MakeStudy) -> None:
    page = write_claims(judge_claims(make_study()), 0.5)
    assert "No record speaks of `rps_vs_mag`" in page
    assert "## Verdicts" not in page
    assert "## Every comparison" not in page


def test_checked_in_records_are_judged() -> None:
    claims = judge_claims(read_results(RECORDS.parent))
    assert set(claims["dataset"].dropna()) == {"digits"}
