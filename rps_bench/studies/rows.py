"""Rows of a table of embeddings that cannot be told apart: zero, equal or parallel; its rank."""

import torch
from scipy.stats import hypergeom


def describe_rows(table: torch.Tensor) -> dict[str, float]:
    """The shares in percent of special rows of a table (N, d), and its rank.

    `zero_rows`: all zero. `equal_rows`: not zero and equal to another row. `parallel_rows`: not
    zero and a multiple of another row, including equal ones; this is exact for rows that share
    numbers up to signs and one scale, or have one entry. `rank`: numerical, in float64.
    """
    table = table.double()
    rows = table[(table != 0).any(1)]
    first = rows.gather(1, (rows != 0).int().argmax(1, keepdim=True))  # first nonzero entry
    # Divided by their first nonzero entry, parallel rows become equal.
    return {
        "zero_rows": 100 * (1 - len(rows) / len(table)),
        "equal_rows": 100 * _count_with_twin(rows) / len(table),
        "parallel_rows": 100 * _count_with_twin(rows / first) / len(table),
        "rank": int(torch.linalg.matrix_rank(table)),
    }


def expect_zero_rows(num_rows: int, width: int, num_kept: int) -> float:
    """The expected share of zero rows in percent if the `num_kept` kept entries are random.

    That is the hypergeometric probability that m of N d entries, drawn without replacement, include
    none of a row's d entries.
    """
    return 100 * float(hypergeom(num_rows * width, width, num_kept).pmf(0))


def _count_with_twin(rows: torch.Tensor) -> int:
    """The number of rows that equal another one."""
    if not len(rows):
        return 0
    _, counts = torch.unique(rows + 0.0, dim=0, return_counts=True)  # -0.0 + 0.0 is 0.0
    return int(counts[counts > 1].sum())
