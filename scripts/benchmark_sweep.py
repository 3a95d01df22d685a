"""The overhead of a sweep besides training: many runs of a few steps each, in one process.

    python scripts/benchmark_sweep.py [number of runs, default 1000]

Prints the wall time of the whole command, from the start of Python to its last line, and the time
spent inside the training loop: optimizer steps, and evaluation after each epoch. The rest is the
overhead of the harness: imports, planning, data, building models, compressing, measuring, records.
"""

import sys
import tempfile
import time

START = time.perf_counter()

from rps_bench.__main__ import main  # noqa: E402  (its import time counts)

NUM_METHODS = 4  # of the sweep below


def benchmark(num_runs: int) -> None:
    """Run the sweep and print how its time was spent."""
    from rps_bench.records.store import read_records
    from rps_bench.training.level_trainer import LevelTrainer

    seconds_in_loop = 0.0
    run = LevelTrainer.run

    def timed_run(trainer: LevelTrainer) -> object:
        nonlocal seconds_in_loop
        start = time.perf_counter()
        chain = run(trainer)
        seconds_in_loop += time.perf_counter() - start
        return chain

    LevelTrainer.run = timed_run  # type: ignore[assignment, method-assign]
    with tempfile.TemporaryDirectory() as results_dir:
        sys.argv[1:] = [
            "-m",
            "recipe=smoke",
            "method=stable_rps,roast,mag,rand",
            "compression=10",
            f"seed=range({num_runs // NUM_METHODS})",
            f"results_dir={results_dir}",
        ]
        try:
            main()
        except SystemExit as left:
            if left.code:
                raise
        wall = time.perf_counter() - START
        records, _ = read_records(results_dir)
    steps = sum(record["cost"]["train_seconds"] for record in records)
    outside = 100 * (1 - seconds_in_loop / wall)
    print(f"{len(records)} runs in {wall:.1f} s: {steps:.1f} s of steps, "
          f"{seconds_in_loop - steps:.1f} s of evaluation and checkpoints, "
          f"{wall - seconds_in_loop:.1f} s outside training ({outside:.1f}%)")  # fmt: skip


if __name__ == "__main__":
    benchmark(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
