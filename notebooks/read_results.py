# %% [markdown]
# # Reading the results
# A notebook as a percent script: open it in any editor that knows `# %%` cells, or run it as it
# is. It reads `results/table.csv` and defines nothing.

# %%
from pathlib import Path

import pandas as pd

root = Path(__file__).resolve().parents[1] if "__file__" in globals() else Path.cwd().parent
table = pd.read_csv(root / "results" / "table.csv")
print(f"{len(table)} runs:", table.groupby(["dataset", "arch", "recipe"]).size().to_dict())

# %% [markdown]
# Last-epoch top-1 accuracy (%) by method and nominal compression, mean over seeds. An empty cell
# is a run that diverged or was not made.

# %%
accuracy = table.pivot_table("test_accuracy", ["dataset", "label"], "compression", "mean")
print(accuracy.round(2).to_string())

# %% [markdown]
# What each stored number buys: true compression counts biases and BatchNorm too.

# %%
columns = ["label", "compression", "true_compression", "stored_total", "stored_bytes"]
print(table[columns].sort_values(["compression", "label"]).to_string(index=False))
