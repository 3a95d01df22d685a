"""Time the table and summary of many synthetic records, from reading files to writing files.

Records have a realistic size: 10 epochs of history, layer densities of ResNet-20.

    python scripts/benchmark_reports.py [--records 10000] [--folder FOLDER]

FOLDER keeps the records for later calls; without it they are in a temporary folder.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rps_bench.core.arguments import Parser, to_path
from rps_bench.records import Record, read_records, record_path
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.analysis.runs import describe_runs
from rps_bench.reports.analysis.statistics import summarise_runs
from rps_bench.reports.analysis.table import build_table
from rps_bench.reports.analysis.warnings import find_faults
from rps_bench.reports.tables.results import save_table
from rps_bench.reports.tables.summary import save_summary

Result = TypeVar("Result")

NUM_EPOCHS = 10
NUM_LAYERS = 22
DATASETS, ARCHS = ("cifar10", "cifar100", "tiny_imagenet"), ("resnet20", "vgg11")
METHODS = (
    "stable_rps", "roast", "rpg", "hashednet", "mag", "snip", "synflow", "grasp", "rand", "ltr",
    "small",
)  # fmt: skip
COMPRESSIONS = (1.0, 3.16, 10.0, 31.6, 100.0, 316.0, 1000.0)


def make_record(number: int) -> Record:
    """A synthetic record; the seed varies slowest, so every point gets the same number of seeds."""
    rest, dataset = divmod(number, len(DATASETS))
    rest, arch = divmod(rest, len(ARCHS))
    rest, method = divmod(rest, len(METHODS))
    seed, compression = divmod(rest, len(COMPRESSIONS))
    names = (DATASETS[dataset], ARCHS[arch], METHODS[method])
    return _fill_record(names, COMPRESSIONS[compression], seed, f"{number:08d}")


def _fill_record(names: tuple[str, str, str], c: float, seed: int, digest: str) -> Record:
    dataset, arch, method = names
    n, rest = 270_896, 1_578
    m, accuracy = int(n / c), 90.0 - c**0.5 + seed % 7 / 10
    epoch: dict[str, Any] = {"lr": 0.1, "train_loss": 1.234567, "test_loss": 1.345678,
                             "test_accuracy": accuracy, "train_seconds": 91.234}  # fmt: skip
    return {
        "schema_version": 1,
        "run_id": f"{dataset}-{arch}-{method}-{c:g}x-quick-s{seed}-{digest}",
        "status": "completed",
        "reason": None,
        "config": {
            "dataset": dataset, "arch": arch, "method": method, "label": method, "compression": c,
            "seed": seed, "recipe": "quick", "evaluation_split": "test", "precision": "bf16",
            "device": "cpu",
            "dataset_options": {"num_train": 50_000, "num_test": 10_000, "is_partial": False},
            "arch_options": {"width": None},
            "method_options": {"init_std": 0.04, "scaling": "gram", "rounds": 1},
            "recipe_options": {"epochs": NUM_EPOCHS, "batch_size": 128, "lr": 0.1, "drops": [],
                               "momentum": 0.9, "nesterov": False, "weight_decay": 1e-4,
                               "schedule": "one_cycle", "factor": 0.1,
                               "max_steps_per_epoch": None},
        },
        "metrics": {"test_accuracy": accuracy, "best_test_accuracy": accuracy, "test_loss": 0.9,
                    "train_loss": 0.8},
        "history": [{"epoch": number + 1, **epoch} for number in range(NUM_EPOCHS)],
        "size": {"dense_weights": n, "stored_weights": m, "dense_total": n + rest,
                 "stored_total": m + rest, "true_compression": (n + rest) / (m + rest),
                 "stored_bytes": 4 * (m + rest)},
        "cost": {"train_seconds": 912.3, "images_per_second": 543.2, "macs": 40_813_184,
                 "peak_memory_bytes": 1_332_117_504, "effective_macs": 40_813_184},
        "method_report": {
            "layer_densities": {f"blocks.{i}.conv1.weight": 1 / c for i in range(NUM_LAYERS)},
            "collapsed_layers": [],
        },
        "provenance": {"started_at": "2026-11-20T14:21:45+00:00", "git_commit": "399d0e191f9441d2",
                       "git_dirty": False, "package_version": "0.1.0", "python": "3.11.7",
                       "versions": {"torch": "2.15.0", "torchvision": "0.29.2", "numpy": "2.4.6"},
                       "platform": "Linux x86_64", "cpu_model": "AMD EPYC", "cpu_count": 2,
                       "num_threads": 2, "gpu_name": None},
    }  # fmt: skip


def write_records(folder: Path, num_records: int) -> None:
    """Write the records like the runner, but without syncing to disk."""
    for number in range(num_records):
        record = make_record(number)
        config = record["config"]
        path = record_path(folder, config["dataset"], config["arch"], record["run_id"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=2) + "\n")


def time_stage(name: str, work: Callable[[], Result]) -> tuple[Result, float]:
    """The result of `work` and its wall seconds, which are printed under `name`."""
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    print(f"{name:32}{seconds:8.2f} s")
    return result, seconds


def time_reports(folder: Path) -> None:
    """Print the seconds of every stage, from reading records to the last file."""
    (records, problems), reading = time_stage("read and check", lambda: read_records(folder))
    table, building = time_stage("table", lambda: build_table(records))
    runs, describing = time_stage("describe runs", lambda: describe_runs(table))
    points, summing = time_stage("means and intervals", lambda: summarise_runs(runs))
    study = Results(folder, records, problems, table, runs, points)
    _, saving = time_stage("table.csv, table.parquet", lambda: save_table(study))
    _, summary = time_stage("summary.csv, .md, .tex", lambda: save_summary(study))
    total = reading + building + describing + summing + saving + summary
    print(f"{f'{len(records)} records, {len(points)} points':32}{total:8.2f} s")
    time_stage("in addition: faults", lambda: find_faults(study))


def main() -> None:
    """Write the records if there are none, then time the reports."""
    parser = Parser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--folder", type=to_path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "records").is_dir():
            write_records(folder, options.records)
        time_reports(folder)


if __name__ == "__main__":
    main()
