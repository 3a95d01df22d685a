"""The measured numbers as tables: Markdown for pasting, or drawn on a terminal."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from rps_bench.core.console import say, show_table


class Rows(NamedTuple):
    """A table: columns, of which the first ``num_names`` hold words, and rows."""

    columns: tuple[str, ...]
    num_names: int
    cells: Sequence[tuple[str, ...]]


def show_measured(measured: Mapping[str, Any]) -> None:
    """Print the tables and a description of the machine on standard output."""
    lists = (list_training, list_recovery, list_waiting, list_sweep)
    tables = [write(measured) for write in lists]
    for rows in filter(lambda rows: rows.cells, tables):
        if sys.stdout.isatty():
            show_table(_draw(rows))
        else:
            say(write_markdown(rows) + "\n")
    say(describe_machine(measured))


def list_training(measured: Mapping[str, Any]) -> Rows:
    """A row for each network, compression, number of threads and side."""
    columns = ("network", "threads", "loop", "images/s", "to conventional", "to plain",
               "of the matrix rate", "of the copy rate", "peak memory, MB")  # fmt: skip
    cells = []
    for cell in measured["training"]:
        for name, side in cell["sides"].items():
            memory = f"{side['peak_memory_bytes'] / 1e6:.0f}"
            if side["workers_memory_bytes"]:
                memory += f" + {side['workers_memory_bytes'] / 1e6:.0f}"
            cells.append(
                (
                    f"{cell['arch']} {cell['compression']:g}x",
                    str(cell["num_threads"]),
                    name,
                    _format_range(side["images_per_second"], ".0f"),
                    _format_range(side["ratio_to_conventional"], ".2f"),
                    _format_range(side["ratio_to_plain"], ".2f"),
                    f"{100 * side['share_of_matrix_rate']:.1f}%",
                    f"{100 * side['share_of_copy_rate']:.1f}%",
                    memory,
                )
            )
    return Rows(columns, 3, cells)


def list_sweep(measured: Mapping[str, Any]) -> Rows:
    """A row for each command; none where no sweep was measured."""
    columns = ("sweep", "seconds", "ratio", "peak memory of a process, MB")
    sweep = measured["sweep"]
    cells = [
        (
            f"{name}: {' '.join(side['words'])}",
            _format_range(side["seconds"], ".1f"),
            _format_range(side["ratio"], ".2f"),
            f"{side['peak_memory_bytes'] / 1e6:.0f}",
        )
        for name, side in (sweep["sides"].items() if sweep else ())
    ]
    return Rows(columns, 1, cells)


def _format_range(values: Mapping[str, Any], style: str) -> str:
    return f"{values['median']:{style}} ({values['low']:{style}} to {values['high']:{style}})"


def list_recovery(measured: Mapping[str, Any]) -> Rows:
    """A row for each network, compression and map."""
    columns = ("network", "map", *_name_direction("recover"), *_name_direction("send back"))
    cells = []
    for cell in measured["recovery"]:
        for name, directions in cell["maps"].items():
            numbers = [
                text
                for key in ("recover", "send_back")
                for text in _format_direction(directions[key])
            ]
            cells.append((f"{cell['arch']} {cell['compression']:g}x", name, *numbers))
    return Rows(columns, 2, cells)


def _name_direction(name: str) -> tuple[str, str, str]:
    return f"{name}, ms", "x copy", "% of a step"


def _format_direction(direction: Mapping[str, float]) -> tuple[str, str, str]:
    return (
        f"{1e3 * direction['seconds']:.2f}",
        f"{direction['per_copy']:.1f}",
        f"{direction['percent_of_step']:.2f}",
    )


def list_waiting(measured: Mapping[str, Any]) -> Rows:
    """A row for each number of busy processes and each way of waiting."""
    columns = ("network", "beside", "threads wait", "images/s", "ratio", "rounds")
    cells = []
    for cell in measured["waiting"]:
        busy = cell["busy_processes"]
        for name, side in cell["sides"].items():
            stated = ", ".join(f"{key}={value}" for key, value in side["environment"].items())
            cells.append(
                (
                    f"{cell['arch']} {cell['compression']:g}x",
                    f"{busy} busy processes" if busy else "nothing",
                    name + (f" ({stated})" if stated else ""),
                    _format_range(side["images_per_second"], ".0f"),
                    _format_range(side["ratio"], ".2f"),
                    str(len(side["ratio"]["rounds"])),
                )
            )
    return Rows(columns, 3, cells)


def describe_machine(measured: Mapping[str, Any]) -> str:
    """One line with the hardware, its kernels and rates, and the extent of the measurement."""
    options, provenance = measured["options"], measured["provenance"]
    kernels = [own["name"] for own in measured["kernels"].values()]
    rates = [_describe_rates(own) for own in measured["rates"]]
    return (
        f"{measured['hardware']}, torch {provenance['versions']['torch']}, kernels "
        f"{', '.join(kernels)}; {'; '.join(rates)}; images {options['images']}, "
        f"{options['rounds']} rounds of {options['steps']} steps of {options['batch_size']}"
    )


def _describe_rates(rates: Mapping[str, Any]) -> str:
    flops = [
        f"{title} "
        + ", ".join(
            f"{name} {value / 1e9:.0f}" for name, value in rates[f"{kind}_flops_per_second"].items()
        )
        for kind, title in (("matrix", "matrices"), ("convolution", "convolutions"))
    ]
    return (
        f"threads {rates['num_threads']}: {', '.join(flops)} GFLOP/s, copies "
        f"{rates['copy_bytes_per_second'] / 1e9:.1f} GB/s"
    )


def describe_sweep(measured: Mapping[str, Any]) -> str:
    """One line on what was swept over."""
    sweep = measured["sweep"]
    return f"{sweep['num_runs']} runs of `{' '.join(sweep['words'])}`"


def write_markdown(rows: Rows) -> str:
    """The table in Markdown."""
    rule = ["---" if i < rows.num_names else "---:" for i in range(len(rows.columns))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (rows.columns, rule, *rows.cells))


def _draw(rows: Rows) -> Table:
    table = Table()
    for number, name in enumerate(rows.columns):
        table.add_column(name, justify="left" if number < rows.num_names else "right")
    for cells in rows.cells:
        table.add_row(*cells)
    return table
