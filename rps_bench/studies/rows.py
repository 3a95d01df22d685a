"""What can be told apart in a table of embeddings: rows that are zero, equal or parallel; rank."""

import torch
from scipy.stats import hypergeom


def describe_rows(table: torch.Tensor) -> dict[str, float]:
    """Shares of the rows of a table (N, d), in percent, and its rank.

    `zero_rows`: all zero. `equal_rows`: not zero and equal to another row. `parallel_rows`: not
    zero and a multiple of another row, equal ones included; what shares numbers through signs
    and one scale, or has one entry, is found exactly. `rank`: numerical, float64.
    """
    table = table.double()
    rows = table[(table != 0).any(1)]
    first = rows.gather(1, (rows != 0).int().argmax(1, keepdim=True))  # first entry not zero
    return {
        "zero_rows": 100 * (1 - len(rows) / len(table)),
        "equal_rows": 100 * _count_with_twin(rows) / len(table),
        "parallel_rows": 100 * _count_with_twin(rows / first) / len(table),
        "rank": int(torch.linalg.matrix_rank(table)),
    }


def expect_zero_rows(num_rows: int, width: int, num_kept: int) -> float:
    """Expected share of zero rows in percent where any `num_kept` entries may be the kept ones.

    None of a row's d entries is among m of N d drawn without replacement: hypergeometric.
    """
    return 100 * float(hypergeom(num_rows * width, width, num_kept).pmf(0))


def _count_with_twin(rows: torch.Tensor) -> int:
    """How many rows are equal to another one."""
    if not len(rows):
        return 0
    _, counts = torch.unique(rows + 0.0, dim=0, return_counts=True)  # + 0.0: no -0
    return int(counts[counts > 1].sum())
