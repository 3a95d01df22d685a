"""Made-up records: one by its few settings, a realistic sweep of them, a small folder of files.

The files under `records/` are made by hand, with numbers one can check by eye: dense, mag and
stable_rps at 10x and 100x, three seeds each, one run that failed and one that diverged.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rps_bench.records.store import RECORDS_FOLDER
from rps_bench.records.upgrade import KINDS_BEFORE
from rps_bench.reports.analysis.results import Results, read_results

MakeRecord = Callable[..., dict[str, Any]]

RECORDS = Path(__file__).with_name("records")

DENSE_TOTAL, DENSE_WEIGHTS = 272_474, 270_896
# Accuracy at compression 1 and what each factor of ten costs, roughly as in the literature.
SWEEP = {
    "stable_rps": (92.1, 3.2), "roast": (91.6, 6.5), "hashednet": (91.5, 7.5), "rpg": (91.9, 5.0),
    "rand": (91.9, 8.5), "mag": (91.8, 7.0), "snip": (91.7, 6.6), "grasp": (91.0, 6.1),
    "synflow": (91.6, 5.6), "ltr": (92.3, 4.2), "small": (92.0, 8.0),
}  # fmt: skip


def make_record(
    method: str = "mag",
    compression: float = 10.0,
    seed: int = 0,
    accuracy: float | None = 80.0,
    status: str = "completed",
    dataset: str = "cifar10",
    recipe: str = "quick",
    epochs: int = 3,
    **changes: Any,
) -> dict[str, Any]:
    """A record; `changes` go into its config, a dict under `provenance` into that block."""
    stored = int(DENSE_WEIGHTS / compression)
    total = stored + DENSE_TOTAL - DENSE_WEIGHTS
    provenance = {
        "started_at": "2026-11-20T10:00:00+00:00",
        "git_commit": "0123abc",
        "versions": {"torch": "2.15.0"},
        "cpu_model": "Test CPU",
        "cpu_count": 2,
        "gpu_name": None,
    } | changes.pop("provenance", {})
    config = {
        "dataset": dataset,
        "arch": "resnet20",
        "method": method,
        "method_kind": KINDS_BEFORE.get(method),
        "compression": compression,
        "seed": seed,
        "recipe": recipe,
        "evaluation_split": "test",
        "precision": "fp32",
        "kernels": "plain",
        "device": "cpu",
        "method_options": {},
        "recipe_options": {"epochs": epochs, "drops": [1, 2]},
    } | changes
    identity = hashlib.sha256(repr(sorted(config.items(), key=str)).encode()).hexdigest()[:8]
    accuracy = accuracy if status == "completed" else None
    return {
        "schema_version": 1,
        "run_id": f"{method}-c{compression:g}-s{seed}-{identity}",
        "status": status,
        "reason": None if status == "completed" else f"{status} at epoch 1",
        "config": config,
        "metrics": {
            "test_accuracy": accuracy,
            "best_test_accuracy": accuracy,
            "test_loss": 0.5 if accuracy else None,
            "train_loss": 0.25 if accuracy else None,
        },
        "history": [{"epoch": epoch + 1} for epoch in range(epochs)],
        "size": {
            "dense_weights": DENSE_WEIGHTS,
            "stored_weights": stored,
            "dense_total": DENSE_TOTAL,
            "stored_total": total,
            "true_compression": DENSE_TOTAL / total,
            "stored_bytes": 4 * total,
        },
        "cost": {
            "train_seconds": 30.0,
            "images_per_second": 1000.0,
            "peak_memory_bytes": None,
            "macs": 40_813_184,
            "effective_macs": None,
        },
        "provenance": provenance,
    }


def make_sweep() -> list[dict[str, Any]]:
    """11 methods x 3 compressions and dense; two with 3 seeds, one that diverged."""
    records = [make_record("dense", 1.0, accuracy=92.4)]
    for method, (start, slope) in SWEEP.items():
        for decade, compression in enumerate((10.0, 100.0, 1000.0), start=1):
            level = start - slope * decade**1.5
            for seed in range(3 if method in ("stable_rps", "ltr") else 1):
                diverged = method == "hashednet" and compression == 1000
                status = "diverged" if diverged else "completed"
                noise = (seed - 1) * 0.35 * decade
                records.append(make_record(method, compression, seed, level + noise, status))
    return records


@pytest.fixture(name="make_record")
def _make_record() -> MakeRecord:
    return make_record


@pytest.fixture(scope="session")
def sweep() -> list[dict[str, Any]]:
    return make_sweep()


@pytest.fixture
def study_folder(tmp_path: Path) -> Path:
    """A results folder of one's own that holds the checked-in records and nothing else."""
    shutil.copytree(RECORDS, tmp_path / "study" / RECORDS_FOLDER)
    return tmp_path / "study"


@pytest.fixture
def small_study(study_folder: Path) -> Results:
    return read_results(study_folder)
