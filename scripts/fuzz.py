"""Ask every command of this package thousands of lines that nobody would write, and count.

    python scripts/fuzz.py [number of lines, default 2000] [seed, default 0]

Half of the lines are asked of `python -m rps_bench`, the rest of the other commands. Nothing is
trained, and all is written below temporary folders. A fault is a traceback, an answer that is not
one line, no answer within a minute, or a write outside the results folder; each kind is shown once
with a line that gives it, and the exit status is 1.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fuzzing import words
from tests.fuzzing.doors import DOORS, Fault

LINES: dict[str, tuple[SearchStrategy[list[str]], float]] = {  # and the share of all lines
    "rps_bench": (words.RUN_LINES, 0.5),
    "rps_bench.plan": (words.RUN_LINES, 0.1),
    "rps_bench.export": (words.EXPORT_LINES, 0.1),
    "rps_bench.inference": (words.INFERENCE_LINES, 0.1),
    "rps_bench.studies": (words.STUDY_LINES, 0.1),
    "rps_bench.reports": (words.REPORT_LINES, 0.1),
}
ANSWERS = ("refused", "accepted", "informed", "fault")


def fuzz(door: str, number: int, start: int) -> Counter[str]:
    """Ask one command so many lines; count its answers and show its faults."""
    counts: Counter[str] = Counter()
    shown: set[str] = set()

    def ask(line: Sequence[str]) -> None:
        try:
            counts[DOORS[door](line)] += 1
        except Fault as fault:
            counts["fault"] += 1
            kind = str(fault)[:80]
            if kind not in shown:
                print(f"fault of {door}: {line!r:.500}\n    {fault}", flush=True)
            shown.add(kind)

    freely = settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seed(start)(freely(given(LINES[door][0])(ask)))()
    return counts


def main(number: int = 2000, start: int = 0) -> int:
    """Print a line of counts for every command; return the exit status."""
    num_faults = 0
    for door, (_, share) in LINES.items():
        counts = fuzz(door, max(1, round(share * number)), start)
        told = ", ".join(f"{counts[answer]} {answer}" for answer in ANSWERS)
        print(f"{door}: {counts.total()} lines, {told}", flush=True)
        num_faults += counts["fault"]
    return 1 if num_faults else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
