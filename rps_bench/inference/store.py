"""The files of a measurement: `inference.csv`, `inference.json` and the figure in `plots/`."""

import json
from dataclasses import asdict
from pathlib import Path

from rps_bench.core.atomic import write_text
from rps_bench.inference.figure import draw_inference
from rps_bench.inference.measure import measure_inference
from rps_bench.inference.options import Options
from rps_bench.records import collect_provenance
from rps_bench.reports.analysis.latency import (
    INFERENCE_NAME,
    Measured,
    describe_hardware,
    read_latency,
)
from rps_bench.reports.figures import figure_style, save_figure
from rps_bench.reports.figures.files import PLOTS_FOLDER
from rps_bench.runtime.cores import limit_threads


def run_inference(options: Options) -> list[Path]:
    """Measure, then write table, description and figure into the results folder."""
    with limit_threads(options.threads):
        provenance = collect_provenance()
    table = measure_inference(options)
    folder = options.results_dir
    described = {key: value for key, value in asdict(options).items() if key != "results_dir"}
    description = {"options": described, "provenance": provenance}
    csv = folder / f"{INFERENCE_NAME}.csv"
    return [
        write_text(csv, table.to_csv(index=False, float_format="%.9g", lineterminator="\n")),
        write_text(csv.with_suffix(".json"), json.dumps(description, indent=2) + "\n"),
        *save_inference_figure(folder),
    ]


def save_inference_figure(folder: Path) -> list[Path]:
    """Draw the figure for the numbers stored in a results folder."""
    measured = read_latency(folder)
    assert measured is not None
    with figure_style():
        figure = draw_inference(
            measured.table, [*_name_size(measured), describe_hardware(measured)]
        )
        return save_figure(figure, folder / PLOTS_FOLDER, INFERENCE_NAME)


def _name_size(measured: Measured) -> list[str]:
    """The size of the images as small print; tables of before there was a choice say none."""
    if "image_size" not in measured.table:
        return []
    size = measured.table["image_size"].iloc[0]
    return [f"images of {size}x{size} pixels"]
