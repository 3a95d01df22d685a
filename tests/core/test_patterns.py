"""Patterns of names, as they are typed."""

import pytest

from rps_bench.core.errors import UserError
from rps_bench.core.patterns import read_patterns


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        ("head", ("head",)),
        ("a.*, b", ("a.*", "b")),
        (["a.*", 0], ("a.*", "0")),
        ((3,), ("3",)),
        (0, ("0",)),
        (["a,b", "c"], ("a", "b", "c")),
    ],
)
def test_what_is_a_list_of_patterns(value: object, expected: tuple[str, ...]) -> None:
    assert read_patterns("method.include", value) == expected


@pytest.mark.parametrize("value", ["", ",", [], ["a", ""], 0.5, True, [None], {"a": 1}, "a\nb"])
def test_what_is_none(value: object) -> None:
    with pytest.raises(UserError, match=r"^method\.include must be"):
        read_patterns("method.include", value)
