from collections.abc import Iterable
from typing import Any

import pytest

from rps_bench.reports.claims.stability import changed_options
from tests.reports.claims.conftest import Judge, MakeArm, Records

NAME = "roast_diverges_for_some_init_std"
STDS = (0.01, 0.04, 1.0)


def _study(
    make_arm: MakeArm,
    method: str,
    lost: Iterable[float] = (),
    stds: Iterable[float] = STDS,
    compression: float = 10.0,
    **changes: Any,
) -> Records:
    """Two seeds of a method at each init std; the second diverges where `lost`."""
    records = []
    for std in stds:
        label = method if std == 0.04 else f"{method} (init_std={std})"
        options = {"init_std": std, "scaling": "default"}
        second = None if std in lost else 79.0
        records += make_arm(
            method, [80.0, second], compression,
            **({"label": label, "method_options": options} | changes),
        )  # fmt: skip
    return records


def test_supported(make_arm: MakeArm, judge: Judge) -> None:
    (row,) = judge(
        NAME, _study(make_arm, "roast", lost=[1.0]), _study(make_arm, "stable_rps")
    ).to_dict("records")  # fmt: skip
    assert (row["verdict"], row["n"], row["dataset"]) == ("supported", 6, "cifar10")
    assert row["reason"] == (
        "roast diverged for init_std 1 at 10x (1 run); stable_rps in none of 6 settings tried on"
        " both"
    )
    assert (row["method"], row["rival"]) == ("stable_rps", "roast")


def test_contradicted(make_arm: MakeArm, judge: Judge) -> None:
    roast = _study(make_arm, "roast", lost=[1.0])
    (row,) = judge(NAME, roast, _study(make_arm, "stable_rps", lost=[0.01])).to_dict("records")
    assert row["verdict"] == "contradicted"
    assert row["reason"] == "stable_rps diverged for init_std 0.01 at 10x (1 run)"


@pytest.mark.parametrize(
    ("stds", "reason"),
    [
        ((0.04, 1.0), "init_std tried on both: 0.04, 1; needed: at least 3 at one compression"),
        ((0.04, 0.1, 1.0), "init_std tried on both: 0.04, 0.1, 1; needed: at least 3"),
    ],
)
def test_too_few_values(
    make_arm: MakeArm, judge: Judge, stds: tuple[float, ...], reason: str
) -> None:
    arms = _study(make_arm, "roast", [1.0], stds), _study(make_arm, "stable_rps", stds=stds)
    (row,) = judge(NAME, *arms).to_dict("records")
    assert row["verdict"] == "undecided"
    assert row["reason"].startswith(reason)


def test_values_must_be_tried_at_one_compression(make_arm: MakeArm, judge: Judge) -> None:
    arms = [
        _study(make_arm, method, lost, [std], compression)
        for method, lost in (("roast", [1.0]), ("stable_rps", []))
        for std, compression in zip(STDS, (10.0, 100.0, 1000.0), strict=True)
    ]
    (row,) = judge(NAME, *arms).to_dict("records")
    assert row["verdict"] == "undecided"


def test_no_divergence_supports_nothing(make_arm: MakeArm, judge: Judge) -> None:
    (row,) = judge(NAME, _study(make_arm, "roast"), _study(make_arm, "stable_rps")).to_dict(
        "records"
    )
    assert row["verdict"] == "undecided"
    assert row["reason"] == "neither diverged in 6 settings tried on both"


def test_only_what_both_tried_counts(make_arm: MakeArm, judge: Judge) -> None:
    roast, rps = _study(make_arm, "roast", [10.0], (*STDS, 10.0)), _study(make_arm, "stable_rps")
    (row,) = judge(NAME, roast, rps).to_dict("records")
    assert (row["verdict"], row["n"]) == ("undecided", 6)
    roast, rps = _study(make_arm, "roast", [1.0]), _study(make_arm, "stable_rps", [9], (*STDS, 9))
    (row,) = judge(NAME, roast, rps).to_dict("records")
    assert row["verdict"] == "undecided"
    assert row["reason"] == (
        "stable_rps diverged for init_std 9 at 10x (1 run), where roast was not tried"
    )


def test_other_options_and_failed_runs_do_not_count(make_arm: MakeArm, judge: Judge) -> None:
    other = "roast (init_std=1.0, scaling=gram)"
    roast = _study(make_arm, "roast", [1.0], [1.0], label=other)
    roast += _study(make_arm, "roast", stds=STDS[:2])
    (row,) = judge(NAME, roast, _study(make_arm, "stable_rps")).to_dict("records")
    assert (row["verdict"], row["n"]) == ("undecided", 4)
    failed = _study(make_arm, "roast", [1.0])
    for record in failed:
        record["status"] = "failed"
    (row,) = judge(NAME, failed, _study(make_arm, "stable_rps")).to_dict("records")
    assert (row["verdict"], row["reason"]) == ("undecided", "no runs of roast")


def test_experiments_are_judged_apart(make_arm: MakeArm, judge: Judge) -> None:
    rows = judge(
        NAME,
        _study(make_arm, "roast", [1.0]),
        _study(make_arm, "stable_rps"),
        _study(make_arm, "roast", [1.0], arch="vgg11"),
        _study(make_arm, "stable_rps", [0.01], arch="vgg11"),
    )
    assert rows["arch"].tolist() == ["resnet20", "vgg11"]
    assert rows["verdict"].tolist() == ["supported", "contradicted"]


def test_records_without_the_option(make_arm: MakeArm, judge: Judge) -> None:
    (row,) = judge(NAME, make_arm("roast", [None])).to_dict("records")
    assert (row["verdict"], row["n"]) == ("undecided", 0)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("roast", set()),
        ("roast (bf16)", set()),
        ("roast (init_std=1.0)", {"init_std"}),
        ("roast (init_std=1.0, tile=8, bf16)", {"init_std", "tile"}),
    ],
)
def test_options_of_a_label(label: str, expected: set[str]) -> None:
    assert changed_options(label, "roast", "bf16") == expected
