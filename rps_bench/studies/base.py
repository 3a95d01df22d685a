"""What a study is: a question, its options, the numbers that answer it and their figure.

The values of the options stand in conf/study/<name>.yaml and nowhere else.
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
    """One question to the theory; the fields of a subclass are its options.

    A subclass checks its options in `__post_init__` and raises a `UserError` there.
    """

    name: ClassVar[str]
    question: ClassVar[str]  # one line

    @abstractmethod
    def measure(self, folder: Path) -> pd.DataFrame:
        """Return the numbers, a tidy row each; the same options give the same rows, timings aside.

        Args:
            folder: Where a study that trains networks keeps their records; others write nothing.
        """

    @abstractmethod
    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """Return the figure of a table of `measure`; needs `figure_style` in force."""
