"""Deleting what a command's runs leave behind and nobody needs any more."""

from collections.abc import Sequence

from rps_bench.config import RunConfig
from rps_bench.core.console import say
from rps_bench.methods import build_method
from rps_bench.methods.base import Method
from rps_bench.records.store import find_finished
from rps_bench.training.checkpoints import Checkpoints


def discard_checkpoints(configs: Sequence[RunConfig]) -> None:
    """Delete the levels that runs share, once all of ``configs`` that share them are recorded."""
    names: dict[tuple[str, str], set[str]] = {}
    needed: set[tuple[str, str]] = set()
    for config in configs:
        chain = config.files.results_dir, config.run_id_without_compression
        shares_dense = _build(config).shares_dense_training
        dense = config.files.results_dir, config.run_id_of_dense
        record = find_finished(*config.record_place)
        if record is None:
            needed |= {chain, dense} if shares_dense else {chain}
            continue
        # The folder's name holds what the run has resolved, which its record alone tells.
        described = record["config"]
        num_train = described.get("dataset_options", {}).get("num_train")
        resolved = described.get("precision"), described["kernels"], num_train
        name = config.checkpoint_name(True, *resolved)
        names.setdefault(chain, set()).add(name)
        name_of_dense = config.dense_checkpoint_name(*resolved) if shares_dense else None
        if name_of_dense is not None:
            names.setdefault(dense, set()).add(name_of_dense)
    for results_dir, identity in names.keys() - needed:
        for name in names[results_dir, identity]:
            Checkpoints(results_dir, name, say).discard_all()


def _build(config: RunConfig) -> Method:
    options = config.method_options
    return build_method(config.method, config.compression, config.seed, **options)
