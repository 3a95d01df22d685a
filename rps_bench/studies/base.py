"""The contract of studies: a question, options, the numbers that answer it, and their figure.

The values of the options are in conf/study/<name>.yaml and nowhere else.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class TheoryStudy(ABC):
    """A question about the theory; the fields of a subclass are its options.

    A subclass checks its options in `__post_init__` and raises a `UserError` there.
    """

    name: ClassVar[str]
    question: ClassVar[str]  # one line

    @abstractmethod
    def measure(self, folder: Path) -> pd.DataFrame:
        """The numbers as tidy rows; the same options give the same rows, except for timings.

        Args:
            folder: Where studies that train networks keep their records; other studies write
                nothing.
        """

    @abstractmethod
    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure for a table of `measure`; needs `figure_style` in force."""
