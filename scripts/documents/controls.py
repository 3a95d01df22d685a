"""Table of the controls: what a pruner's places and weights, and sharing's slots, are worth."""

from rps_bench.reports.styles import method_rank
from scripts.bench.tables import Rows, write_markdown
from scripts.documents.sources import read_table, show_points

FOLDER = "controls"
SHUFFLED, DRAWN = "shuffle=layer", "reinit=True"
COLUMNS = {
    "shuffled within layers": (SHUFFLED,),
    "weights drawn anew": (DRAWN,),
    "both": (DRAWN, SHUFFLED),
}


def write_controls() -> str:
    """Accuracy of each method as it is, and by how many points each control changes it."""
    summary = read_table(f"{FOLDER}/summary")
    means = {
        (name, ratio, _options(options)): mean
        for (name, options), ratio, mean in zip(
            summary["method"].map(_split), summary["compression"], summary["mean"], strict=True
        )
    }
    plain = sorted((ratio, method_rank(name), name) for name, ratio, own in means if not own)
    rows = []
    for ratio, _, name in plain:
        own = means[name, ratio, ()]
        changed = (means.get((name, ratio, options)) for options in COLUMNS.values())
        changes = ("" if mean is None else show_points(mean - own, 2) for mean in changed)
        rows.append((name, f"{ratio:g}x", f"{own:.2f}", *changes))
    return write_markdown(Rows(("method", "compression", "as it is", *COLUMNS), 2, rows))


def _split(label: str) -> tuple[str, str]:
    name, _, options = label.partition(" (")
    return name, options.removesuffix(")")


def _options(text: str) -> tuple[str, ...]:
    return tuple(sorted(text.split(", "))) if text else ()
