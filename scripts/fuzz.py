"""Fuzz every command of this package with thousands of random command lines, and count answers.

    python scripts/fuzz.py [number of lines, default 2000] [seed, default 0]

Half of the lines go to `python -m rps_bench`, the rest to the other commands. Nothing is trained,
and all files are written below temporary folders. A fault is a traceback, an answer of more than
one line, no answer within a minute, or a write outside the results folder. Each kind of fault is
shown once with a line that causes it, and the exit status is then 1.
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

LINES: dict[str, tuple[SearchStrategy[list[str]], float]] = {  # lines, and their share of all
    "rps_bench": (words.RUN_LINES, 0.5),
    "rps_bench.plan": (words.RUN_LINES, 0.1),
    "rps_bench.export": (words.EXPORT_LINES, 0.1),
    "rps_bench.inference": (words.INFERENCE_LINES, 0.1),
    "rps_bench.studies": (words.STUDY_LINES, 0.1),
    "rps_bench.reports": (words.REPORT_LINES, 0.1),
}
ANSWERS = ("refused", "accepted", "informed", "fault")


def fuzz(door: str, number: int, start: int) -> Counter[str]:
    """Run one command with `number` random lines; count its answers and print its faults."""
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
    """Fuzz all commands and print counts for each; return the exit status."""
    num_faults = 0
    for door, (_, share) in LINES.items():
        counts = fuzz(door, max(1, round(share * number)), start)
        told = ", ".join(f"{counts[answer]} {answer}" for answer in ANSWERS)
        print(f"{door}: {counts.total()} lines, {told}", flush=True)
        num_faults += counts["fault"]
    return 1 if num_faults else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
