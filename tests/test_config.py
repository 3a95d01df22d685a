"""The run's identity: stable names, blind to what does not change a result."""

import dataclasses
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from rps_bench.config import Compute, Files, RunConfig, Search
from rps_bench.core.checks import round_float
from rps_bench.core.conf_folder import config_folder
from rps_bench.sweep.planning import plan_runs

# Pinned: a change here orphans every record that exists.
GOLDEN_IDS = {
    "engine=plain": "digits-resnet20-stable_rps-10x-quick-s0-d9b828cf",
    "engine=plain dataset=cifar10 method=dense": "cifar10-resnet20-dense-1x-quick-s0-a80c3f81",
    "engine=plain dataset=cifar10": "cifar10-resnet20-stable_rps-10x-quick-s0-41f236e0",
}


# Another value for every field of the parts that identify no run.
OTHER_COMPUTE = {
    "device": "cpu",
    "deterministic": "true",
    "threads": "1",
    "processes": "3",
    "gpus": "[0,1]",
    "runs_per_gpu": "2",
    "population": "auto",
}
OTHER_FILES = {
    "data_root": "/somewhere",
    "results_dir": "elsewhere",
    "keep_model": "true",
    "keep_checkpoints": "false",
    "checkpoint_seconds": "1",
    "tracking": "wandb",
}
OTHER_SEARCH = {
    "tune.trials": "7",
    "tune.seed": "1",
    "tune.choices": "other.json",
    "tune.over": "{weight_decay:[1e-4,5e-4]}",
}
OTHERS = {**OTHER_COMPUTE, **OTHER_FILES, **OTHER_SEARCH}


def plan_one(words: str) -> RunConfig:
    (config,) = plan_runs(words.split(), is_sweep=False).configs
    return config


def run_id(words: str) -> str:
    return plan_one(words).run_id


@pytest.mark.parametrize("words", GOLDEN_IDS)
def test_golden_ids(words: str) -> None:
    assert run_id(words) == GOLDEN_IDS[words]


@pytest.mark.parametrize(
    ("part", "others"), [(Compute, OTHER_COMPUTE), (Files, OTHER_FILES), (Search, OTHER_SEARCH)]
)
def test_every_field_of_a_part_is_tried(
    part: type[Compute | Files | Search], others: Mapping[str, str]
) -> None:
    names = {key.removeprefix("tune.") for key in others}
    assert names == {field.name for field in dataclasses.fields(part)}


@pytest.mark.parametrize(("key", "value"), OTHERS.items())
def test_where_a_run_computes_and_what_it_leaves_identify_no_run(key: str, value: str) -> None:
    plain, other = plan_one(""), plan_one(f"{key}={value}")
    assert other != plain
    assert other.run_id == plain.run_id
    assert other == dataclasses.replace(
        plain, compute=other.compute, files=other.files, search=other.search
    )


@pytest.mark.parametrize(
    "words",
    [
        "compression=10",
        "compression=10.0",
        "method.init_std=0.04",
        "method=stable_rps",
        "dataset.validation_images=7",
        "dataset.imbalance=null",
        "dataset.image_size=null",
        "dataset.image_size=32",
        "storage=exact",
    ],
)
def test_what_changes_no_result_changes_no_id(words: str) -> None:
    assert run_id(words) == run_id("")


@pytest.mark.parametrize(
    "words",
    [
        "seed=1",
        "compression=11",
        "arch=vgg11",
        "arch.width=8",
        "method=rpg",
        "method.init_std=0.1",
        "recipe.epochs=11",
        "recipe=smoke",
        "recipe.max_steps_per_epoch=5",
        "evaluation_split=validation",
        "dataset.imbalance=100",
        "dataset.image_size=16",
        "precision=fp32",
        "dataset=cifar10",
        "storage=int8",
    ],
)
def test_what_changes_a_result_changes_the_id(words: str) -> None:
    assert run_id(words) != run_id("")


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("recipe.lr=0.30000000000000004", "recipe.lr=0.3"),
        ("recipe.weight_decay=0.00010000000000000002", "recipe.weight_decay=0.0001"),
        ("recipe.momentum=0.8999999999999999", "recipe.momentum=0.9"),
        ("recipe.factor=0.30000000000000004", "recipe.factor=0.3"),
        ("compression=3.1600000000000001421", "compression=3.16"),
        ("compression=9.999999999999999", "compression=10"),
        ("method.init_std=0.30000000000000004", "method.init_std=0.3"),
        ("dataset.imbalance=10.000000000000002", "dataset.imbalance=10"),
        (
            "method=ltr method.level_fraction=0.30000000000000004",
            "method=ltr method.level_fraction=0.3",
        ),
    ],
)
def test_what_a_sum_of_floats_leaves_changes_no_id(words: str, same: str) -> None:
    assert run_id(words) == run_id(same)


def test_an_excluded_number_is_rounded_as_that_of_a_run() -> None:
    words = ["method=mag", "compression=1.1,1.3", "exclude=[{compression: 1.3000000000000003}]"]
    assert [config.compression for config in plan_runs(words, is_sweep=True).configs] == [1.1]


def test_no_record_is_rounded_away() -> None:
    """Every number that a committed record was made with is one that a run still can have."""
    paths = list((config_folder().parent / "results").glob("**/records/**/*.json"))
    for path in paths:
        config = json.loads(path.read_text())["config"]
        numbers = [config["compression"], *config["recipe_options"].values()]
        numbers += config.get("method_options", {}).values()
        floats = [number for number in numbers if isinstance(number, float)]
        assert floats == [round_float(number) for number in floats], path.name


def checkpoint_name(words: str, is_shared: bool = True) -> str:
    (config,) = plan_runs(f"method=ltr {words}".split(), is_sweep=False).configs
    return config.checkpoint_name(is_shared, "fp32", "plain", num_train=1437)


def test_compressions_share_a_folder_only_where_they_share_levels() -> None:
    shared = checkpoint_name("compression=10")
    assert "-ltr-chain-" in shared
    assert checkpoint_name("compression=100") == shared
    assert checkpoint_name("compression=10 results_dir=x checkpoint_seconds=null") == shared
    assert checkpoint_name("compression=10 storage=int8 keep_model=true") == shared
    own = checkpoint_name("compression=10", is_shared=False)
    assert "-ltr-10x-" in own
    assert checkpoint_name("compression=100", is_shared=False) != own


@pytest.mark.parametrize(
    "words",
    [
        "seed=1",
        "arch.width=8",
        "recipe.epochs=11",
        "dataset=cifar10",
        "method.rewind_steps=7",
        "method.level_fraction=0.5",
        "method.rewind=false",
        "evaluation_split=validation",
        "dataset.imbalance=100",
        "dataset.image_size=16",
    ],
)
def test_what_changes_a_training_changes_the_folder(words: str) -> None:
    assert checkpoint_name(words) != checkpoint_name("")


def test_a_folder_is_for_one_arithmetic_and_one_set_of_images() -> None:
    (config,) = plan_runs(["method=ltr"], is_sweep=False).configs
    places = (
        ("fp32", "plain", 1437),
        ("bf16", "plain", 1437),
        ("fp32", "plain", 1000),
        ("fp32", "products-1", 1437),
        ("fp32", "products-2", 1437),
        ("fp32", "native-avx512-1", 1437),
    )
    assert len({config.checkpoint_name(True, *place) for place in places}) == len(places)
    other = dataclasses.replace(config, compression=100.0)
    assert other.run_id_without_compression == config.run_id_without_compression
    assert other.run_id != config.run_id


def test_an_engine_that_is_not_plain_is_another_run() -> None:
    """By what is asked for, so on every machine alike."""
    names = ("plain", "products", "native", "auto")
    assert len({run_id(f"engine={name}") for name in names}) == len(names)
    assert run_id("engine=auto") == run_id("")
    assert "engine" not in plan_one("engine=plain").identity
    assert plan_one("engine=auto").identity["engine"] == "auto"


def test_smaller_images_are_named_and_are_other_data() -> None:
    plain, small = plan_one("dataset=cifar10"), plan_one("dataset=cifar10 dataset.image_size=16")
    assert small.run_id.startswith("cifar10-16px-resnet20-stable_rps-10x-quick-s0-")
    assert small.record_place[1:3] == plain.record_place[1:3]
    assert small.data_identity != plain.data_identity
    assert small.data_source != plain.data_source


def test_a_whole_number_for_a_float_option_is_the_same_run() -> None:
    assert run_id("method.init_std=1") == run_id("method.init_std=1.0")


def test_an_option_added_later_with_a_default_keeps_the_id() -> None:
    (config,) = plan_runs([], is_sweep=False).configs
    options: Mapping[str, Any] = MappingProxyType({**config.method_options, "new": 1})
    assert dataclasses.replace(config, method_options=options).run_id == config.run_id


def test_labels_name_what_differs_from_the_default() -> None:
    (config,) = plan_runs(["method.init_std=0.1", "method.scaling=none"], is_sweep=False).configs
    assert config.label == "stable_rps (init_std=0.1, scaling=none)"
    (config,) = plan_runs([], is_sweep=False).configs
    assert config.label == "stable_rps"


def test_an_unset_compression_is_1_for_dense_and_10_otherwise() -> None:
    configs = plan_runs(["method=dense,mag"], is_sweep=True).configs
    assert [config.compression for config in configs] == [1.0, 10.0]


def test_a_sweep_skips_dense_at_other_compressions() -> None:
    plan = plan_runs(["method=dense,mag", "compression=1,10"], is_sweep=True)
    runs = [(config.method, config.compression) for config in plan.configs]
    assert runs == [("dense", 1), ("mag", 1), ("mag", 10)]
    assert plan.notes == ("skipped: dense has compression 1 only, got 10",)


def test_the_widest_seed_and_extreme_compressions_make_plain_file_names() -> None:
    for words in ("seed=9223372036854775807", "compression=31.6", "compression=1e5"):
        assert set(run_id(words)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-")


def test_a_choice_of_weights_is_part_of_the_id_only_where_there_is_one() -> None:
    words = "method=mag arch.width=2"
    same = ("method.include=null", "method.exclude=null", "method.min_size=null")
    assert {run_id(f"{words} {word}") for word in same} == {run_id(words)}
    other = (
        "method.include=[stem,0]",
        "method.exclude=[stem,0]",
        "method.exclude=[stem,1]",
        "method.min_size=9",
    )
    assert len({run_id(f"{words} {word}") for word in other} | {run_id(words)}) == 5
    (config,) = plan_runs(["method=mag", "method.exclude=[stem,0]"], is_sweep=False).configs
    assert config.label == "mag (exclude=stem,0)"
    assert config.method_options["exclude"] == "stem,0"
