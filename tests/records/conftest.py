"""A made-up record to start from."""

from typing import Any

import pytest


@pytest.fixture
def record() -> dict[str, Any]:
    return {
        "schema_version": 1,
        "run_id": "stable_rps-c10-s0-1a2b3c",
        "status": "completed",
        "reason": None,
        "config": {
            "dataset": "digits",
            "arch": "resnet20",
            "method": "stable_rps",
            "method_kind": "sharing",
            "kernels": "plain",
            "compression": 10.0,
            "seed": 0,
            "recipe": "smoke",
            "method_options": {"init_std": 0.04},
        },
        "metrics": {
            "test_accuracy": 91.5,
            "best_test_accuracy": 92.0,
            "test_loss": 0.3,
            "train_loss": 0.1,
            "validation_accuracy": None,
        },
        "history": [{"epoch": 1, "train_loss": 0.1, "test_accuracy": 91.5}],
        "size": {
            "dense_weights": 270896,
            "stored_weights": 27089,
            "dense_total": 272474,
            "stored_total": 28667,
            "true_compression": 9.505,
            "stored_bytes": 108400,
        },
        "cost": {
            "train_seconds": 3.5,
            "images_per_second": 900.0,
            "peak_memory_bytes": None,
            "macs": 40813184,
        },
        "provenance": {"git_commit": None},
    }
