"""Deleting what a command's runs leave behind and nobody needs any more."""

from collections.abc import Sequence

from rps_bench.config import RunConfig
from rps_bench.core.console import say
from rps_bench.records.store import find_finished
from rps_bench.sweep.preflight import build_method_of
from rps_bench.training.checkpoints import Checkpoints


def discard_checkpoints(configs: Sequence[RunConfig]) -> None:
    """Delete the levels that runs share, once all of ``configs`` that share them are recorded."""
    names: dict[tuple[str, str], set[str]] = {}
    needed: set[tuple[str, str]] = set()
    for config in configs:
        of_dense = config.dense_chain(build_method_of(config).shares_dense_training)
        chains = [chain for chain in (config, of_dense) if chain is not None]
        record = find_finished(*config.record_place)
        if record is None:
            needed |= {_place_of(chain) for chain in chains}
            continue
        # The folder's name holds what the run has resolved, which its record alone tells.
        described = record["config"]
        num_train = described.get("dataset_options", {}).get("num_train")
        resolved = described.get("precision"), described["kernels"], num_train
        for chain in chains:
            name = chain.checkpoint_name(True, *resolved)
            names.setdefault(_place_of(chain), set()).add(name)
    for results_dir, identity in names.keys() - needed:
        for name in names[results_dir, identity]:
            Checkpoints(results_dir, name, say).discard_all()


def _place_of(chain: RunConfig) -> tuple[str, str]:
    return chain.files.results_dir, chain.run_id_without_compression
