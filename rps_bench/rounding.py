"""Runs with ``storage`` other than exact: a trained model rounded to fewer bits and evaluated.

Nothing is trained here. The run with exact storage comes first and keeps its model's file.
"""

from typing import Any

from rps_bench.config import RunConfig
from rps_bench.console import say
from rps_bench.devices import resolve_device
from rps_bench.done import find_done
from rps_bench.methods import load_compressed
from rps_bench.methods.files.write import to_bytes
from rps_bench.records import Record, collect_provenance, find_finished, write_record
from rps_bench.records.models import model_path
from rps_bench.run import describe_config, describe_facts, keep_model, load_data
from rps_bench.tracking import RunDescription, Tracker
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.evaluation import evaluate
from rps_bench.training.precision import resolve_precision


def round_run(config: RunConfig, tracker: Tracker) -> Record | None:
    """Round and evaluate the model of the same run with exact storage; write a record of its own.

    Costs are those of the training. The record has no history; its best accuracy is the one
    accuracy that was measured.

    Returns:
        The record; None if another process has recorded the run in the meantime.

    Raises:
        UserError: The model cannot be rounded so, or its file is broken.
        InUseError: Another process is at the run.
    """
    exact = config.with_exact_storage
    trained = find_finished(*exact.record_place)
    assert trained is not None
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    dataset = load_data(config)
    name = config.checkpoint_name(False, precision, len(dataset.train))
    with Checkpoints(config.results_dir, name, say).in_use(config.run_id):
        if find_done(config) is not None:
            return None
        described = describe_config(config, str(device), precision, dataset)
        tracker.start(RunDescription(config.run_id, described, config.results_dir))
        record: Record = trained | {
            "run_id": config.run_id,
            "config": described,
            "history": [],
            "provenance": collect_provenance(),
        }
        if trained["status"] == "diverged":
            record["size"] = trained["size"] | {"stored_bytes": None}
        else:
            model = load_compressed(model_path(*exact.record_place)).to(device)
            model.round_stored(config.storage)
            result = evaluate(model, dataset.to(device), precision)
            split = config.evaluation_split
            record["metrics"] = trained["metrics"] | {
                f"{split}_accuracy": result.accuracy,
                f"best_{split}_accuracy": result.accuracy,
                f"{split}_loss": result.loss,
            }
            facts = describe_facts(config, result.accuracy)
            size: dict[str, Any] = {"stored_bytes": len(to_bytes(model, config.storage, facts))}
            record["size"] = trained["size"] | size
            if config.keep_model:
                keep_model(config, model, facts)
        write_record(config.results_dir, record)
    tracker.finish(record)
    return record
