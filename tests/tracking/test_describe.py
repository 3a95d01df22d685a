"""Names, flat settings and numbers of a run, checked by hand."""

import re
from pathlib import Path

import pytest

from rps_bench.tracking.describe import (
    dashboard_run_id,
    epoch_values,
    final_values,
    flat_settings,
    group_name,
    provenance_settings,
    run_name,
    unfinished_values,
)
from tests.tracking.conftest import describe, epoch, make_record

FOLDER = Path("results")


def test_name_and_group() -> None:
    config = dict(describe(FOLDER, method="stable_rps", label="stable_rps (init_std=0.1)").config)
    assert run_name(config) == "stable_rps (init_std=0.1)-10x-s0"
    assert run_name(config | {"label": "stable_rps", "seed": 2}) == "stable_rps-10x-s2"
    assert run_name(config | {"label": "mag", "compression": 3.16}) == "mag-3.16x-s0"
    assert group_name(config) == "digits-resnet20-smoke"
    small = {"dataset_options": {"image_size": 16}}
    assert group_name(config | small) == "digits-16px-resnet20-smoke"
    assert group_name(config | {"evaluation_split": "validation"}).endswith("-smoke-validation")


def test_settings_are_flat_and_have_keys_that_wandb_can_sort_by() -> None:
    settings = flat_settings(describe(FOLDER))
    assert settings["method"] == "mag"
    assert settings["compression"] == 10.0
    assert settings["recipe"] == "smoke"
    assert settings["recipe_epochs"] == 4
    assert settings["method_rounds"] == 1
    assert settings["dataset_num_train"] == 1437
    assert settings["arch_width"] is None
    assert settings["recipe_drops"] == "[1, 2]"
    assert settings["recipe_nesterov"] is False
    record = make_record(describe(FOLDER))
    keys = [*settings, *final_values(record), *provenance_settings(record)]
    keys += epoch_values(0, epoch(1), describe(FOLDER))
    assert [key for key in keys if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key)] == []


def test_an_id_is_valid_and_ends_with_the_folders() -> None:
    run_id = "digits-resnet20-mag-3.16x-smoke-s0-0123abcd"
    assert dashboard_run_id(run_id, "89abcdef") == f"{run_id}-89abcdef"
    assert dashboard_run_id("a:b/c#d", "89abcdef") == "a-b-c-d-89abcdef"
    long = dashboard_run_id("x" * 200 + "-0123abcd", "89abcdef")
    assert len(long) == 120
    assert long.endswith("-0123abcd-89abcdef")


def test_an_epoch_lies_on_one_axis_of_all_levels() -> None:
    run = describe(FOLDER)
    assert epoch_values(0, epoch(3), run) == {
        "epoch": 3, "level": 0, "level_epoch": 3, "lr": 0.1, "train_loss": pytest.approx(1 / 3),
        "test_loss": pytest.approx(2 / 3), "test_accuracy": 60.0, "epoch_seconds": 1.5,
    }  # fmt: skip
    later = epoch_values(2, epoch(3), run)
    assert (later["epoch"], later["level"], later["level_epoch"]) == (2 * 4 + 3, 2, 3)
    validated = epoch_values(0, epoch(1), describe(FOLDER, evaluation_split="validation"))
    assert validated["validation_accuracy"] == 20.0
    assert "test_accuracy" not in validated


def test_final_numbers_are_the_records() -> None:
    values = final_values(make_record(describe(FOLDER), total_epochs=3.5))
    assert (values["status"], values["reason"], values["diverged"]) == ("completed", None, 0)
    assert (values["accuracy"], values["best_accuracy"], values["drawn_accuracy"]) == (79, 80, 79)
    assert (values["test_accuracy"], values["best_test_accuracy"]) == (79, 80)
    assert (values["true_compression"], values["stored_bytes"]) == (5.5, 812)
    assert (values["macs"], values["total_epochs"]) == (40_813_184, 3.5)


def test_the_headline_is_that_of_the_runs_own_split() -> None:
    values = final_values(make_record(describe(FOLDER, evaluation_split="validation")))
    assert (values["accuracy"], values["best_accuracy"]) == (79, 80)
    assert values["test_accuracy"] is None


def test_a_diverged_run_is_drawn_at_chance_level() -> None:
    values = final_values(make_record(describe(FOLDER), "diverged"))
    assert (values["status"], values["diverged"]) == ("diverged", 1)
    assert (values["accuracy"], values["test_accuracy"]) == (None, None)
    assert values["drawn_accuracy"] == 10.0
    hundred = final_values(make_record(describe(FOLDER, dataset="cifar100"), "diverged"))
    assert hundred["drawn_accuracy"] == 1.0
    unknown = final_values(make_record(describe(FOLDER, dataset="mine"), "diverged"))
    assert unknown["drawn_accuracy"] is None


def test_an_unfinished_run_takes_back_the_accuracy_of_its_last_epoch() -> None:
    run = describe(FOLDER, evaluation_split="validation")
    values = unfinished_values(run, "failed", "x" * 2000)
    assert (values["status"], len(values["reason"])) == ("failed", 1000)
    assert (values["accuracy"], values["validation_accuracy"]) == (None, None)
    assert set(epoch_values(0, epoch(1), run)) & {"validation_loss", "train_loss"} <= set(values)
