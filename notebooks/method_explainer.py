# %% [markdown]
# # One map, two families
# Pruning and parameter sharing look like different trades. Both store m numbers instead of the n
# weights of a network, and both are one linear map:
#
# $$w = A\,\theta$$
#
# $w$ holds the n weights, $\theta$ the m stored values. Each row of $A$ has at most one number that
# is not zero. **Pruning** selects: a kept weight has a 1 in its row, a pruned one nothing.
# **Sharing** scatters: every weight reads some slot of $\theta$, times a sign and its layer's scale
# $\lambda$.
#
# This notebook builds the map for a network small enough to draw and checks on it what the
# benchmark relies on. Sharing by RANDOMFOLD and the gradient scaling follow Desai and Shrivastava,
# "In defense of parameter sharing for model-compression" (arXiv 2310.11611).

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import display
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from rps_bench.methods import build_method
from rps_bench.methods.layout import init_stds_of, layer_sizes
from rps_bench.methods.scaling import SCALINGS
from rps_bench.models import build_model
from rps_bench.models.initialisation import initialise_kaiming

pd.set_option("display.width", 120, "display.max_columns", 20)
plt.rcParams |= {
    "figure.dpi": 120,
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
}
method_colours = {  # those of the benchmark's figures
    "stable_rps": "#0072B2",
    "roast": "#D55E00",
    "hashednet": "#E69F00",
    "rpg": "#56B4E9",
}

# %% [markdown]
# ## A network to draw
# Two convolutions and a linear layer, no biases, and made-up images: one pattern per class, with
# noise. Everything in float64, so that what should be equal is equal to rounding.

# %%
network = nn.Sequential(
    nn.Conv2d(3, 4, 3, padding=1, bias=False),
    nn.ReLU(),
    nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(8, 10, bias=False),
).double()
generator = torch.Generator().manual_seed(0)
initialise_kaiming(network, generator)
labels = torch.arange(64) % 10
patterns = torch.randn(10, 3, 8, 8, generator=generator, dtype=torch.float64)  # one per class
noise = torch.randn(64, 3, 8, 8, generator=generator, dtype=torch.float64)
images = patterns[labels] + 0.5 * noise
probe = (images, labels)

compressed = build_method("stable_rps", compression=7.5, seed=1).compress(network, probe)
weight_map = compressed.weight_map
n, m = weight_map.num_weights, weight_map.num_stored
sizes = layer_sizes(compressed.layout)
layer_names = ["first convolution", "second convolution", "linear layer"]
layer_of = torch.repeat_interleave(torch.arange(3), torch.tensor(sizes))  # (n,)
display(
    pd.DataFrame(
        {
            "shape": [str(shape) for _, shape in compressed.layout],
            "weights": sizes,
            "init std": [round(std, 4) for std in init_stds_of(network)],
            "scale λ": [round(scale, 3) for scale in weight_map.scales],
        },
        index=layer_names,
    )
)
print(f"n = {n} weights are read from m = {m} stored values")

# %% [markdown]
# The scale of a layer is the standard deviation its dense weights start with, divided by that of
# the repository, `init_std` = 0.04. So one repository serves layers of any size, and the recovered
# weights have the dense std.
#
# ## The folds
# RANDOMFOLD cuts w into rows of m weights, the *folds*, and turns each by an amount of its own,
# u(k), which a hash of the fold's number gives. The column where a weight then stands is the slot
# it reads. Nothing of this is stored: slots, signs and scales are computed from a seed.
#
# Each cell below is one weight. Its colour is the layer, full for sign plus, pale for minus.
# A black edge marks the first weight of each fold.

# %%
slots, coefficients = weight_map.slots(), weight_map.coefficients()
layer_colours = ["#332288", "#117733", "#CC5533"]
pale_colours = ["#ADA3D9", "#9ECFA8", "#F5C2A8"]
palette = np.array([to_rgb(colour) for colour in (*layer_colours, *pale_colours)])  # (6, 3)
colours = palette[layer_of + 3 * (coefficients < 0)]  # (n, 3)
fold, offset = np.arange(n) // m, np.arange(n) % m
rotations = weight_map.rotations().numpy()
fold_rows = np.arange(len(rotations))
before, after = np.ones((2, len(rotations), m, 3))
before[fold, offset] = after[fold, slots] = colours

figure, (top, middle, bottom) = plt.subplots(
    3, 1, figsize=(7.2, 5.2), sharex=True, height_ratios=[8, 8, 4]
)
for axes, cells, edges, title in (
    (top, before, np.zeros(len(rotations)), f"w, cut into folds of m = {m}"),
    (middle, after, rotations, "the same folds, each turned by its u(k)"),
):
    axes.imshow(cells, aspect="auto", interpolation="nearest")
    axes.vlines(edges - 0.5, fold_rows - 0.5, fold_rows + 0.5, color="black", linewidth=2)
    axes.set_xticks(np.arange(m) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rotations)) - 0.5, minor=True)
    axes.grid(True, axis="both", which="minor", color="white", linewidth=0.7)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title)
    axes.set_ylabel("fold k")
top.set_yticks(fold_rows)
middle.set_yticks(fold_rows, [f"{k}  u={u}" for k, u in enumerate(rotations)])
load = torch.bincount(slots, minlength=m).numpy()
bottom.bar(np.arange(m), load, width=0.86, color="#8A8A8A")
bottom.set_title("weights that read each slot")
bottom.set_yticks([0, load.max()])
bottom.set_ylabel("load")
bottom.set_xlabel("offset (top), slot of the repository (middle and bottom)")
bottom.tick_params(axis="x", which="minor", length=0)
keys = [Patch(color=colour) for colour in layer_colours]
_ = figure.legend(keys, layer_names, loc="outside upper center", ncols=3, frameon=False)

# %% [markdown]
# Every slot serves 7 or 8 weights: floor(n / m) or ceil(n / m), the smallest spread there can be.
# Turning a row never makes two of its weights meet, so only weights of different folds share.
#
# ## The map as a matrix
# The same map as $A$, drawn lying down (A' has m rows and n columns). Above it the w that comes
# out, left of it the θ that goes in. One slanted stroke is one fold; a stroke that leaves below
# comes back on top.

# %%
positions = torch.arange(n)
matrix = torch.zeros(n, m, dtype=torch.float64)  # A
matrix[positions, slots] = coefficients
weights, stored = compressed.weights().detach(), compressed.stored.detach()
figure, grid = plt.subplots(
    2, 2, figsize=(7.2, 2.9), width_ratios=[1, 40], height_ratios=[1, 9], layout="constrained"
)
limits = {"cmap": "RdBu_r", "aspect": "auto"}
grid[0, 0].axis("off")
grid[0, 1].imshow(weights[None].numpy(), vmin=-1, vmax=1, **limits)
grid[1, 0].imshow(stored[:, None].numpy(), vmin=-0.1, vmax=0.1, **limits)
picture = grid[1, 1].imshow(matrix.T.numpy(), vmin=-12.5, vmax=12.5, **limits)
grid[0, 1].set_title("w = A θ")
grid[1, 0].set_ylabel("slot")
grid[1, 0].set_xlabel("θ")
grid[1, 1].set_xlabel("position i of the weight")
for axes in grid.flat:
    axes.set_xticks([])
    axes.set_yticks([])
grid[1, 1].set_xticks([0, *np.cumsum(sizes).tolist()])
figure.colorbar(picture, ax=grid[1, 1], label="A (sign · λ)", pad=0.01)

print("weights() is A θ:", bool(torch.allclose(weights, matrix @ stored, rtol=0, atol=1e-14)))
gram = weight_map.gram()
print("A'A is diagonal:", bool(torch.allclose(matrix.T @ matrix, torch.diag(gram))))
kept_by_map = sum(buffer.numel() for buffer in weight_map.buffers())
print("numbers that the map itself keeps:", kept_by_map)

# %% [markdown]
# ## Four ways to share
# Position against slot, one dot per weight. This picture is all that differs between the maps.
# RANDOMFOLD (`stable_rps`) reads long contiguous runs, ROAST the short runs of its tiles (4 x 4
# here, 16 x 16 in the benchmark), HashedNet none. RPG's slots are as balanced as RANDOMFOLD's, but
# without runs: within a fold each slot is read once, in random order.

# %%
sharing = {
    "stable_rps": {},
    "roast": {"tile": 4},
    "hashednet": {},
    "rpg": {},
}
figure, panels = plt.subplots(2, 2, figsize=(7.2, 4.8), sharex=True, sharey=True)
loads = {}
for axes, (name, options) in zip(panels.flat, sharing.items(), strict=True):
    read = build_method(name, 7.5, seed=1, **options).compress(network, probe).weight_map.slots()
    loads[name] = torch.bincount(read, minlength=m).numpy()
    if name in ("stable_rps", "rpg"):
        for border in range(m, n, m):
            axes.axvline(border - 0.5, color="#DDDDDD", linewidth=0.7, zorder=0)
    axes.scatter(positions, read, s=4, c=palette[layer_of], linewidths=0)
    axes.set_title(name)
panels[0, 0].set_xlim(-3, n + 2)
panels[0, 0].invert_yaxis()
figure.supxlabel("position i of the weight; grey lines: folds", fontsize=8)
figure.supylabel("slot", fontsize=8)
_ = figure.legend(keys, layer_names, loc="outside upper center", ncols=3, frameon=False)

# %% [markdown]
# ## Load: how many weights a slot serves
# A slot that serves many weights must please them all; one that serves none is memory for nothing.

# %%
figure, panels = plt.subplots(4, 1, figsize=(7.2, 4.6), sharex=True, sharey=True)
for axes, (name, load) in zip(panels, loads.items(), strict=True):
    axes.bar(np.arange(m), load, width=0.8, color=method_colours[name])
    empty = np.flatnonzero(load == 0)
    axes.scatter(empty, np.full(len(empty), 0.8), marker="x", s=16, color="black", linewidths=1)
    axes.axhline(n / m, color="#444444", linewidth=0.8, linestyle="--")
    axes.set_title(f"{name}: {int(load.min())} to {int(load.max())} weights per slot", fontsize=8)
panels[-1].set_xlabel("slot; dashed: n / m; crosses: slots that no weight reads")
panels[-1].set_xlim(-1, m)
_ = figure.supylabel("weights per slot", fontsize=8)

# %% [markdown]
# The same for ResNet-20 at 10x, with each method's own settings. Whatever the size, RANDOMFOLD and
# RPG stay at n / m. HashedNet's loads are those of balls thrown into bins. ROAST's tiles start at
# most at slot m - 256, so the slots at both ends are read seldom.

# %%
resnet = build_model("resnet20", generator=torch.Generator().manual_seed(0))
small_probe = (torch.zeros(1, 3, 32, 32), torch.zeros(1, dtype=torch.int64))
figure, axes = plt.subplots(figsize=(7.2, 2.9))
rows = {}
for name in sharing:
    resnet_map = build_method(name, 10).compress(resnet, small_probe).weight_map
    load = torch.bincount(resnet_map.slots(), minlength=resnet_map.num_stored).numpy()
    values, counts = np.unique(load, return_counts=True)
    look = {"color": method_colours[name], "label": name, "marker": "o", "markersize": 3}
    if name == "stable_rps":
        look["markersize"] = 8
    if name == "rpg":
        look |= {"markersize": 4.5, "markeredgecolor": "white"}
    axes.plot(values, 100 * counts / len(load), **look)
    rows[name] = {
        "lowest load": int(load.min()),
        "highest load": int(load.max()),
        "std of the load": round(float(load.std()), 2),
        "unread slots": int((load == 0).sum()),
    }
axes.set_yscale("log")
axes.set_ylabel("slots with this load (%)")
axes.set_xlabel("weights per slot, ResNet-20 at 10x")
axes.legend(frameon=False)
display(pd.DataFrame.from_dict(rows, orient="index"))

# %% [markdown]
# ## Gram: why gradients are divided
# The gradient that reaches slot j is the sum over its weights of λ times their gradients. A step
# along it moves each of those weights by λ times that sum again. So the network moves
#
# $$\mathrm{gram}_j = \sum_{i \in \text{slot } j} \lambda_i^2$$
#
# times as far as in a dense step along the shared direction. Gram depends on the load, on the
# layers that meet in the slot and on `init_std`. Here it is, layer by layer:

# %%
figure, axes = plt.subplots(figsize=(7.2, 2.6))
bottoms = np.zeros(m)
for layer, (name, colour) in enumerate(zip(layer_names, layer_colours, strict=True)):
    part = weight_map.slot_sums(coefficients.square() * (layer_of == layer)).numpy()
    axes.bar(np.arange(m), part, bottom=bottoms, color=colour, label=name, width=0.86)
    bottoms += part
axes.set_xlim(-1, m)
axes.set_xlabel("slot")
axes.set_ylabel("gram")
figure.legend(loc="outside upper center", ncols=3, frameon=False)
print("the parts add up to gram():", np.allclose(bottoms, gram))

# %% [markdown]
# Dividing the gradient by gram takes exactly this factor out. Then plain gradient descent on θ is
# *projected* gradient descent on w:
#
# $$w \leftarrow w - \eta\,P\,\nabla L(w), \qquad P = A\,(A'A)^{-1}A'$$
#
# P only averages (with signs and scales) the weights that share a slot, and enlarges nothing. The
# check: 50 steps on θ, and beside them 50 steps on a plain dense network with P written out.

# %%
learning_rate = 0.5
projector = matrix @ torch.diag(1 / gram) @ matrix.T  # P, (n, n)
shared = build_method("stable_rps", 7.5, seed=1).compress(network, probe)
dense = shared.to_dense()
for _ in range(50):
    shared.zero_grad()
    F.cross_entropy(shared(images), labels).backward()
    shared.stored.data -= learning_rate * shared.stored.grad  # which backward has divided by gram

    dense.zero_grad()
    loss = F.cross_entropy(dense(images), labels)
    loss.backward()
    gradient = parameters_to_vector([parameter.grad for parameter in dense.parameters()])
    moved = parameters_to_vector(dense.parameters()) - learning_rate * projector @ gradient
    vector_to_parameters(moved.detach(), dense.parameters())

travelled = (shared.weights() - weights).detach().norm().item()
apart = (shared.weights() - parameters_to_vector(dense.parameters())).detach().norm().item()
print("P is a projection:", bool(torch.allclose(projector @ projector, projector)))
print(f"loss after 50 steps {loss.item():.4f}; w has moved by {travelled:.3f}")
print("the two networks are apart by less than 1e-12:", apart < 1e-12)

# %% [markdown]
# ## What that means for the learning rate
# Gradient descent is stable near a point while the learning rate stays below 2 / (largest curvature
# there). θ sees the curvature H of the loss through the map, as A' H A divided by the scaling s.
# Below is the largest stable learning rate at one and the same w, for every scaling and a range of
# `init_std` (w stays the same because θ is the fit of the same dense init).

# %%
fitted = build_method("stable_rps", 7.5, seed=1, repository_init="project")
point = fitted.compress(network, probe).to_dense()
parameters = list(point.parameters())
loss = F.cross_entropy(point(images), labels)
gradients = torch.autograd.grad(loss, parameters, create_graph=True)
gradient = parameters_to_vector(gradients)
second = [torch.autograd.grad(entry, parameters, retain_graph=True) for entry in gradient]
rows = [torch.cat([part.reshape(-1) for part in row]) for row in second]
curvature = torch.stack(rows)  # H, (n, n)
dense_limit = (2 / torch.linalg.eigvalsh(curvature).max()).item()

init_stds = np.logspace(-3, 0, 7)
limits_of = {}
for scaling in SCALINGS:
    limits_of[scaling] = []
    for init_std in init_stds:
        method = build_method("stable_rps", 7.5, seed=1, init_std=init_std, scaling=scaling)
        seen = method.compress(network, probe)
        seen_map = torch.zeros(n, m, dtype=torch.float64)
        seen_map[positions, seen.weight_map.slots()] = seen.weight_map.coefficients()
        scale = seen.gradient_scale().rsqrt()
        through = scale[:, None] * (seen_map.T @ curvature @ seen_map) * scale
        limits_of[scaling].append((2 / torch.linalg.eigvalsh(through).max()).item())

figure, axes = plt.subplots(figsize=(7.2, 3.4))
axes.axhline(dense_limit, color="#222222", linewidth=1)
axes.text(1.12e-3, dense_limit * 0.72, "dense", color="#222222", va="top")
markers = dict(zip(SCALINGS, "osD^vP", strict=True))
for scaling, limit in limits_of.items():
    independent = scaling in ("gram", "squared_mean")
    colour = "#0072B2" if independent else "#999999"
    if scaling == "none":
        colour = "#D55E00"
    look = {"color": colour, "marker": markers[scaling], "label": scaling}
    if scaling in ("squared_mean", "mean", "root_gram"):
        look["markerfacecolor"] = "white"
    axes.plot(init_stds, limit, **look)
axes.set_xscale("log")
axes.set_yscale("log")
axes.set_xlabel("init_std of the repository")
axes.set_ylabel("largest stable learning rate")
axes.legend(frameon=False, title="gradient scaling")
never_below = min(limits_of["gram"]) >= dense_limit
print("with gram the limit is never below the dense one:", never_below)

# %% [markdown]
# Without scaling, a ten times smaller `init_std` means a hundred times smaller learning rates: a
# rate that suits the dense network makes the shared one diverge. Only `gram` and `squared_mean` do
# not depend on `init_std`, and with `gram` a rate that is stable for the dense network is stable
# here, whatever the map: projecting cannot make the curvature larger.
#
# Stable is not the same as fast. At one learning rate the unscaled step is gram times as long; as
# long as it does not diverge, it can be ahead when epochs are few.
#
# ## At compression 1: a bijection
# With m = n there is one fold, every slot serves one weight, and A is square: a rotation with signs
# and scales. Nothing is lost, so a compressed run should be the dense run. It is, momentum and
# weight decay included, if θ starts as A⁻¹ w₀ and the gradient is divided by gram. Without the
# division each layer's steps are λ² times too long.

# %%
fit = {"repository_init": "project"}  # θ = A⁻¹ w₀
candidates = {
    "dense": build_method("dense", 1),
    "gram": build_method("stable_rps", 1, scaling="gram", **fit),
    "none": build_method("stable_rps", 1, scaling="none", **fit),
}
histories = {}
for name, method in candidates.items():
    run = method.compress(network, probe)
    is_bijection = sorted(run.weight_map.slots().tolist()) == list(range(n))
    print(f"{name}: every stored value serves one weight:", is_bijection)
    optimizer = torch.optim.SGD(run.parameters(), lr=0.2, momentum=0.9, weight_decay=1e-3)
    histories[name] = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(run(images), labels)
        loss.backward()
        optimizer.step()
        histories[name].append(loss.item())

figure, axes = plt.subplots(figsize=(7.2, 2.9))
axes.plot(histories["dense"], color="#222222", label="dense")
axes.plot(
    histories["gram"], color="#0072B2", linestyle="none", marker="o", markersize=4,
    markerfacecolor="none", label="stable_rps at 1x, scaling gram",
)  # fmt: skip
axes.plot(histories["none"], color="#D55E00", label="stable_rps at 1x, scaling none")
axes.set_xlabel("step")
axes.set_ylabel("training loss")
axes.legend(frameon=False)
gap = max(abs(a - b) for a, b in zip(histories["dense"], histories["gram"], strict=True))
print("largest gap between dense and gram below 1e-9:", gap < 1e-9)

# %% [markdown]
# ## Pruning in the same picture
# Pruning's A has one 1 per column and at most one per row, so drawn as before it is a staircase:
# one dot per kept weight. All other weights are zero for good. gram is 1 everywhere, and there is
# nothing to divide by. What a method chooses is *which* weights to keep: `mag` takes the largest at
# initialisation, `rand` draws lots.

# %%
figure, panels = plt.subplots(2, 1, figsize=(7.2, 3.6), sharex=True)
kept_counts = {}
for axes, name in zip(panels, ("mag", "rand"), strict=True):
    pruned = build_method(name, 7.5, seed=1).compress(network, probe)
    rank = pruned.weight_map.slots()
    kept = rank >= 0
    axes.scatter(positions[kept], rank[kept], s=6, c=palette[layer_of[kept]], zorder=3)
    axes.vlines(positions[kept], m - 1, rank[kept], color="#DDDDDD", linewidth=0.5)
    axes.invert_yaxis()
    axes.set_title(f"{name}: keeps {m} of {n} weights")
    kept_counts[name] = torch.bincount(layer_of[kept], minlength=3).tolist()
    assert bool((pruned.weight_map.gram() == 1).all())
    assert pruned.stored.numel() == m
axes.set_xticks([0, *np.cumsum(sizes).tolist()])
axes.set_xlabel("position i of the weight")
figure.supylabel("stored value", fontsize=8)
display(pd.DataFrame(kept_counts | {"weights": sizes}, index=layer_names))

# %% [markdown]
# `mag` at initialisation compares layers by their init std, not by what they are worth: the linear
# layer has the largest and keeps almost half of its weights, the second convolution the smallest
# and keeps one in twenty. `rand` keeps about the same part of every layer.
#
# ## In one table
# Everything that training and reports need to know of a method is its map, its stored values and
# its gradient scale.

# %%
summary = {}
for name in ("stable_rps", "roast", "hashednet", "rpg", "mag", "rand"):
    model = build_method(name, 7.5, seed=1, **sharing.get(name, {})).compress(network, probe)
    read = model.weight_map.slots()
    lowest, highest = model.gradient_scale().aminmax()
    summary[name] = {
        "stored values": model.stored.numel(),
        "weights that read one": int((read >= 0).sum()),
        "slots that are read": int(read[read >= 0].unique().numel()),
        "indices kept": len(getattr(model.weight_map, "kept", ())),
        "gradient divided by": f"{lowest:.3g} to {highest:.3g}" if lowest < highest else "1",
    }
display(pd.DataFrame.from_dict(summary, orient="index"))
