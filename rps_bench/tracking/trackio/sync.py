"""Writing what workers could not: they were killed, or their disk was full."""

from contextlib import ExitStack
from pathlib import Path

from rps_bench.tracking.relay.journal import find_journals
from rps_bench.tracking.relay.left_behind import pass_on, take_journals
from rps_bench.tracking.trackio.environment import require_package
from rps_bench.tracking.trackio.runs import FOLDER, SERVICE


def has_unwritten(results_dir: Path) -> bool:
    """Whether messages to trackio wait in a results folder."""
    return find_journals(results_dir / FOLDER) != []


def write_left(results_dir: Path) -> int:
    """Write all runs whose messages wait under ``results_dir/trackio``; print progress.

    Returns:
        The exit status: 0 if nothing is left to write, 1 if something could not be written.

    Raises:
        UserError: trackio is not installed.
    """
    require_package()
    folder = results_dir / FOLDER
    with ExitStack() as stack:
        journals, num_in_use = take_journals(folder, stack)
        if num_in_use:
            print(f"left for later, still being written: {num_in_use}")
        num_left = sum(not pass_on(SERVICE, journal) for journal in journals)
    print(f"wrote {len(journals) - num_left} of {len(journals)} runs under {folder}")
    return 1 if num_left else 0
