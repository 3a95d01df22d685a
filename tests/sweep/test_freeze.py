"""Freezing the runs of a sweep reads no file anew for every run."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from rps_bench.core.conf_folder import config_folder
from rps_bench.sweep import freeze
from rps_bench.sweep.planning import plan_runs


def test_a_methods_yaml_is_read_once_for_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[str] = Counter()
    load = OmegaConf.load

    def count(file: Any) -> Any:
        if isinstance(file, Path):  # Hydra, which reads each once as well, hands over open files
            reads[file.stem] += 1
        return load(file)

    freeze._read_defaults.cache_clear()
    monkeypatch.setattr(OmegaConf, "load", count)
    plan = plan_runs(["method=mag,snip", "compression=1,2,4", "seed=range(20)"], is_sweep=True)
    assert len(plan.runs) == 120
    assert reads == {"mag": 1, "snip": 1}


def test_a_yaml_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "method" / "mag.yaml"
    path.parent.mkdir()
    text = (config_folder() / "method" / "mag.yaml").read_text()
    path.write_text(text)
    assert freeze._method_defaults(tmp_path, "mag")["rounds"] == 1
    path.write_text(text.replace("rounds: 1", "rounds: 12"))
    assert freeze._method_defaults(tmp_path, "mag")["rounds"] == 12
