"""`python -m scripts.bench [--option value ...]`: measure, write the file, print the tables."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rps_bench.core.atomic import write_text
from rps_bench.core.console import say
from rps_bench.core.errors import ExplainedError
from rps_bench.core.output import command
from scripts.bench.measure import measure_training
from scripts.bench.options import read_options
from scripts.bench.tables import show_measured

FOLDER = Path("results/benchmarks")


@command
def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark and show its tables; return the exit status."""
    try:
        options = read_options(words)
        measured = measure_training(options)
        path = options.output or FOLDER / f"{measured['hardware']}.json"
        write_text(path, json.dumps(measured, indent=2) + "\n")
    except ExplainedError as error:
        print(f"rps_bench: error: {error}", file=sys.stderr)
        return 1
    show_measured(measured)
    say(str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
