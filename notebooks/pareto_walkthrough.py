# %% [markdown]
# # From records to what may be said
# A walk from the recorded runs to accuracy against compression, and to what a reader may conclude
# from it. It reads records only and trains nothing. Every number below comes from the records, so
# the same walk fits a study that has grown: execute it again.
#
# The records are those of the repository's `results/` folder. To read another, name it in the
# environment variable `RPS_BENCH_RESULTS`.

# %%
import os
from io import BytesIO
from pathlib import Path

import pandas as pd
from IPython.display import Image, display

from rps_bench.reports.analysis.pareto import pareto_frontier
from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS
from rps_bench.reports.analysis.warnings import find_faults
from rps_bench.reports.claims import judge_claims
from rps_bench.reports.figures import figure_style, plan_figures, split_panels
from rps_bench.reports.tables.summary import summary_table

pd.set_option("display.width", 160, "display.max_columns", 30, "display.max_colwidth", None)
pd.set_option("display.max_rows", 200)
here = Path(__file__).resolve().parent if "__file__" in globals() else Path.cwd()
results_dir = Path(os.environ.get("RPS_BENCH_RESULTS", here.parent / "results"))

study = read_results(results_dir)
newest = str(study.runs["started_at"].max())[:10]
print(f"{len(study.records)} records, the newest of {newest}; {len(study.problems)} unreadable")

# %% [markdown]
# ## What there is
# An *experiment* is what may share a figure: dataset, architecture, recipe, split and all their
# options. Within it a *point* is one method with its options at one compression, a mean over seeds.

# %%
overview = study.runs.groupby(EXPERIMENT_KEYS, dropna=False).agg(
    runs=("run_id", "count"),
    methods=("method", "nunique"),
    compressions=("compression", "nunique"),
    seeds=("seed", "nunique"),
    most_epochs=("epochs", "max"),
    diverged=("has_diverged", "sum"),
    failed=("has_failed", "sum"),
)
display(overview.reset_index())

# %% [markdown]
# ## Faults first
# Before any number: what in these records asks for care. Runs with other options are kept apart by
# themselves and duplicates count once; what is left is for the reader to weigh.

# %%
faults = find_faults(study)
for fault in faults:
    print(f"{fault.kind}: {fault.text}")
if not faults:
    print("none found")

# %% [markdown]
# ## One experiment in numbers
# From here on, the experiment with the most runs. Top-1 accuracy in percent after the last epoch,
# the mean over seeds; best-over-epochs is recorded too, and never used to choose. `low` and `high`
# are the 95% t interval of the mean. With one seed there is no spread, so there is no interval:
# the empty cells are the message.

# %%
panels = split_panels(study)
num_runs = [len(panel.runs) for panel in panels]
panel = panels[num_runs.index(max(num_runs))]
points = panel.points
print(f"{panel.title}, recipe {panel.recipe}, {panel.split} split")

accuracy = points.pivot(index="label", columns="compression", values="mean")
accuracy = accuracy.sort_values(accuracy.columns[-1], ascending=False)
display(accuracy.rename(columns="{:g}x".format).map("{:.2f}".format, na_action="ignore").fillna(""))

columns = ["method", "compression", "true_compression", "n", "mean", "std", "low", "high"]
summary = summary_table(points)[columns].sort_values(
    ["compression", "mean"], ascending=[True, False]
)
display(summary.round(2).astype(object).fillna("").reset_index(drop=True))

# %% [markdown]
# ## The figure
# Accuracy against the requested compression, then against the true one. The grey band joins the
# Pareto frontier: the points that no other beats in both. *Compression* counts convolution and
# linear weights; *true compression* also counts biases and BatchNorm, which nobody compresses, and
# falls behind at the high end.

# %%
planned = dict(plan_figures(study))
with figure_style():
    for suffix in ("", "-true-compression"):
        planned[f"pareto-{panel.stem}{suffix}"]().savefig(picture := BytesIO(), dpi=130)
        display(Image(picture.getvalue()))

# %%
reached = points[points["n"] > 0]
frontier = pareto_frontier(zip(reached["compression"], reached["mean"], strict=True))
for compression, mean in frontier:
    at_point = (reached["compression"] == compression) & (reached["mean"] == mean)
    names = ", ".join(reached.loc[at_point, "label"])
    print(f"{compression:g}x: {mean:.2f}% by {names} (n = {reached.loc[at_point, 'n'].min()})")

# %% [markdown]
# A frontier is made of the highest means, and the highest of many noisy means is partly luck: where
# many methods stand side by side with few seeds, some method must lead.
#
# ## How large is noise?
# At compression 1 nothing is compressed, which gives a look at it. Pruning keeps every weight: the
# dense run, number for number. `stable_rps` is a bijection whose θ is drawn afresh: the dense
# model from another draw of the same init. So their difference at 1x is what another init can do to
# a dense run. One such difference is a rough measure of noise; gaps at other compressions that are
# no larger are no gaps.

# %%
at_one = reached[reached["compression"] == 1].set_index("label")["mean"]
display(at_one.sort_values().round(2).to_frame("accuracy at 1x"))
if {"dense", "stable_rps"} <= set(at_one.index):
    redraw = abs(at_one["dense"] - at_one["stable_rps"])
    print(f"dense against another draw of its init: {redraw:.2f} points")
for compression, group in reached[reached["compression"] > 1].groupby("compression"):
    if len(group) > 1:
        best, second = group["mean"].nlargest(2)
        print(f"{compression:g}x: the best is {best - second:.2f} points ahead of the second")

# %% [markdown]
# ## What a stored number buys
# Bytes are those of the real compressed file. Sharing stores θ, a seed and a table of layers;
# pruning stores the kept values and where they belong. In exchange pruning can skip the
# multiplications of pruned weights, given hardware that does; sharing multiplies as often as the
# dense model.

# %%
with figure_style():
    for suffix in ("-bytes", "-macs"):
        if f"pareto-{panel.stem}{suffix}" in planned:
            planned[f"pareto-{panel.stem}{suffix}"]().savefig(picture := BytesIO(), dpi=130)
            display(Image(picture.getvalue()))

# %% [markdown]
# ## What training cost
# `total_epochs` counts all trainings that were needed to get the model: a method that prunes,
# rewinds and trains again pays for each round. Seconds tell about a machine and what else ran on
# it: one method trains about equally long at every compression, so the spread between its runs
# shows how far seconds can be trusted. Where all methods cost the same epochs, a figure of accuracy
# against cost would be one column and is left out. The training curves follow.

# %%
cost = panel.runs.groupby("label").agg(
    trainings=("num_trainings", "max"),
    epochs=("total_epochs", "max"),
    fewest_seconds=("total_train_seconds", "min"),
    most_seconds=("total_train_seconds", "max"),
)
display(cost.sort_values("epochs").round(1))
names = [f"curves-{panel.stem}"]
if points["total_epochs"].nunique() > 1:
    names.insert(0, f"pareto-{panel.stem}-cost")
with figure_style():
    for name in names:
        if name in planned:
            planned[name]().savefig(picture := BytesIO(), dpi=110)
            display(Image(picture.getvalue()))

# %% [markdown]
# Few epochs compare how *fast* methods learn under this recipe. Which is best after long training
# is another question, and the curves above cannot answer it.
#
# ## The paper's claims, judged
# Each claim is a comparison of two methods, paired by seed: runs of one seed share the dense init,
# the order of the data and the augmentation. One seed decides nothing, whatever the difference:
# then the verdict is *undecided*, never *supported*. `low` and `high` are the plain 95% interval of
# that one difference; the p value is corrected for the number of comparisons in its experiment.

# %%
claims = judge_claims(study)
display(claims["verdict"].value_counts().to_frame("comparisons"))
columns = ["claim", "compression", "verdict", "difference", "low", "high", "n", "p_adjusted"]
place = [panel.dataset, panel.arch, panel.recipe, panel.split, panel.options]
own = claims["dataset"].isna() | (claims[EXPERIMENT_KEYS] == place).all(axis=1)
shown = claims.loc[own, [*columns, "reason"]].round({"difference": 2, "low": 2, "high": 2})
shown["p_adjusted"] = shown["p_adjusted"].map("{:.2g}".format, na_action="ignore")
display(shown.astype(object).fillna("").reset_index(drop=True))

# %% [markdown]
# ## What may be said
# What the pruning literature asks for before methods are ranked (Blalock et al. 2020, "What is the
# state of neural network pruning?"), and what the paper trained, beside what these records hold:

# %%
plain = points[points["is_plain"] & (points["method"] != "dense")]
num_pairs = study.runs.groupby(["dataset", "arch"]).ngroups
num_compressions = plain.groupby("method")["compression"].nunique().max()
control = "present" if "dense" in set(points["method"]) else "absent"
asked = [
    ("pairs of dataset and architecture", "3 or more", num_pairs),
    ("compressions per method", "5 or more", num_compressions),
    ("seeds per point, fewest", "3 or more", plain["n"].min()),
    ("epochs", "160 (recipe paper)", panel.runs["epochs"].max()),
    ("unpruned control", "present", control),
    ("faults found", "0", len(faults)),
]
display(pd.DataFrame(asked, columns=["what", "asked for", "here"]).set_index("what"))

# %% [markdown]
# Where a line falls short, this much may be said and no more:
#
# - **Few seeds.** A point is one draw of a noisy number. A gap as small as the noise above means
#   nothing, and the order of methods within it neither. A gap many times as large is worth
#   repeating, with more seeds, before it is worth believing.
# - **Few epochs.** The figure tells which method learns fast under this recipe. It neither supports
#   nor contradicts claims about long training.
# - **Few datasets, architectures or compressions.** What holds here may be particular to it.
# - **Undecided is an answer.** It says that these records cannot tell, not that the methods are
#   equal.
