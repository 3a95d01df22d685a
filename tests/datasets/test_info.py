"""The table of datasets and the door of the room."""

import subprocess
import sys
from pathlib import Path

import pytest

from rps_bench.core.errors import UserError
from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.archives import LAYOUTS


def test_table_is_consistent() -> None:
    for name, info in DATASETS.items():
        assert info.name == name
        assert (info.hub is None) == (info.archive is None)
        assert info.archive is None or info.archive.layout in LAYOUTS
        assert info.title


def test_facts_that_are_easily_got_wrong() -> None:
    assert DATASETS["tiny_imagenet"].std == (0.276, 0.269, 0.282)
    names = ("digits", "cifar10", "cifar100", "tiny_imagenet")
    assert [DATASETS[name].flip for name in names] == [False, True, True, True]


def test_table_needs_no_torch() -> None:
    code = "import sys, rps_bench.datasets; sys.exit('torch' in sys.modules)"
    folder = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0


def test_unknown_name_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(UserError, match=f"mnist.*{', '.join(DATASETS)}"):
        load_dataset("mnist")
