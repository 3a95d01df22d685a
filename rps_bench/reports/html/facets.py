"""What a row of a table speaks of, in the page's facets, so that it follows the page's filter.

The facets are those of `filter.js`; a row without one of them holds for all its values.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from rps_bench.reports.html.numbers import to_number

# Column of a table -> facet of the page.
_COLUMNS = {
    "dataset": "dataset", "arch": "arch", "recipe": "recipe", "protocol": "protocol",
    "evaluation_split": "split", "experiment_options": "options",
}  # fmt: skip


def mark_facets(row: Mapping[Any, Any], methods: Iterable[str]) -> dict[str, str]:
    """The attribute of a row about these methods; none for a row that no experiment has runs for.

    `row` may lack columns; a compression that is null stands for all of them.
    """
    if pd.isna(row["dataset"]):
        return {}
    facets: dict[str, list[Any]] = {
        facet: [str(row[column])] for column, facet in _COLUMNS.items() if column in row
    }
    facets["method"] = sorted({str(method) for method in methods})
    if pd.notna(row["compression"]):
        facets["compression"] = [to_number(row["compression"])]
    return {"data-facets": json.dumps(facets)}
