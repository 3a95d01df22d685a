"""The table of all runs as files: `table.csv` and `table.parquet`."""

import io
from pathlib import Path

from rps_bench.core.atomic import write_bytes, write_text
from rps_bench.reports.analysis.results import Study

TABLE_NAMES = ("table.csv", "table.parquet")


def save_table(study: Study) -> list[Path]:
    """Write `table.csv` and `table.parquet` into the results folder, atomically; return both."""
    csv, parquet = (study.results_dir / name for name in TABLE_NAMES)
    packed = io.BytesIO()
    study.table.to_parquet(packed, index=False)
    return [
        write_text(csv, study.table.to_csv(index=False, lineterminator="\n")),
        write_bytes(parquet, packed.getvalue()),
    ]
