"""The paper's claims, one declared object each; no other file of this room names a method.

Source: Desai and Shrivastava, "In defense of parameter sharing for model-compression", ICLR 2024,
arXiv 2310.11611.
"""

import math
from dataclasses import dataclass
from typing import Literal

Direction = Literal["at_or_above", "above", "equal", "below"]

REFERENCE = "stable_rps"  # the method that most claims are about
DEFAULT_MARGIN = 0.5  # points of accuracy that count as no difference


@dataclass(frozen=True)
class Comparison:
    """A claim about the accuracy of one method against a rival at the same compression.

    Attributes:
        name: Short, as tables write it.
        statement: The claim as a sentence.
        method: The method whose accuracy the claim is about.
        rival: The method whose accuracy is subtracted from it.
        direction: Where the true difference lies if the claim holds (``true_interval``).
        beyond: The claim is about compressions above this.
        up_to: The claim is about compressions up to this.
    """

    name: str
    statement: str
    method: str
    rival: str
    direction: Direction
    beyond: float = 0.0
    up_to: float = math.inf


@dataclass(frozen=True)
class Stability:
    """A claim that ``rival`` diverges for some value of an option where ``method`` never does.

    Attributes:
        name: Short, as tables write it.
        statement: The claim as a sentence.
        method: The method that never diverges.
        rival: The method that diverges for some value.
        option: The method option that is varied, with all others at their defaults.
        least_values: How many values must have been tried on both at one compression.
        least_span: The least ratio of the largest to the smallest of these values.
    """

    name: str
    statement: str
    method: str
    rival: str
    option: str
    least_values: int = 3
    least_span: float = 100.0


Claim = Comparison | Stability


def true_interval(direction: Direction, margin: float) -> tuple[float, float]:
    """The open interval of true differences (points) for which a claim holds.

    "At or above" and "equal" tolerate a difference below ``margin``. "Below" requires more than it,
    so that "equal" and "below" exclude each other. "Above" is any difference above zero.
    """
    low = 0.0 - margin  # 0.0 - 0.0, unlike -0.0, prints without a sign
    return {
        "at_or_above": (low, math.inf),
        "above": (0.0, math.inf),
        "equal": (low, margin),
        "below": (-math.inf, low),
    }[direction]


_PRUNING_AT_INIT = ("mag", "snip", "synflow", "grasp", "rand")

CLAIMS: tuple[Claim, ...] = (
    *(
        Comparison(
            name=f"rps_vs_{rival}",
            statement=f"stable_rps is at or above {rival} at every compression.",
            method="stable_rps",
            rival=rival,
            direction="at_or_above",
        )
        for rival in _PRUNING_AT_INIT
    ),
    # At 1x `small` is the dense model itself.
    Comparison(
        name="rps_vs_small",
        statement="stable_rps is above small models of the same nominal compression, beyond 1x.",
        method="stable_rps",
        rival="small",
        direction="above",
        beyond=1.0,
    ),
    Comparison(
        name="rps_vs_ltr_beyond_10x",
        statement="stable_rps is above ltr beyond 10x.",
        method="stable_rps",
        rival="ltr",
        direction="above",
        beyond=10.0,
    ),
    Comparison(
        name="rps_equals_dense_at_1x",
        statement="stable_rps at 1x is as accurate as the dense model.",
        method="stable_rps",
        rival="dense",
        direction="equal",
        up_to=1.0,
    ),
    Comparison(
        name="roast_differs_from_dense_at_1x",
        statement="roast at 1x is below the dense model.",
        method="roast",
        rival="dense",
        direction="below",
        up_to=1.0,
    ),
    Stability(
        name="roast_diverges_for_some_init_std",
        statement="roast diverges for some init std where stable_rps never does.",
        method="stable_rps",
        rival="roast",
        option="init_std",
    ),
)
