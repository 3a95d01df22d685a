"""Every yaml composes, and says what the code says."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rps_bench.config import RunConfig
from rps_bench.core.conf_folder import config_folder
from rps_bench.datasets.info import DATASETS
from rps_bench.methods import METHODS, default_options
from rps_bench.models import ARCHITECTURES
from rps_bench.sweep.freeze import freeze_composed
from rps_bench.sweep.planning import plan_runs
from rps_bench.sweep.preflight import check_buildable
from rps_bench.sweep.sources import hydra_version_base

CONF = config_folder()
RECIPES = ("paper", "paper_half", "quick", "smoke")
VARIANTS = {  # of methods, by names of their own
    "stable_rps_matched": ("stable_rps", {"repository_init": "matched"}),
    "stable_rps_unscaled": ("stable_rps", {"scaling": "none"}),
    "rand_erk": ("rand", {"density": "erk"}),
}


def names_in(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def frozen(*overrides: str) -> RunConfig:
    with initialize_config_dir(str(CONF), job_name="test", **hydra_version_base()):
        return freeze_composed(compose("config", list(overrides)))


def test_groups_offer_what_the_registries_hold() -> None:
    assert names_in("dataset") == sorted(DATASETS)
    assert names_in("arch") == sorted(ARCHITECTURES)
    assert names_in("method") == sorted([*METHODS, *VARIANTS])
    assert names_in("recipe") == sorted(RECIPES)


@pytest.mark.parametrize("name", METHODS)
def test_a_methods_yaml_holds_the_defaults_of_its_class(name: str) -> None:
    table: Any = OmegaConf.to_container(OmegaConf.load(CONF / "method" / f"{name}.yaml"))
    assert table.pop("name") == name
    for key in ("fixed_compression", "smallest_compression", "largest_compression"):
        table.pop(key, None)
    assert table == default_options(name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_its_method_with_other_options(variant: str) -> None:
    method, options = VARIANTS[variant]
    by_hand = (f"method.{key}={value}" for key, value in options.items())
    assert frozen(f"method={variant}") == frozen(f"method={method}", *by_hand)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_combination_composes_and_can_be_built(recipe: str, dataset: str, arch: str) -> None:
    config = frozen(f"recipe={recipe}", f"dataset={dataset}", f"arch={arch}", "device=cpu")
    assert (config.recipe.name, config.dataset, config.arch) == (recipe, dataset, arch)
    check_buildable([config])


@pytest.mark.parametrize("experiment", names_in("experiment"))
def test_every_experiment_is_a_sweep_that_opens_with_its_command(experiment: str) -> None:
    text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    assert f"python -m rps_bench experiment={experiment}" in text.splitlines()[1]
    plan = plan_runs([f"experiment={experiment}"], is_sweep=False)
    configs = plan.configs
    assert plan.is_sweep
    assert len(configs) == len({config.run_id for config in configs}) > 1
    check_buildable(configs)


# Rows of the paper's table: optimizer, lr, drops, factor, epochs, batch, weight decay.
PAPER = [
    ("cifar10", "resnet20", False, 0.1, (80, 120), 0.1, 160),
    ("cifar100", "resnet20", False, 0.1, (80, 120), 0.1, 160),
    ("cifar10", "vgg11", True, 0.1, (60, 120), 0.1, 160),
    ("cifar100", "vgg11", True, 0.1, (60, 120), 0.1, 160),
    ("tiny_imagenet", "resnet20", True, 0.01, (30, 60, 80), 0.2, 100),
    ("tiny_imagenet", "vgg11", True, 0.01, (30, 60, 80), 0.2, 100),
]


@pytest.mark.parametrize("row", PAPER)
def test_the_paper_recipe(row: tuple[str, str, bool, float, tuple[int, ...], float, int]) -> None:
    dataset, arch, nesterov, lr, drops, factor, epochs = row
    recipe = frozen(f"dataset={dataset}", f"arch={arch}", "recipe=paper").recipe
    assert recipe.schedule == "step"
    assert (recipe.nesterov, recipe.lr, recipe.drops) == (nesterov, lr, drops)
    assert (recipe.factor, recipe.epochs, recipe.batch_size) == (factor, epochs, 128)
    assert (recipe.momentum, recipe.weight_decay) == (0.9, 1e-4)


@pytest.mark.parametrize("row", PAPER)
def test_half_the_paper_recipe(row: tuple[str, str]) -> None:
    words = (f"dataset={row[0]}", f"arch={row[1]}")
    whole, half = (frozen(*words, f"recipe={name}").recipe for name in ("paper", "paper_half"))
    drops, epochs = tuple(drop // 2 for drop in whole.drops), whole.epochs // 2
    assert half == dataclasses.replace(whole, name="paper_half", epochs=epochs, drops=drops)


@pytest.mark.parametrize("row", PAPER)
def test_the_quick_recipe_is_the_papers_with_one_cycle(row: tuple[str, str, bool, float]) -> None:
    dataset, arch, nesterov, lr, *_ = row
    recipe = frozen(f"dataset={dataset}", f"arch={arch}", "recipe=quick").recipe
    assert recipe.schedule == "one_cycle"
    assert (recipe.nesterov, recipe.lr, recipe.batch_size) == (nesterov, lr, 128)


def test_comments_stand_beside_every_default() -> None:
    lines = (CONF / "config.yaml").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("compression:"))
    values = [line for line in lines[start:] if line and not line.startswith((" ", "hydra"))]
    assert all("#" in line for line in values), values


def test_the_config_folder_is_found_inside_an_installed_package(tmp_path: Path) -> None:
    assert config_folder().is_absolute()
    assert (config_folder() / "config.yaml").is_file()
