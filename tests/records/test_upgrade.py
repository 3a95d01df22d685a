"""Records of before a key was written, read as if they had it."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from rps_bench.core.kinds import KINDS
from rps_bench.methods import METHODS
from rps_bench.records import check_record, read_record, write_record
from rps_bench.records.upgrade import KINDS_BEFORE, upgrade_record


def test_the_table_says_what_the_methods_say() -> None:
    """Of the methods that are still there; none is ever added to the table."""
    assert set(KINDS_BEFORE.values()) <= set(KINDS)
    assert {name: METHODS[name].kind for name in KINDS_BEFORE if name in METHODS} == KINDS_BEFORE
    assert len(KINDS_BEFORE) == 13


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("dense", "dense"),
        ("small", "narrower"),
        ("rpg", "sharing"),
        ("ltr", "pruning"),
        ("somebody_elses", None),
    ],
)
def test_an_old_record_says_its_kind_when_it_is_read(
    method: str, kind: str | None, record: dict[str, Any], tmp_path: Path
) -> None:
    del record["config"]["method_kind"]
    record["config"]["method"] = method
    path = write_record(tmp_path, record)
    before = path.read_bytes()
    read = read_record(path)
    assert read["config"].pop("method_kind") == kind
    assert read == record
    assert path.read_bytes() == before
    assert "method_kind" not in json.loads(before)["config"]


def test_an_old_record_trained_by_pytorch_s_kernels(record: dict[str, Any]) -> None:
    assert upgrade_record(record)["config"]["kernels"] == "plain"
    record["config"]["kernels"] = "native-avx512-1"
    assert upgrade_record(record) == record
    del record["config"]["kernels"]
    check_record(record)
    assert upgrade_record(record)["config"]["kernels"] == "plain"


@pytest.mark.parametrize("kind", [*KINDS, None, "a_later_kind"])
def test_a_kind_that_is_recorded_stays(kind: str | None, record: dict[str, Any]) -> None:
    """Also one that this version does not know."""
    record["config"] |= {"method": "mag", "method_kind": kind}
    before = copy.deepcopy(record)
    check_record(record)
    assert upgrade_record(record) == before
    assert record == before
