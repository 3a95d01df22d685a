"""Run rounds for some minutes and print counts; the status is 1 if any round differed.

    python -m scripts.soak [minutes=10] [seed=0] [writers=8] [folder=a temporary one]

The folders of rounds that differed are kept.
"""

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from scripts.soak.rounds import Rounds


def soak(minutes: float = 10, seed: int = 0, writers: int = 8, folder: str | None = None) -> int:
    """Run rounds for `minutes`; return the exit status."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # inherited by child processes
    path = Path(folder or tempfile.mkdtemp(prefix="rps_bench-soak-")).absolute()
    path.mkdir(parents=True, exist_ok=True)
    rounds = Rounds(path, seed, writers)
    counts, reference = rounds.counts, rounds.reference
    num_runs, seconds = len(reference.run_ids), reference.seconds
    print(f"{num_runs} runs, undisturbed in {seconds:.1f} s; {path}", flush=True)
    deadline = time.monotonic() + 60 * minutes
    kinds = (rounds.kill_one, rounds.kill_some_of_many, rounds.kill_one, rounds.kill_one)
    while time.monotonic() < deadline:
        kinds[counts.rounds.total() % len(kinds)]()
        print(f"{counts.kills.total()} kills, {len(counts.mismatches)} mismatches", flush=True)
    counts.show()
    if not counts.mismatches and folder is None:
        shutil.rmtree(path)
    return int(bool(counts.mismatches))


if __name__ == "__main__":
    options: dict[str, Any] = dict(word.split("=", 1) for word in sys.argv[1:])
    kinds = {"minutes": float, "seed": int, "writers": int, "folder": str}
    sys.exit(soak(**{key: kinds[key](value) for key, value in options.items()}))
