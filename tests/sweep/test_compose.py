"""One composition for runs that differ in compression and seed gives what Hydra gives for each."""

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rps_bench.core.conf_folder import config_folder
from rps_bench.sweep.compose import CONFIG_NAME, Composer
from rps_bench.sweep.sources import hydra_version_base

JOBS = [
    ["method=mag", "compression=10", "seed=0"],
    ["method=mag", "compression=3.16", "seed=2"],
    ["compression=1e3", "method=mag"],
    ["method=mag"],
    ["method=mag", "compression=null"],
    ["method=ltr", "compression=100", "recipe=smoke", "method.rewind_steps=0"],
    ["compression=7", "results_dir='out/${seed}'", "seed=4"],
    ["compression=7", "results_dir='out/${compression}'", "seed=5"],
    ["compression=many", "seed=true"],
    ["compression=10", "++compression=5"],
    ["++seed=3", "seed=4"],
    ["seed=1", "~seed"],
]


def directly(job: list[str]) -> Any:
    return OmegaConf.to_container(compose(CONFIG_NAME, job), resolve=True)


def test_it_equals_composing_each_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RPS_BENCH_DATA", raising=False)
    with initialize_config_dir(str(config_folder()), job_name="test", **hydra_version_base()):
        composer = Composer()
        for job in JOBS:
            assert composer.compose(job) == directly(job), job


def test_runs_that_differ_in_compression_and_seed_share_one_composition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    composed = []

    def spy(name: str, overrides: list[str], return_hydra_config: bool) -> Any:
        composed.append(overrides)
        return compose(name, overrides, return_hydra_config=return_hydra_config)

    monkeypatch.setattr("rps_bench.sweep.compose.compose", spy)
    with initialize_config_dir(str(config_folder()), job_name="test", **hydra_version_base()):
        composer = Composer()
        tables = [
            composer.compose(["method=mag", f"compression={c}", f"seed={s}"])
            for c in (1, 10, 100)
            for s in range(5)
        ]
    assert composed == [["method=mag"]]
    assert {(table["compression"], table["seed"]) for table in tables} == {
        (c, s) for c in (1, 10, 100) for s in range(5)
    }
