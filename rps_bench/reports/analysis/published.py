"""Published accuracies to lay over our figures: cited facts, never targets, never our runs.

`results_dir/reference/synflow_paper_top1.csv` holds the numbers behind the figures of "Pruning
neural networks without any data by iteratively conserving synaptic flow" (Tanaka et al. 2020,
arXiv 2006.05467). They are best-over-epochs accuracies, so they lie a little above last-epoch ones.
"""

from pathlib import Path

import pandas as pd

from rps_bench.core.errors import UserError

REFERENCE_FILE = Path("reference") / "synflow_paper_top1.csv"
PUBLISHED_NOTE = (
    "grey, dotted, hollow: published: SynFlow paper (best epoch), arXiv 2006.05467, mean of three"
    " seeds; not runs of this study"
)

# The published experiments whose architecture, input and classes equal one of ours. Their networks
# for Tiny ImageNet have another head; their ResNets are wider and deeper than ResNet-20.
_SAME_AS_OURS = {
    "cifar10_lottery_vgg11_bn": ("cifar10", "vgg11"),
    "cifar100_lottery_vgg11_bn": ("cifar100", "vgg11"),
}
_SOURCE_COLUMNS = ("experiment", "method", "log10_compression", "mean_best_top1", "std_ddof1")
_SEEDS = ("seed1", "seed2", "seed3")
COLUMNS = ("dataset", "arch", "method", "compression", "mean", "std", "n")


def read_published(results_dir: str | Path) -> pd.DataFrame:
    """The published points of experiments like ours, empty if there is no file.

    Columns: `dataset`, `arch`, `method`, `compression` (nominal), `mean` and sample `std` of the
    best-over-epochs top-1 in percent over `n` seeds. Raises `UserError` for a file of another
    shape.
    """
    path = Path(results_dir) / REFERENCE_FILE
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    try:
        source = pd.read_csv(path)
        return _translate(source[[*_SOURCE_COLUMNS, *_SEEDS]])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not the table of published accuracies: {error}") from error


def published_for(published: pd.DataFrame, dataset: str, arch: str) -> pd.DataFrame:
    """The points of one dataset and architecture, often none."""
    return published[(published["dataset"] == dataset) & (published["arch"] == arch)]


def _translate(source: pd.DataFrame) -> pd.DataFrame:
    source = source[source["experiment"].isin(_SAME_AS_OURS)]
    ours = source["experiment"].map(_SAME_AS_OURS)
    return pd.DataFrame(
        {
            "dataset": ours.str[0],
            "arch": ours.str[1],
            "method": source["method"],
            "compression": 10.0 ** source["log10_compression"],
            "mean": source["mean_best_top1"],
            "std": source["std_ddof1"],
            "n": source[list(_SEEDS)].count(axis=1),
        }
    ).reset_index(drop=True)
