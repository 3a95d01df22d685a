"""One exact selection for every pruning method: the k highest scores, ties by lower index."""

import torch


def keep_highest(scores: torch.Tensor, num_kept: int) -> torch.Tensor:
    """Positions of the ``num_kept`` highest scores, ascending.

    "Keep what is above the k-th value" keeps none of 1,000 equal scores; here the scores at the
    k-th value fill what is left, lowest position first.

    Args:
        scores: (n,) without NaN.
        num_kept: 0 <= num_kept <= n.

    Returns:
        (num_kept,) int64.
    """
    assert not torch.isnan(scores).any()
    if num_kept == 0:
        return torch.empty(0, dtype=torch.int64, device=scores.device)
    # Not kthvalue, which deterministic=true forbids on a GPU in some versions of PyTorch.
    threshold = scores.topk(num_kept, sorted=False).values.min()
    kept = scores > threshold
    ties = (scores == threshold).nonzero().view(-1)
    kept[ties[: num_kept - int(kept.sum())]] = True
    return kept.nonzero().view(-1)
