"""The command line: ``python -m rps_bench``, a Hydra application.

It looks ahead, checks every run, says what is recorded already, and hands the rest to Hydra,
which launches them one by one or through a launcher plugin. torch is imported only when a run
really starts.
"""

import argparse
import os
import sys
import traceback

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from rps_bench.config import RunConfig
from rps_bench.console import RunProgress, say
from rps_bench.errors import UserError
from rps_bench.freeze import InapplicableError
from rps_bench.records.schema import Record
from rps_bench.records.store import find_record
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
    """Entry point. Exits with 0: all recorded, 1: a run failed, 2: bad input, 130: interrupted."""
    try:
        arguments = _parse(sys.argv[1:])
        if any(getattr(arguments, flag, None) for flag in INFORMATION_FLAGS):
            _launch()
            return
        sys.exit(_run_all(arguments.overrides, arguments.multirun))
    except UserError as error:
        _show_error(error)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "rps_bench: interrupted; the same command goes on with what is missing", file=sys.stderr
        )
        sys.exit(130)


def _parse(words: list[str]) -> argparse.Namespace:
    """Hydra's flags and the overrides, in any order; Hydra itself then sees the flags first."""
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign, assignment]
    arguments = parser.parse_intermixed_args(words)
    sys.argv[1:] = [w for w in words if w not in arguments.overrides] + arguments.overrides
    return arguments


def _refuse(message: str) -> None:
    raise UserError(f"{message}; --help shows what is allowed")


def _run_all(overrides: list[str], is_sweep: bool) -> int:
    """Plan, check, launch, sum up; returns the exit status."""
    configs, is_sweep = plan_runs(overrides, is_sweep)
    pending = []
    for config in configs:
        if _is_done(config):
            say(f"already recorded, skipped: {config.run_id}")
        else:
            pending.append(config)
    if not pending:
        return 0
    from rps_bench.preflight import check_buildable

    check_buildable(pending)
    for folder in sorted({config.results_dir for config in pending}):
        require_writable(folder)
    _launch()
    failed = [config for config in pending if not _is_done(config)]
    if is_sweep:
        say(f"{len(configs)} runs: {len(configs) - len(failed)} recorded, {len(failed)} failed")
        for config in failed:
            say(f"failed: {config.run_id}: {_reason(config)}")
    if any(_find(config) is None for config in failed):
        return 2  # its one line was shown when it was tried
    return 1 if failed else 0


def _launch() -> None:
    """Let Hydra compose and launch what the command line says."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    hydra.main(config_path=str(config_folder()), config_name=CONFIG_NAME, **hydra_version_base())(
        run_composed
    )()


def run_composed(composed: DictConfig) -> None:
    """One job: train and record it unless that is done. A crash is recorded and shown."""
    try:
        config = freeze_composed(composed)
    except InapplicableError:
        return  # a sweep said so when it was planned
    if _is_done(config):
        return
    from rps_bench.run import record_failure, run

    try:
        with RunProgress(config.run_id, config.recipe.epochs) as progress:
            record = run(config, progress)
        say(describe(record))
    except UserError as error:  # for example missing images: the other runs go on
        _show_error(error)
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


def _show_error(error: UserError) -> None:
    print(f"rps_bench: error: {error}", file=sys.stderr, flush=True)


def _find(config: RunConfig) -> Record | None:
    return find_record(config.results_dir, config.dataset, config.arch, config.run_id)


def _is_done(config: RunConfig) -> bool:
    """Whether the run has a record that need not be tried again."""
    record = _find(config)
    return record is not None and record["status"] in DONE


def _reason(config: RunConfig) -> str:
    record = _find(config)
    return "no record was written" if record is None else str(record["reason"])


if __name__ == "__main__":
    main()
