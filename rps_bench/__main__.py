"""The command line: ``python -m rps_bench``, a Hydra application.

It looks ahead, checks every run, says what is recorded already, and hands the rest to Hydra,
which launches them one by one or through a launcher plugin. torch is imported only when a run
really starts.
"""

import os
import sys
import traceback

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from rps_bench.config import InapplicableError, RunConfig
from rps_bench.console import RunProgress, say
from rps_bench.errors import UserError
from rps_bench.records.schema import Record
from rps_bench.records.store import find_record, record_path
from rps_bench.sweep import (
    CONFIG_NAME,
    config_folder,
    freeze_composed,
    hydra_version_base,
    plan_runs,
    require_writable,
)

DONE = ("completed", "diverged")
INFORMATION_FLAGS = ("help", "hydra_help", "version", "cfg", "resolve", "info", "shell_completion")


def main() -> None:
    """Entry point. Exit status: 0 all runs recorded, 1 a run failed, 2 bad input, 130 interrupted."""
    arguments = get_args_parser().parse_args()
    if any(getattr(arguments, flag, None) for flag in INFORMATION_FLAGS):
        _launch()
        return
    try:
        sys.exit(_run_all(arguments.overrides, arguments.multirun))
    except UserError as error:
        print(f"rps_bench: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "rps_bench: interrupted; the same command goes on with what is missing", file=sys.stderr
        )
        sys.exit(130)


def _run_all(overrides: list[str], is_sweep: bool) -> int:
    """Plan, check, launch, sum up; returns the exit status."""
    configs, is_sweep = plan_runs(overrides, is_sweep)
    pending = [config for config in configs if not _say_if_done(config)]
    if not pending:
        return 0
    from rps_bench.preflight import check_buildable

    check_buildable(pending)
    require_writable(pending[0].results_dir)
    _launch()
    failed = [config for config in pending if _status(config) not in DONE]
    if is_sweep:
        say(f"{len(configs)} runs: {len(configs) - len(failed)} recorded, {len(failed)} failed")
        for config in failed:
            say(f"failed: {config.run_id}: {_reason(config)}")
    return 1 if failed else 0


def _launch() -> None:
    """Let Hydra compose and launch what the command line says."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    hydra.main(config_path=str(config_folder()), config_name=CONFIG_NAME, **hydra_version_base())(
        run_composed
    )()


def run_composed(composed: DictConfig) -> None:
    """One job: train and record it unless that is done. A crash is recorded and shown, not raised."""
    try:
        config = freeze_composed(composed)
    except InapplicableError:
        return  # a sweep said so when it was planned
    if _status(config) in DONE:
        return
    from rps_bench.run import record_failure, run

    try:
        with RunProgress(config.run_id, config.recipe.epochs) as progress:
            record = run(config, progress)
        say(describe(record))
    except UserError:
        raise
    except Exception as error:
        traceback.print_exc()
        record_failure(config, f"{type(error).__name__}: {error}".splitlines()[0])


def describe(record: Record) -> str:
    """One line on a finished run."""
    size, metrics = record["size"], record["metrics"]
    accuracy = metrics.get("validation_accuracy", metrics["test_accuracy"])
    result = f"accuracy {accuracy:.2f}%" if accuracy is not None else str(record["reason"])
    return (
        f"{record['status']}: {record['run_id']}  {result}  "
        f"true compression {size['true_compression']:.2f}x"
    )


def _say_if_done(config: RunConfig) -> bool:
    record = find_record(config.results_dir, config.dataset, config.arch, config.run_id)
    if record is None or record["status"] not in DONE:
        return False
    path = record_path(config.results_dir, config.dataset, config.arch, config.run_id)
    say(f"already recorded ({record['status']}), skipped: {path}")
    return True


def _status(config: RunConfig) -> str | None:
    record = find_record(config.results_dir, config.dataset, config.arch, config.run_id)
    return None if record is None else str(record["status"])


def _reason(config: RunConfig) -> str:
    record = find_record(config.results_dir, config.dataset, config.arch, config.run_id)
    return "no record was written" if record is None else str(record["reason"])


if __name__ == "__main__":
    main()
