"""The table of all runs as files: `table.csv` and `table.parquet`."""

import io
from pathlib import Path

from rps_bench.core.atomic import write_bytes, write_text
from rps_bench.reports.analysis.results import Results

TABLE_NAMES = ("table.csv", "table.parquet")


def save_table(results: Results) -> list[Path]:
    """Write `table.csv` and `table.parquet` into the results folder, atomically; return both."""
    csv, parquet = (results.results_dir / name for name in TABLE_NAMES)
    packed = io.BytesIO()
    results.table.to_parquet(packed, index=False)
    return [
        write_text(csv, results.table.to_csv(index=False, lineterminator="\n")),
        write_bytes(parquet, packed.getvalue()),
    ]
