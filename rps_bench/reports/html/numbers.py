"""Numbers as the page's script gets them: integers exactly, others to six significant digits."""

from typing import Any

import pandas as pd


def to_number(value: Any) -> int | float | None:
    """A number for JSON: integers exactly, others to six digits, anything else as null."""
    if isinstance(value, bool) or not isinstance(value, int | float) or pd.isna(value):
        return None
    return int(value) if value == int(value) else float(f"{value:.6g}")
