#!/usr/bin/env bash
# autorank, which ranks methods by their accuracies and names the tests it used.
#
# Guessed: order="descending" (higher is better, the default) puts the best method first and compares the others with it,
# order="ascending" turns the table around; both approaches give the same order, and a library call prints nothing.
# Seen, autorank 1.3.0:
#   The frequentist table begins with the method of the lowest accuracies by either order; only the column of mean ranks
#     changes. Effect sizes are against the first row, which is the worst method by the default and the best by the other.
#   The Bayesian table begins with the best by "descending". So the first row, read as the winner, is the worst method
#     with one approach and the best with the other, and the signs of effects are opposite.
#   Each call prints its table to standard output, verbose=False or not.
# Read ranks by the names in the index and the column meanrank, never by the row.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv && venv/bin/pip -q install autorank==1.3.0 numpy==2.2.6 pandas==2.2.3 scipy==1.15.3

cat >show.py <<'PY'
import contextlib
import io

import numpy as np
import pandas as pd
from autorank import autorank

accuracies = np.random.default_rng(0).normal(60, 1, (10, 3)) + [0, -2, 4]
table = pd.DataFrame(accuracies, columns=["middle", "worst", "best"])
for approach in ("frequentist", "bayesian"):
    for order in ("descending", "ascending"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            ranks = autorank(table, approach=approach, order=order, random_state=0, nsamples=2000).rankdf
        against_first = ranks["effect_size"].astype(float).round().astype(int)
        lines = "prints" if printed.getvalue() else "silent"
        print(approach, order, dict(zip(ranks.index, against_first.tolist())), lines)
PY
found=$(venv/bin/python show.py)
echo "$found"
diff <(echo "$found") - <<'SEEN'
frequentist descending {'worst': 0, 'middle': -2, 'best': -13} prints
frequentist ascending {'worst': 0, 'middle': -2, 'best': -13} prints
bayesian descending {'best': 0, 'middle': 4, 'worst': 13} prints
bayesian ascending {'worst': 0, 'middle': -2, 'best': -13} prints
SEEN
echo "as described"
