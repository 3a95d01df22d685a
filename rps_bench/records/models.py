"""Where the compressed files of runs lie: beside the records, for runs that keep their model."""

from pathlib import Path

from rps_bench.records.store import RECORDS_FOLDER, record_path

MODELS_FOLDER = "models"


def model_path(results_dir: str | Path, dataset: str, arch: str, run_id: str) -> Path:
    """Return the compressed file of one run. A name that is no plain slug raises `RecordError`."""
    record = record_path(results_dir, dataset, arch, run_id)
    relative = record.relative_to(Path(results_dir) / RECORDS_FOLDER)
    return Path(results_dir) / MODELS_FOLDER / relative.with_name(f"{run_id}.safetensors")
