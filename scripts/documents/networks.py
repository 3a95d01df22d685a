"""Which method compresses which widely used network, and the lines that refuse."""

from rps_bench.methods import METHODS
from scripts.networks import NETWORKS, read_lines

WORKS = "yes"


def write_networks() -> str:
    """A row for each network, a column for each method; a number is of the line that refuses."""
    cells = {(network, method): line for network, method, line in read_lines()}
    lines = list(dict.fromkeys(line for line in cells.values() if line))
    rows = [[name, *(_mark(lines, cells[name, method]) for method in METHODS)] for name in NETWORKS]
    head = ["network", *METHODS]
    table = [head, ["---"] * len(head), *rows]
    notes = [f"{number}. {line}" for number, line in enumerate(lines, 1)]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in table), "", *notes])


def _mark(lines: list[str], line: str) -> str:
    return f"no, {lines.index(line) + 1}" if line else WORKS
