# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. Parameter groups: one learning rate per split
#
# [Open this lesson in Colab](https://colab.research.google.com/github/difflr/difflr/blob/v0.1.0/notebooks/03_parameter_groups.ipynb)
#
# **Questions.** Where does PyTorch keep the learning rate of one part of a network? How do you write six of them
# in one expression? Which weights should not decay? What happens to a split that the optimizer was not given?
#
# **After this lesson you can**
#
# - give each split a learning rate, in a shorthand that says what you mean,
# - build named parameter groups, with and without weight decay, that hold every parameter once,
# - read off an optimizer what it will do, and notice what it was not given.
#
# **Time:** 16 minutes to read, 21 minutes of exercises; the cells take under a minute together on two cores.
# **You need:** lessons 1 and 2. Nothing is downloaded.

# %% cellView="form" jupyter={"source_hidden": true} tags=["setup"]
# @title Set-up: where difflr is missing (Colab), install version 0.1.0 and what it needs; torch stays as it is
import importlib.util
import os

if importlib.util.find_spec("difflr") is None:
    source = os.environ.get(
        "DIFFLR_SOURCE", "difflr[kit] @ git+https://github.com/difflr/difflr@v0.1.0"
    )
    # %pip install -q "{source}"

# %%
import copy

import torch

import difflr
from difflr import report
from difflr.experiments.data import load_data
from difflr.figures.picture import Picture
from difflr.lessons.groups import (
    check_configure,
    check_design,
    check_groups,
    check_rates,
    quiz,
)
from difflr.lessons.groups.pictures import plot_rates
from difflr.studies.measures import displacement

# %%
# The pictures and the network that carry all lessons: embedded, small, offline. For photographs, write
# "cifar10" and "resnet18": they are downloaded, and a step takes longer.
DATA, BACKBONE = "strokes", "strokenet"

# %% [markdown]
# ## What an optimizer holds
#
# An optimizer holds a list of dictionaries, `param_groups`. Each has some parameters, and everything that is
# to be done with *these* parameters: a learning rate, a weight decay, a momentum. So a layer has no
# learning rate; its parameter group has.

# %% tags=["NBVAL_CHECK_OUTPUT"]
shallow, deep = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
optimizer = torch.optim.SGD(
    [
        {"params": [shallow], "lr": 0.001, "name": "shallow"},
        {"params": [deep], "lr": 0.1, "name": "deep"},
    ]
)
(shallow + deep).sum().backward()  # both get a gradient of 1
optimizer.step()
for group in optimizer.param_groups:
    (weight,) = group["params"]
    print(f"{group['name']:>7}: lr {group['lr']:5}, the weight is now {weight.item():.3f}")

# %% [markdown]
# The same gradient, and a hundred times the way. With Adam the learning rate says even more: whatever the
# size of the gradient, the first step is as long as the learning rate.

# %% tags=["NBVAL_CHECK_OUTPUT"]
for slope in (0.01, 1.0, 100.0):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=0.001)
    (slope * weight).sum().backward()
    optimizer.step()
    print(f"gradient {slope:6}: the weight is now {weight.item():.4f}")

# %% [markdown]
# So under Adam the learning rates of the splits say almost directly *how far each may walk*.
#
# ## Six rates in one word
#
# Who has six splits can write a list of six numbers, shallow to deep. Most lists follow one idea, and have a
# short way to be written:
#
# - `slice(lo, hi)`: from `lo` at the first split to `hi` at the last, each the same *multiple* of the one
#   before it (fastai). Such a series is called *geometric*.
# - `slice(hi)`: `hi` for the last split, a tenth of it for each of the others (fastai).
# - `Ratio(lr, ratio)`: `lr` for the last split, `lr / ratio` for the first, geometric in between.
# - `Ulmfit(lr)`: `lr` for the last split, divided by 2.6 once per split on the way to the input (ULMFiT).
#
# ### Exercise 3.1 (predict, 5 minutes): what does the shorthand say?
#
# A network has **four** splits. Write the four learning rates, shallow to deep, that each shorthand gives.
# You may write expressions: `1e-2 / 3` will do. Anything within 10% counts.

# %% tags=["exercise"]
prediction = {
    "slice(1e-2)": [..., ..., ..., 1e-2],
    "Ratio(1e-2, 1000)": [..., ..., ..., 1e-2],
    "Ulmfit(1e-2)": [..., ..., ..., 1e-2],
}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_rates(prediction)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Four splits are three steps apart. A ratio of 1000 in three equal steps is a factor of 10 per step; 2.6 per
# step is a ratio of 17.6 in all.
#
# ```python
# prediction = {
#     "slice(1e-2)": [1e-3, 1e-3, 1e-3, 1e-2],
#     "Ratio(1e-2, 1000)": [1e-5, 1e-4, 1e-3, 1e-2],
#     "Ulmfit(1e-2)": [1e-2 / 2.6**3, 1e-2 / 2.6**2, 1e-2 / 2.6, 1e-2],
# }
# ```
#
# </details>

# %% [markdown]
# Here they are for the six splits of our network. `expand_lrs` writes any of them out.

# %% tags=["NBVAL_CHECK_OUTPUT"]
backbone = difflr.load_backbone(BACKBONE)
torch.manual_seed(0)
network = backbone.build(n_classes=10)
splits = difflr.split_model(network)
said = {
    "1e-2": 1e-2,
    "slice(1e-2)": slice(1e-2),
    "Ulmfit(1e-2)": difflr.Ulmfit(1e-2),
    "Ratio(1e-2, 1000)": difflr.Ratio(1e-2, 1000),
}
rates = {name: difflr.expand_lrs(lr, len(splits)) for name, lr in said.items()}
for name, lrs in rates.items():
    print(f"{name:>18}:", *(f"{lr:7.1e}" for lr in lrs))

# %% tags=["keep_output"]
figure = plot_rates(rates, splits.names, "The same base learning rate, said in four ways")
Picture(
    figure,
    "Learning rates of six splits on a log axis. 1e-2 is a level line; slice(1e-2) is level at 1e-3 and "
    "jumps to 1e-2 at the head; Ulmfit and Ratio are straight lines that rise to 1e-2 at the head, from "
    "8e-5 and from 1e-5 at the stem.",
)

# %% [markdown]
# On a log axis a geometric series is a straight line. `Ulmfit` fixes the *slope* of the line, `Ratio` its two
# *ends*. That matters when you cut more finely:

# %% tags=["NBVAL_CHECK_OUTPUT"]
for n in (3, 6, 12):
    first = [difflr.expand_lrs(said[name], n)[0] for name in ("Ulmfit(1e-2)", "Ratio(1e-2, 1000)")]
    print(f"{n:>2} splits, the first learns at {first[0]:.0e} (Ulmfit) or {first[1]:.0e} (Ratio)")

# %% [markdown]
# ## How far does each split walk?
#
# Let us see it. Here is a training loop of twenty steps, twice from the same start. Afterwards we measure how far
# each split's weights have moved, relative to their size. **Predict:** in which of the two does the stem move
# further, and by how much?


# %% tags=["keep_output"]
def walked(lr):
    torch.manual_seed(0)
    network = backbone.build(n_classes=10)
    splits = difflr.split_model(network)
    start = difflr.split_model(copy.deepcopy(network))
    optimizer = torch.optim.AdamW(difflr.param_groups(splits, lr))
    for _ in range(2):
        for pictures, labels in images.batches(32, seed=0):
            loss = torch.nn.functional.cross_entropy(network(pictures / 255), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return displacement(start, splits)


images = load_data(DATA).train.subset(320, seed=0)
ways = {name: walked(said[name]) for name in ("1e-2", "Ratio(1e-2, 1000)")}
assert 100 < ways["1e-2"][0] / ways["Ratio(1e-2, 1000)"][0] < 2000
Picture(
    plot_rates(ways, splits.names, "After 20 steps", "distance moved / norm of the weights"),
    "Distance moved by each split's weights, relative to their norm, on a log axis. "
    + " ".join(
        f"{name}: {', '.join(f'{split} {way:.1g}' for split, way in zip(splits.names, each, strict=True))}."
        for name, each in ways.items()
    ),
)

# %% [markdown]
# The learning rates say how far each split walks: with a ratio of 1000 the stem hardly leaves its place, and the
# head goes as far as before. (One run each: what is shown is a way, not an accuracy.)
#
# ## A list that does not fit
#
# Five rates for six splits: which split is left out? Plain Python will not ask.

# %% tags=["NBVAL_CHECK_OUTPUT"]
five = [1e-5, 1e-4, 1e-3, 3e-3, 1e-2]
groups = [{"params": list(split.parameters.values()), "name": split.name} for split in splits]
optimizer = torch.optim.AdamW(groups, lr=1e-3)
for group, lr in zip(optimizer.param_groups, five):  # noqa: B905
    group["lr"] = lr
for group in optimizer.param_groups:
    print(f"{group['name']:>6} {group['lr']:g}")

try:
    difflr.expand_lrs(five, len(splits))
except difflr.DifflrError as error:
    print(error)

# %% [markdown]
# `zip` ended with the shorter list, and the head, of all splits, kept the default. difflr refuses the list.
# In code of your own write `zip(…, strict=True)`.
#
# ## Groups with a name, with and without decay
#
# `difflr.param_groups` builds the groups of all splits. There are two for each: **weight decay** is meant for
# weights. Biases and the scales of normalisation layers are usually spared it, and so they need a group to
# themselves.

# %% tags=["NBVAL_CHECK_OUTPUT"]
optimizer = torch.optim.AdamW(
    difflr.param_groups(splits, difflr.Ratio(1e-2, 100), weight_decay=0.05)
)
for group in optimizer.param_groups:
    size = sum(parameter.numel() for parameter in group["params"])
    print(
        f"{group['name']:<16} {len(group['params'])} tensors, {size:>7,} parameters, "
        f"lr {group['lr']:.1e}, weight decay {group['weight_decay']}"
    )

# %% [markdown]
# Why spare them? Decay pulls a parameter towards 0. For a weight 0 is neutral; for the scale of a BatchNorm
# channel 1 is. Here is such a scale in 1,000 steps in which its gradient is 0: nothing says that it should
# move.

# %% tags=["NBVAL_CHECK_OUTPUT"]
for weight_decay in (0.0, 0.05):
    scale = torch.nn.Parameter(torch.ones(1))
    scale.grad = torch.zeros(1)
    optimizer = torch.optim.AdamW([scale], lr=1e-2, weight_decay=weight_decay)
    for _ in range(1000):
        optimizer.step()
    print(f"weight decay {weight_decay}: the scale is {scale.item():.2f}")

# %% [markdown]
# ### Exercise 3.2 (complete, 7 minutes): groups with and without decay
#
# Complete `groups`: a list of dictionaries for AdamW. In each split, weights decay by `weight_decay`; biases
# and the scales of norms, which are vectors, by 0. Every group has `params`, `name`, `lr` and
# `weight_decay`; names begin with the split's name, and no two are the same. `lrs` has one number per split.
# The check freezes some splits first: they belong in, too.


# %% tags=["exercise"]
def groups(splits, lrs, weight_decay):
    found = []
    for split, lr in zip(splits, lrs, strict=True):
        found.append({"params": ..., "name": split.name, "lr": lr, "weight_decay": weight_decay})
        # … and what does not decay
    return found


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_groups(groups)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The number of dimensions tells scales and biases from weights, whatever they are called. What is frozen now
# is in the groups as well: an optimizer passes over it until it is thawed.
#
# ```python
# def groups(splits, lrs, weight_decay):
#     found = []
#     for split, lr in zip(splits, lrs, strict=True):
#         weights = [p for p in split.parameters.values() if p.ndim > 1]
#         vectors = [p for p in split.parameters.values() if p.ndim <= 1]
#         for name, params, decay in (
#             (split.name, weights, weight_decay),
#             (f"{split.name}/vectors", vectors, 0.0),
#         ):
#             found.append({"params": params, "name": name, "lr": lr, "weight_decay": decay})
#     return found
# ```
#
# </details>

# %% [markdown]
# ## Read it back
#
# `report(splits, optimizer)` shows what an optimizer really holds, *now*. Here one was made as many scripts make it,
# from what trains at that moment:

# %% tags=["NBVAL_CHECK_OUTPUT"]
difflr.freeze_to(splits, "layer4")
groups_now = [
    group
    for group in difflr.param_groups(splits, difflr.Ratio(1e-2, 100))
    if group["params"][0].requires_grad
]
optimizer = torch.optim.AdamW(groups_now)
difflr.freeze_to(splits, 0)  # later: all may learn
print(report(splits, optimizer))

# %% [markdown]
# Four splits are trainable, and no group holds them: they would have gradients and never move, as in lesson 2. A group
# that is added later is no good remedy, for a checkpoint of the run no longer fits the optimizer that a restart
# makes:

# %% tags=["NBVAL_CHECK_OUTPUT"]
body, head = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
optimizer = torch.optim.AdamW([{"params": head.parameters(), "name": "head"}])
optimizer.add_param_group({"params": body.parameters(), "lr": 1e-4})
try:
    fresh = torch.optim.AdamW([{"params": head.parameters(), "name": "head"}])
    fresh.load_state_dict(optimizer.state_dict())
except ValueError as error:
    print("resuming:", error)

# %% [markdown]
# The remedy is that of lesson 2: **all groups from the first step on**. What is frozen rests in its group.
# And a **name** for each: logs and reports then say `layer4` and not `pg4`.
#
# ### Exercise 3.3 (debug, 5 minutes): mend the optimizer
#
# `configure` returns an optimizer. Each split should learn at its own rate of `Ratio(1e-2, 100)`, and the check thaws
# everything after half of the steps: by then all should learn. Two mistakes of this lesson are in it.


# %% tags=["exercise"]
def configure(network):
    splits = difflr.split_model(network)
    difflr.freeze_to(splits, "layer4")
    groups = [g for g in difflr.param_groups(splits) if g["params"][0].requires_grad]
    optimizer = torch.optim.AdamW(groups)
    lrs = difflr.expand_lrs(difflr.Ratio(1e-2, 100), len(splits))
    for group, lr in zip(optimizer.param_groups, lrs):  # noqa: B905
        group["lr"] = lr
    return optimizer


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_configure(configure)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The groups of frozen splits stay in. And there are two groups for each split, so the rates cannot be dealt out
# one by one: let `param_groups` do it.
#
# ```python
# def configure(network):
#     splits = difflr.split_model(network)
#     return torch.optim.AdamW(difflr.param_groups(splits, difflr.Ratio(1e-2, 100)))
# ```
#
# </details>

# %% [markdown]
# ## Say what you mean
#
# ### Exercise 3.4 (design, 4 minutes): learning rates for two aims
#
# Choose a shorthand or a list for each of two tasks, for six splits.
#
# - **new drawings**, the same camera: the head learns at 1e-2, the stem at most at a fiftieth of that, and
#   `layer4`, next to the head, at 3e-3 at least.
# - **bad camera**, the same drawings: now it is the stem that learns at 1e-2, the head at most at a fiftieth
#   of that, and `layer1`, next to the stem, at 3e-3 at least.
#
# In between the rates should run one way. (This is practice in *saying* rates. That falling rates are
# best under a bad camera is not claimed: lesson 7.)

# %% tags=["exercise"]
design = {"new drawings": ..., "bad camera": ...}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_design(design)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# A ratio of 100 in five steps is 2.5 per step, so the neighbour learns at 4e-3. `Ratio` always takes the rate
# of the *last* split, and a ratio below 1 falls. `slice(1e-2, 1e-4)` says the same.
#
# ```python
# design = {"new drawings": difflr.Ratio(1e-2, 100), "bad camera": difflr.Ratio(1e-4, 0.01)}
# ```
#
# </details>

# %% [markdown]
# ## Test yourself

# %% tags=["keep_output"]
quiz

# %% [markdown]
# ## Key points
#
# - A learning rate lives in a **parameter group**. Under Adam it says how far a weight may walk in a step.
# - `Ratio` fixes the two ends, `Ulmfit` the factor per split. A list must have **one number per split**.
# - Biases and the scales of norms are spared **weight decay**, by their dimensions and not by their names.
# - **All groups from the first step on**, each with a name. **Read the report** after all is set up.
#
# **Sources:** torch's
# [per-parameter options](https://docs.pytorch.org/docs/stable/optim.html#per-parameter-options),
# [ULMFiT](https://arxiv.org/abs/1801.06146) (2.6 per layer),
# [bag of tricks](https://arxiv.org/abs/1812.01187) (no decay for biases and norms),
# [fastai's slice](https://docs.fast.ai/learner.html).
