"""The undisturbed sweep, whose results every round must reproduce."""

import time
from collections.abc import Sequence

from rps_bench.sweep.planning import plan_runs
from scripts.soak.folder import Folder


class Reference:
    """Runs, records and models of the undisturbed sweep, and the seconds that it takes.

    Args:
        folder: The folder to run it in.
        sweep: Words of the command.
    """

    def __init__(self, folder: Folder, sweep: Sequence[str]) -> None:
        self.run_ids = {run.run_id for run in plan_runs(sweep[1:], is_sweep=True).configs}
        started = time.monotonic()
        child = folder.start(sweep)
        child.wait()
        self.seconds = time.monotonic() - started
        assert child.status == 0, child.log.read_text()
        self.records, wrong = folder.records()
        assert self.records.keys() == self.run_ids, wrong
        assert wrong == [], wrong
        self.models = folder.models()

    def find_differences(self, folder: Folder, num_kills: int) -> list[str]:
        """The differences of a round: other results, or more repeated epochs than kills explain."""
        records, found = folder.records()
        for run_id in self.run_ids | records.keys():
            if records.get(run_id) != self.records.get(run_id):
                found.append(f"another record: {run_id}")
        if folder.models() != self.models:
            found.append("other model files")
        twice = [run_id for run_id, count in folder.recordings().items() if count > 1]
        if twice:
            found.append(f"recorded twice: {', '.join(twice)}")
        num_redone = folder.num_redone()
        if num_redone > num_kills:
            found.append(f"{num_redone} epochs done again after {num_kills} kills")
        return found
