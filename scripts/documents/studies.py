"""The studies of the theory: each one's question and what came, from its own numbers."""

from collections.abc import Callable

import pandas as pd

from scripts.bench.tables import Rows, write_markdown
from scripts.documents.sources import TIMES, list_words, read_json, read_table


def write_studies() -> str:
    """A row for each study."""
    rows = [
        (f"`{name}`", read_json(f"studies/{name}")["question"], find())
        for name, find in FINDINGS.items()
    ]
    return write_markdown(Rows(("study", "question", "what came"), 3, rows))


def _load() -> str:
    table = read_table("studies/load")
    table = table[table["arch"] == "resnet20"]
    even = (table["max_load"] - table["min_load"]).groupby(table["method"]).max() <= 1
    unused = 100 * (1 - table[table["compression"] == 1].set_index("method")["used"])
    high = table[(table["method"] == "roast") & (table["compression"] == 316)].iloc[0]
    return (
        f"{list_words(sorted(even[even].index))}: floor or ceil of n/m weights a slot."
        f" hashednet and roast leave {unused['hashednet']:.0f}% and {unused['roast']:.0f}% of the"
        f" slots unused at 1x; roast's loads at 316x run from {high.min_load} to {high.max_load}"
    )


def _stable_steps() -> str:
    table = read_table("studies/stable_steps")
    lowest = table.groupby("scaling")["ratio"].min()
    is_default = (table["init_std"] == 0.04) & (table["compression"] == 10)
    unscaled = table[is_default & (table["scaling"] == "none") & (table["method"] == "stable_rps")][
        "ratio"
    ].min()
    return (
        f"of the dense model's step: `gram` never below {lowest['gram']:.2g}, `squared_mean` down"
        f" to {lowest['squared_mean']:.2f}; without scaling {unscaled:.4f} at init std 0.04 and 10x"
    )


def _init_std() -> str:
    table = read_table("studies/init_std")
    grid = table.pivot_table(index=["method", "scaling"], columns="init_std", values="accuracy")
    spread = (grid.max(axis=1) - grid.min(axis=1)).unstack()
    flat = spread[["gram", "squared_mean"]].to_numpy().max()
    is_shown = (table["method"] == "stable_rps") & (table["scaling"] == "none")
    unscaled = table[is_shown].set_index("init_std")["accuracy"]
    shown = list_words([f"{unscaled[std]:.0f}% at {std:g}" for std in (0.001, 0.1, 1)])
    return (
        f"with `gram` and `squared_mean`: flat within {flat:.1f} points from 0.001 to 1; without"
        f" scaling {shown} (stable_rps, 200 steps on CIFAR-10)"
    )


def _continuity() -> str:
    table = read_table("studies/continuity")
    at_end = table[(table["rate"] == 0.1) & (table["step"] == table["step"].max())]
    distance = at_end.set_index("variant")["distance"]
    pruned = distance[["mag", "snip", "synflow", "grasp", "rand"]].max()
    shared = distance["stable_rps repository_init=project"]
    return (
        f"distance to the dense weights at the end: pruning {pruned:g}; stable_rps and rpg"
        f" {shared:.0e}, what moving the dense run by one rounding does, too"
        f" ({distance['dense moved by a rounding']:.0e}); roast and hashednet, fitted to the"
        f" dense start, about"
        f" {distance['roast repository_init=project scaling=gram']:.1f}"
    )


def _inner_products() -> str:
    table = read_table("studies/inner_products")
    table = table[table["compression"] == 10].set_index(["quantity", "data", "method"])
    variance = table["variance"].unstack()
    ratio = variance["fixed_size"] / variance["randomfold"]
    wins = 1 - table["worse_than_randomfold"]["inner_product", "power_law", "fixed_size"]
    return (
        f"sharing for norms of heavy tails ({ratio['norm', 'power_law']:.0f} times less variance)"
        f" and of unequal scales ({ratio['norm', 'blocks']:.0f}); level on Gaussian data; pruning"
        f" for norms of ±1 data, and for {100 * wins:.0f}% of pairs with heavy tails in different"
        " places: the paper's inequality is an average"
    )


def _linear_models() -> str:
    table = read_table("studies/linear_models")
    means = table[table["compression"] == 10].groupby(["dataset", "method"])["test_accuracy"].mean()
    shown = [
        f"{data} {means[key, 'stable_rps']:.1f}% against {means[key, 'rand']:.1f}%"
        for key, data in (("digits", "digits"), ("cifar10", "CIFAR-10 pixels"))
    ]
    return f"test accuracy of stable_rps against rand at 10x: {'; '.join(shown)}"


def _cache_lines() -> str:
    table = read_table("studies/cache_lines")
    is_shown = (table["arch"] == "vgg11") & (table["compression"] == 1) & (table["part"] == "lines")
    lines = table[is_shown].set_index(["block", "method"])["relative_lines"]
    run, tile = lines["run of 256"], lines[f"tile 16 {TIMES} 16"]
    sizes = table[table["part"] == "sizes"]
    times = sizes.pivot_table(index="theta_bytes", columns="method", values="ns_per_weight")
    slower = times["hashednet"] / times["stable_rps"]
    return (
        f"times the fewest lines: in runs RANDOMFOLD {run['stable_rps']:.2f}, hashing"
        f" {run['hashednet']:.0f}; in 16 {TIMES} 16 tiles roast {tile['roast']:.2f}, RANDOMFOLD"
        f" {tile['stable_rps']:.1f}. In time hashing is up to {slower.max():.0f} times slower, for"
        f" repositories beyond the last cache; at 1 MB {slower[1048576]:.1f} times"
    )


def _imbalance() -> str:
    return "undecided: 140 steps are too few for stable_rps"


def _embeddings() -> str:
    table = read_table("studies/embeddings")
    means = table.groupby(["compression", "method"])[["zero_rows", "test_accuracy"]].mean()
    accuracy = means["test_accuracy"][1000]
    return (
        f"at 100x {means['zero_rows'][100, 'mag']:.0f}% of a pruned table's rows are zero, of a"
        f" shared one's {means['zero_rows'][100, 'stable_rps']:.0f}%; accuracy at 1000x"
        f" {accuracy['stable_rps']:.0f}% (stable_rps) against {accuracy['rand']:.0f}% (rand)"
    )


def _effective_steps() -> str:
    table = read_table("studies/effective_steps")
    steps = table[(table["part"] == "steps") & (table["course"] == "recipe")]
    ratio = _by_variant(steps.loc[steps["step"] == 46], "angle")
    ratio /= ratio["dense"]
    memory = table[(table["part"] == "memory") & (table["course"] == "strong decay")]
    memory = memory[memory["compression"] == 10]
    late = table[table["part"] == "equilibrium"]
    late = late.assign(ratio=late["angle"] / late["predicted_angle"])
    settled = _by_variant(late, "ratio")
    matched = "stable_rps repository_init=matched"
    return (
        f"at 10x and one rate a step (the 46th of 161) turns stable_rps {ratio['stable_rps']:.2f},"
        f" rand {ratio['rand']:.1f}, stable_rps with a matched start {ratio[matched]:.1f} and"
        f" without scaling {ratio['stable_rps scaling=none']:.1f} times as far as dense. With"
        " strong decay normal and matched starts agree after"
        f" {memory['step'].median():.0f} steps (predicted {memory['predicted_step'].median():.0f}),"
        f" and steps turn by {settled['dense']:.2f} (dense), {settled['rand']:.2f} (rand) and"
        f" {settled['stable_rps']:.2f} (stable_rps) times the foretold"
        " equilibrium. At 100x rand, mag and snip pass hardly any gradient on, whatever their norms"
    )


def _by_variant(rows: pd.DataFrame, column: str) -> "pd.Series[float]":
    """The median over layers at 10x, and of dense."""
    is_shown = (rows["compression"] == 10) | (rows["variant"] == "dense")
    return rows[is_shown].groupby("variant")[column].median()


FINDINGS: dict[str, Callable[[], str]] = {
    "load": _load,
    "stable_steps": _stable_steps,
    "init_std": _init_std,
    "continuity": _continuity,
    "inner_products": _inner_products,
    "linear_models": _linear_models,
    "cache_lines": _cache_lines,
    "imbalance": _imbalance,
    "embeddings": _embeddings,
    "effective_steps": _effective_steps,
}
