"""The paths of compressed files, next to the records of runs that keep their model."""

from pathlib import Path

from rps_bench.records.store import RECORDS_FOLDER, record_path

MODELS_FOLDER = "models"


def model_path(results_dir: str | Path, dataset: str, arch: str, run_id: str) -> Path:
    """The compressed file of one run. A name that is not a plain slug raises `RecordError`."""
    record = record_path(results_dir, dataset, arch, run_id)
    relative = record.relative_to(Path(results_dir) / RECORDS_FOLDER)
    return Path(results_dir) / MODELS_FOLDER / relative.with_name(f"{run_id}.safetensors")
