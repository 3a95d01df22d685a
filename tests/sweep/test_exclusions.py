"""Rules that leave runs out of a sweep."""

import re

import pytest

from rps_bench.core.errors import UserError
from rps_bench.sweep.planning import plan_runs

WORDS = ("method=mag,ltr", "compression=1,10,100", "seed=0,1", "recipe=smoke")


def runs(rules: str) -> set[tuple[str, float, int]]:
    plan = plan_runs([*WORDS, f"exclude={rules}"], is_sweep=True)
    return {(c.method, c.compression, c.seed) for c in plan.configs}


ALL = {(m, float(c), s) for m in ("mag", "ltr") for c in (1, 10, 100) for s in (0, 1)}


@pytest.mark.parametrize(
    ("rules", "left_out"),
    [
        ("[]", set()),
        ("[{method: ltr, compression: 100}]", {("ltr", 100.0, 0), ("ltr", 100.0, 1)}),
        ("[{method: ltr, compression: [1, 100], seed: 1}]", {("ltr", 1.0, 1), ("ltr", 100.0, 1)}),
        ("[{seed: 1}, {method: mag, compression: 10}]", {r for r in ALL if r[2] == 1}
         | {("mag", 10.0, 0)}),
        ("[{recipe: paper}]", set()),
        ("[{recipe: smoke, dataset: digits, arch: resnet20, method: mag}]",
         {r for r in ALL if r[0] == "mag"}),
    ],
)  # fmt: skip
def test_a_rule_leaves_out_what_it_matches_whole(
    rules: str, left_out: set[tuple[str, float, int]]
) -> None:
    assert runs(rules) == ALL - left_out


def test_what_is_left_out_is_said_once_with_its_count() -> None:
    plan = plan_runs([*WORDS, "exclude=[{method: ltr}]"], is_sweep=True)
    assert plan.notes == ("skipped 6 times: excluded by exclude: method=ltr",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("exclude=3", "exclude must be a list of rules, got 3"),
        ("exclude=[3]", "exclude needs rules such as"),
        ("exclude=[{}]", "exclude needs rules such as"),
        ("exclude=[{colour: red}]", "unknown key in exclude: colour; allowed: dataset, arch"),
        ("exclude=[{seed: 0}]", "excluded by exclude: seed=0"),
    ],
)
def test_bad_rules_and_a_run_that_is_excluded_alone_are_errors(words: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        plan_runs([words], is_sweep=False)
