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
# # 0. Start here: a short tour
#
# [Open this lesson in Colab](https://colab.research.google.com/github/difflr/difflr/blob/v0.1.0/notebooks/00_start_here.ipynb)
#
# **Questions.** What is a differential learning rate? Does it help? When is it the wrong thing to do?
#
# **After this lesson you can**
#
# - name the *splits* of a network and read what each of them holds,
# - set a learning rate for each split by hand and train with it,
# - say for which kind of change the usual advice points the wrong way.
#
# **Time:** 9 minutes to read and play; the cells take about 3 minutes together on two cores.
# **You need:** Python and a PyTorch training loop that you have seen before. Nothing is downloaded.

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

import difflr
from difflr.experiments.data import load_data
from difflr.experiments.training import Classifier, TrainingOptions, evaluate, fit, train
from difflr.figures.bars import describe_shares, plot_shares
from difflr.figures.picture import Picture
from difflr.lessons.lossline import LossLine
from difflr.lessons.pictures import plot_pictures
from difflr.widgets import PlanEditor

# %% [markdown]
# ## A network in six parts
#
# Somebody has trained a small ResNet to tell sixty drawings apart. You have ten *new* drawings and 300
# pictures of them. Here is one picture of each class; below it the same drawing as a bad camera takes it,
# which will matter at the end.

# %% tags=["keep_output"]
data, foggy = load_data("strokes"), load_data("strokes:input_shift=1:shift_kind=contrast")
first = [int((data.test.labels == label).nonzero()[0, 0]) for label in range(len(data.classes))]
rows = {"clean": data.test.pixels[first].numpy(), "bad camera": foggy.test.pixels[first].numpy()}
Picture(
    plot_pictures(rows),
    "Ten small drawings, one of each class, in colour; below them the same ten with next to no contrast.",
)

# %% [markdown]
# The network's first layers already see edges and colours; its last layer, the head, is new and knows
# nothing. So we cut the network into parts, shallow to deep. We call them **splits**.

# %% tags=["NBVAL_CHECK_OUTPUT"]
backbone = difflr.load_backbone("strokenet")
network = backbone.build(n_classes=10)
splits = difflr.split_model(network)
print(difflr.report(splits))

# %% [markdown]
# Three quarters of the parameters sit in `layer4`, and the new head has next to none.
#
# ## Set the learning rates yourself
#
# One learning rate for all splits is called *uniform*. A *differential* learning rate grows with depth: the
# first layers, which already know most, move least. Drag a slider and watch the schedule change. Press
# *Undo* if you get lost.
#
# Four words on the picture. A **phase** is a stretch of epochs with one curve; here is one. The curve is *one cycle*:
# every rate rises to its peak and falls again, and `pct_start` is the share of the steps that rise. *Momentum* says
# how much of the last step's direction the next one keeps; it moves against the rates. Lessons 4 and 5 tell
# more.

# %% tags=["keep_output"]
editor = PlanEditor(
    splits,
    difflr.make_plan("differential", splits, epochs=8, lr=1e-2),
    steps_per_epoch=10,
    input_shape=(3, 32, 32),
)
editor

# %% [markdown]
# ## Train with it
#
# `editor.plan` is what you see above. We train it and a uniform plan from the same start on the same
# pictures. One run each is an anecdote, not evidence: lesson 6 brings the evidence.

# %%
images, options = data.train.subset(300, seed=0), TrainingOptions(batch_size=32)
for name, plan in {
    "uniform": difflr.make_plan("uniform", splits, epochs=8, lr=1e-2),
    "yours": editor.plan,
}.items():
    line = LossLine(name)  # the loss as it runs
    outcome, model = train(
        backbone, plan, images, data.test, options, n_classes=10, seed=0, callbacks=[line]
    )
    print(
        f"{name:>8}: {outcome.accuracy:.1%} of 2,000 test pictures right, after {outcome.seconds:.0f} s"
    )

# %% [markdown]
# When each is tuned, recorded runs mostly do not tell the two apart. What differs is how carefully the
# learning rate must be chosen. That, too, is for lesson 6.
#
# ## One surprise
#
# Now the *drawings* stay the same, but the camera is bad: nine tenths of the contrast are gone. The network
# that you have just trained has to get used to it, again from 300 pictures. Before you run the next cell,
# **predict**: which way should the learning rates run, up or down with depth, or is one rate for all enough?

# %%
test = foggy.test.subset(600, seed=0)
found = {"not trained again": evaluate(model, test)[0]}
line = LossLine("")
for name, recipe in {
    "only the head": "head_only",
    "rising with depth": "differential",
    "the same for all": "uniform",
    "falling with depth": "falling",
}.items():
    plan = difflr.make_plan(recipe, splits, epochs=6, lr=1e-2)
    found[name] = []
    for seed in range(3):  # each draws other pictures
        line.name = f"{name}, run {seed + 1}"
        again = Classifier(copy.deepcopy(model.network), plan, mean=backbone.mean, std=backbone.std)
        images = foggy.train.subset(300, seed)
        fit(again, images, seed=seed, batch_size=32, callbacks=[line])
        found[name].append(evaluate(again, test)[0])

# %% tags=["keep_output"]
figure = plot_shares(found, "What should learn when the contrast is gone? (test accuracy)")
Picture(figure, f"Test accuracies: {describe_shares(found)}.")

# %% [markdown]
# It is the first layers that no longer fit, and the plans that starve them do badly: the head alone, and
# rates that rise with depth. Rates that *fall* do well, but so does one rate for all: nothing is won by
# falling, much is lost by starving. Small learning rates for early layers are advice for new *labels*, not for
# new *inputs*. (Three runs each, and one learning rate for all plans. Lesson 7 has recorded runs, where each is
# tuned: there the gap is smaller.)
#
# ## Key points
#
# - A **split** is a part of a network with a learning rate of its own; splits run from shallow to deep.
# - A **plan** says for each phase what is frozen and how fast each split learns. Look at it before you train.
# - Rates that rise with depth are advice for new labels. For new inputs, do not starve the first layers.
# - One run shows nothing. Ask for several seeds and an interval.
#
# **Sources:** [ULMFiT](https://arxiv.org/abs/1801.06146) (discriminative learning rates),
# [surgical fine-tuning](https://arxiv.org/abs/2210.11466) (which layers to tune under which shift).
