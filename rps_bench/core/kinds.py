"""The kinds of compression methods: what methods declare, records carry and reports ask for.

Imports no torch, so that reports can read it.
"""

from typing import Literal, get_args

Kind = Literal["dense", "narrower", "pruning", "sharing", "post-training"]
"""What a method does to the network.

dense: nothing. narrower: fewer channels of the same architecture. pruning: some of the weights
stay, at their own places, the others are zero. sharing: all weights are read from a smaller
repository. post-training: a trained dense network is compressed, and what is stored may be trained
again.
"""

KINDS: tuple[Kind, ...] = get_args(Kind)
