"""Training runs of a study: an experiment file run by the ordinary command, as a table."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from rps_bench.core.errors import UserError
from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.analysis.runs import describe_runs
from rps_bench.sweep.planning import plan_runs


def train(experiment: str, results_dir: Path, overrides: Sequence[str] = ()) -> pd.DataFrame:
    """Run `python -m rps_bench experiment=<experiment>`; return its runs, a row each.

    Recorded runs are not repeated. Records of other runs in `results_dir` (such as another number
    of epochs) are ignored.

    Args:
        experiment: The name of a file in conf/experiment.
        results_dir: Where the records are kept.
        overrides: `key=value` words that change the experiment.

    Returns:
        The rows of the results table with the columns of `describe_runs`, such as `accuracy` in
        percent (null if `has_diverged`).

    Raises:
        UserError: A word is wrong, or the sweep left runs without a result.
    """
    words = [f"experiment={experiment}", f"results_dir='{results_dir}'", *overrides]
    wanted = {config.run_id for config in plan_runs(words, is_sweep=False).configs}
    status = subprocess.run([sys.executable, "-m", "rps_bench", *words], check=False).returncode
    table = read_results(results_dir).table
    runs = describe_runs(table[table["run_id"].isin(wanted) & (table["status"] != "failed")])
    if status != 0 or len(runs) < len(wanted):
        raise UserError(
            f"experiment {experiment}: {len(runs)} of {len(wanted)} runs have a result in "
            f"{results_dir} (exit status {status}, reasons above); run the same command again"
        )
    return runs.reset_index(drop=True)
