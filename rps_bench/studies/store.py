"""The files of a study: `<name>.csv`, `<name>.json` (options, hardware, versions), a figure."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from rps_bench.core.atomic import write_text
from rps_bench.core.errors import UserError
from rps_bench.records import collect_provenance
from rps_bench.reports.figures import figure_style, save_figure
from rps_bench.studies.base import TheoryStudy


def run_study(study: TheoryStudy, folder: Path) -> list[Path]:
    """Measure, then write table, description and figure into `folder`; return the files."""
    provenance = collect_provenance()
    table = study.measure(folder)
    description = {
        "study": study.name,
        "question": study.question,
        "options": asdict(study),
        "provenance": provenance,
    }
    return [
        write_text(folder / f"{study.name}.csv", table.to_csv(index=False, float_format="%.9g")),
        write_text(folder / f"{study.name}.json", json.dumps(description, indent=2) + "\n"),
        *draw_study(study, folder),
    ]


def draw_study(study: TheoryStudy, folder: Path) -> list[Path]:
    """Draw the figure for the numbers stored in `folder`; return its files.

    Raises:
        UserError: The study has never been run there.
    """
    table, description = read_study_files(study.name, folder)
    with figure_style():
        figure = study.draw(table, describe_origin(description))
        return save_figure(figure, folder, study.name)


def read_study_files(name: str, folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table and the description of an earlier study.

    Raises:
        UserError: A file is missing or broken.
    """
    csv, description = folder / f"{name}.csv", folder / f"{name}.json"
    try:
        return pd.read_csv(StringIO(csv.read_text())), json.loads(description.read_text())
    except FileNotFoundError as error:
        raise UserError(
            f"no {error.filename}: first run python -m rps_bench.studies {name}"
        ) from error
    except (ValueError, OSError) as error:
        raise UserError(f"{folder}/{name}: unreadable ({error})") from error


def describe_origin(description: dict[str, Any]) -> Sequence[str]:
    """The small print: options, then hardware and date."""
    options = "; ".join(
        f"{key} {_list(value)}" for key, value in description["options"].items() if value != []
    )
    origin = description["provenance"]
    cpu = f"{origin['cpu_model'] or 'unknown processor'} ({origin['num_threads']} threads)"
    return [options, f"{cpu}, torch {origin['versions']['torch']}; {origin['started_at'][:10]}"]


def _list(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
