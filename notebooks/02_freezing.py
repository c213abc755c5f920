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
# # 2. Freezing: what it saves, and what moves all the same
#
# [Open this lesson in Colab](https://colab.research.google.com/github/difflr/difflr/blob/v0.1.0/notebooks/02_freezing.ipynb)
#
# **Questions.** What does a training step no longer pay for when a part is frozen? How can a network change
# in which no weight moves? Why does a frozen weight move all the same?
#
# **After this lesson you can**
#
# - say what freezing saves, at the front of a network and in its middle,
# - freeze so that not a bit moves: parameters, BatchNorm statistics, old gradients,
# - find the three quiet mistakes in a training loop that freezes and thaws.
#
# **Time:** 17 minutes to read, 20 minutes of exercises; the cells take under a minute together on two cores.
# **You need:** lesson 1. Nothing is downloaded.

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
import time

import torch

import difflr
from difflr import report
from difflr.experiments.data import Images, load_data
from difflr.experiments.flops import count_costs
from difflr.experiments.strokes import source_task
from difflr.experiments.training import Classifier, evaluate
from difflr.figures.bars import plot_shares
from difflr.figures.picture import Picture
from difflr.lessons.freezing import (
    check_freeze,
    check_prediction,
    check_schedule,
    check_training,
    quiz,
)
from difflr.lessons.freezing.pictures import plot_weights
from difflr.lessons.pictures import plot_pictures
from difflr.studies.measures import displacement, drift

# %%
# The pictures and the network that carry all lessons: embedded, small, offline. For photographs, write
# "cifar10" and "resnet18": they are downloaded, and a step takes longer.
DATA, BACKBONE = "strokes", "strokenet"

# %% [markdown]
# ## No gradient asked for
#
# Every parameter has a switch, `requires_grad`. Off, backward computes no gradient for it: its `grad` stays
# `None`, and an optimizer passes over whatever has none. Here all but the head is switched off.

# %% tags=["NBVAL_CHECK_OUTPUT"]
backbone = difflr.load_backbone(BACKBONE)
network = backbone.build(n_classes=10)
splits = difflr.split_model(network)
for split in splits[:-1]:
    for parameter in split.parameters.values():
        parameter.requires_grad_(False)

images, labels = next(iter(load_data(DATA).train.subset(64, seed=0).batches(64)))
pixels = images.float() / 255
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
torch.nn.functional.cross_entropy(network(pixels), labels).backward()
optimizer.step()
print("conv1.weight.grad:", network.conv1.weight.grad)
print("fc.weight.grad:   ", tuple(network.fc.weight.grad.shape), "numbers")
count = len(list(network.parameters()))
network.requires_grad_(True)  # for the cells below: all may learn again
print(f"AdamW has been given {count} tensors and keeps momentum for {len(optimizer.state)}.")

# %% [markdown]
# So freezing saves memory too: no gradient and no momentum for 36 of 38 tensors.
#
# ## What backward no longer costs
#
# Backward has two jobs in each layer: the gradient of the layer's *weights*, if they train, and the gradient
# of its *input*, to hand on to the layers before it, if anything there trains. Each costs about as much as
# the forward pass. We count the operations of one step for several ways to freeze.

# %% tags=["NBVAL_CHECK_OUTPUT"]
costs = count_costs(splits, input_shape=(3, 32, 32))
found = {
    "nothing": costs.share([0, 1, 2, 3, 4, 5]),
    "layer3": costs.share([0, 1, 2, 4, 5]),
    "layer3 and layer4": costs.share([0, 1, 2, 5]),
    "stem and layer1": costs.share([2, 3, 4, 5]),
    "stem to layer3": costs.share([4, 5]),
    "all but the head": costs.share([5]),
}
for name, share in found.items():
    print(f"{name + ' frozen':>24}: {share:4.0%}")

# %% tags=["keep_output"]
figure = plot_shares(
    {f"{name} frozen": share for name, share in found.items()},
    "Operations of one training step",
)
Picture(
    figure,
    "Operations of one training step, as a share of the step with nothing frozen: "
    + ", ".join(f"{name} frozen {share:.0%}" for name, share in found.items()),
)

# %% [markdown]
# Two splits frozen in the *middle* save less than two small ones at the *front*: the gradient must still
# pass through `layer3` and `layer4` to reach the stem. Only a frozen **prefix** ends backward early.
# Forward still runs, and is a third of the work, unless one *keeps* what a frozen prefix gives for each picture and
# uses it again in every epoch (`cache=True` in difflr, for pictures that are not augmented).
#
# Counted is not timed: normalisation and activations were not counted, and take time as well. Ask your
# machine:


# %%
def seconds(first):
    """Return the shortest of five steps with the splits before ``first`` frozen."""
    network.train()
    difflr.freeze_to(splits, first)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        torch.nn.functional.cross_entropy(network(pixels), labels).backward()
        times.append(time.perf_counter() - start)
    return min(times)


full = seconds(0)
for first in ("layer2", "layer4", "head"):
    counted = costs.share(range(splits.names.index(first), len(splits)))
    print(f"frozen before {first}: {seconds(first) / full:.0%} measured, {counted:.0%} counted")

# %% [markdown]
# ### Exercise 2.1 (predict, 3 minutes): what moves?
#
# As in the first cell, all but the head is frozen by `requires_grad` alone. The network is in train mode, and
# AdamW, which was given *all* parameters, takes one step with weight decay. Which of these four tensors
# differ afterwards? Write `True` for "moves" and `False` for "stays".

# %% tags=["exercise"]
prediction = {
    "conv1.weight": ...,
    "bn1.weight": ...,
    "bn1.running_mean": ...,
    "fc.weight": ...,
}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_prediction(prediction)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# A parameter without a gradient is passed over, whatever its weight decay. `running_mean` is no parameter but
# a *buffer*: `forward` itself writes it, in train mode, from the pictures that come by.
#
# ```python
# prediction = {
#     "conv1.weight": False,
#     "bn1.weight": False,
#     "bn1.running_mean": True,
#     "fc.weight": True,
# }
# ```
#
# </details>

# %% [markdown]
# ## The BatchNorm trap
#
# A BatchNorm layer normalises in two ways. In **train mode** it uses mean and variance of the batch, and
# lets its *running* mean and variance follow them. In **eval mode** it uses the running ones and leaves them
# alone. `requires_grad` decides neither.
#
# Let us see how much that matters. Here is the network as it was pre-trained, with its old head, and 1,000
# pictures of the sixty old drawings. We freeze *every* parameter. Then we show it 640 pictures from a bad
# camera, twenty batches, and train nothing: no loss, no backward, no optimizer. These are such pictures:

# %% tags=["keep_output"]
old = Images(*map(torch.from_numpy, source_task("test", 1000)))
foggy = load_data("strokes:input_shift=1:shift_kind=contrast").train.subset(640, seed=0)
Picture(
    plot_pictures({"old": old.pixels[:8].numpy(), "bad camera": foggy.pixels[:8].numpy()}),
    "Eight of the old drawings, in strong colours, and eight drawings of the bad camera: grey, with next to no contrast.",
)

# %%
strokenet = difflr.load_backbone("strokenet")  # whatever BACKBONE is: we need the old drawings
plan = difflr.make_plan("uniform", splits)  # a Classifier wants one; nothing is trained here


def look(train_mode):
    """Return the network after it has looked at the foggy pictures."""
    model = Classifier(
        strokenet.build(0, new_head=False), plan, mean=strokenet.mean, std=strokenet.std
    )
    model.requires_grad_(False).train(train_mode)
    with torch.no_grad():
        for pictures, _ in foggy.batches(32):
            model(pictures)
    return model


before = strokenet.build(0, new_head=False)
looked = {"in eval mode": look(False), "in train mode": look(True)}
right = {f"looked {name}": evaluate(model, old)[0] for name, model in looked.items()}

# %% tags=["NBVAL_CHECK_OUTPUT"]
cut = difflr.split_model(before)
for name, model in looked.items():
    now = difflr.split_model(model.network)
    weights, statistics = displacement(cut, now), drift(cut, now)
    print(
        f"{name:>13}: weights moved: {any(weights)}, BatchNorm statistics moved: {any(statistics)}"
    )

# %% tags=["keep_output"]
figure = plot_shares(right, "Old drawings still known, though no weight moved (accuracy)")
Picture(
    figure,
    "Test accuracies on the old drawings, after the frozen network looked at 640 foggy pictures: "
    + ", ".join(f"{name} {share:.0%}" for name, share in right.items()),
)

# %% [markdown]
# No weight differs by a bit, and yet the network in train mode has forgotten much of what it knew: its
# statistics now describe the foggy pictures. A "frozen" body that drifts like this is a moving target
# for the head that you train on top of it.
#
# **So a frozen BatchNorm layer belongs in eval mode**, and that must be said again after each
# `model.train()`, which wakes every layer. (There is one good reason to let its statistics follow on purpose:
# the camera has changed for good. Lesson 7 measures that.)
#
# ## Old gradients
#
# "No gradient" means `None`. A gradient of *zero* is a gradient, and so is an old one that was left lying
# there. We train one weight for ten steps, freeze it, and go on stepping. What has it for a gradient then?


# %%
def path(gradient, weight_decay=0.0):
    """Return a weight's values over 40 steps; from step 10 on it is frozen, with this gradient."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([weight], lr=0.01, weight_decay=weight_decay)
    values = [weight.item()]
    for step in range(40):
        if step < 10:
            optimizer.zero_grad()
            weight.sum().backward()  # a gradient of 1
        elif step == 10:
            weight.requires_grad_(False)
            weight.grad = gradient
        optimizer.step()
        values.append(weight.item())
    return values


paths = {
    "None, weight decay 0.5": path(None, weight_decay=0.5),
    "zero": path(torch.zeros(1)),
    "zero, weight decay 0.5": path(torch.zeros(1), weight_decay=0.5),
    "the old one": path(torch.ones(1)),
}

# %% tags=["NBVAL_CHECK_OUTPUT"]
for name, values in paths.items():
    print(f"gradient {name:<23} step 10: {values[10]:.2f}, step 40: {values[40]:.2f}")

# %% tags=["keep_output"]
figure = plot_weights(
    paths, frozen_at=10, title="One weight, frozen at step 10 with the gradient …"
)
Picture(
    figure,
    "A weight falls for ten steps and is then frozen. It stays only where its gradient is None; with a "
    "gradient of zero it drifts on by momentum, further with weight decay, and with its old gradient it "
    "goes on as if nothing had happened.",
)

# %% [markdown]
# All four have `requires_grad=False`. Only the first one rests, with weight decay and all. With zero, Adam's
# *momentum* goes on pushing, and *weight decay* (here far larger than usual) goes on shrinking; with the old
# gradient the weight does not even notice.
#
# `optimizer.zero_grad()` has set gradients to `None` since torch 2.0, so this happens to those who write
# `zero_grad(set_to_none=False)`, who freeze between two `backward` calls of one accumulated gradient, or who
# clear only what trains. Whoever freezes should clear: `parameter.grad = None`.
#
# ### Exercise 2.2 (complete, 6 minutes): freeze by hand
#
# Write `freeze(splits, first)`: the splits from index `first` on train, those before are frozen, gradients
# and BatchNorm included, and a later call can thaw them. Each `split` has `split.parameters`, a dictionary,
# and `split.modules`. The check calls it on a network in train mode, and again after `network.train()`. All
# normalisation layers are `torch.nn.BatchNorm2d`.


# %% tags=["exercise"]
def freeze(splits, first):
    # For each split: its parameters, their gradients, its BatchNorm layers.
    ...


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_freeze(freeze)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Three things: the switch, the old gradient, the mode of BatchNorm. Each follows from one condition, so the
# function thaws as well as it freezes.
#
# ```python
# def freeze(splits, first):
#     for index, split in enumerate(splits):
#         trains = index >= first
#         for parameter in split.parameters.values():
#             parameter.requires_grad_(trains)
#             if not trains:
#                 parameter.grad = None
#         for module in split.modules:
#             if isinstance(module, torch.nn.BatchNorm2d):
#                 module.train(trains)
# ```
#
# </details>

# %% [markdown]
# ## Freezing in one line
#
# `difflr.freeze_to` does this, and knows a few more layers that keep statistics. It takes the name of the
# first split that trains or its index: `-1` is the head alone, `0` thaws everything that it froze. (What you
# froze by hand stays frozen, and the report calls it `held by you`.) The report shows what is frozen, in its
# columns `state` and `bn`.

# %% tags=["NBVAL_CHECK_OUTPUT"]
network.train()
difflr.freeze_to(splits, "layer4")
print(report(splits))

# %% [markdown]
# ## Thawed too late for the optimizer
#
# Many scripts hand the optimizer only what trains at that moment. Later they thaw more. Look at what moves in
# the next step:

# %% tags=["NBVAL_CHECK_OUTPUT"]
layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
layers[0].requires_grad_(False)
optimizer = torch.optim.SGD([p for p in layers.parameters() if p.requires_grad], lr=0.1)

layers[0].requires_grad_(True)  # thawed
start = [layer.weight.detach().clone() for layer in layers]
layers(torch.ones(1, 2)).sum().backward()
optimizer.step()
for index, (layer, weight) in enumerate(zip(layers, start, strict=True)):
    moved = not torch.equal(layer.weight, weight)
    print(f"layer {index}: has a gradient: {layer.weight.grad is not None}, moved: {moved}")

# %% [markdown]
# The thawed layer's gradient is paid for and thrown away, and nobody says a word. Put *all* parameters into
# the optimizer at the start: as the first cell has shown, it passes over frozen ones and keeps nothing
# for them. (To add a group later has traps of its own: lesson 3.)
#
# ### Exercise 2.3 (debug, 7 minutes): mend the training loop
#
# `train_top` gets a network that comes from an evaluation, in eval mode. In its first epoch the head should
# train alone, in its second `layer4` and the head. Everything else should keep every bit, and the BatchNorm
# layers of what trains should work as in any training. It has two mistakes, both from this lesson.


# %% tags=["exercise"]
def train_top(network, batches):
    splits = difflr.split_model(network)
    difflr.freeze_to(splits, "head")
    trainable = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-2)
    for epoch in range(2):
        if epoch == 1:
            difflr.freeze_to(splits, "layer4")
        network.train()
        for images, labels in batches:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_training(train_top)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `network.train()` woke the frozen BatchNorm layers, and the optimizer had been made from the head alone.
# Train mode first, then freeze, in every epoch; and all parameters for the optimizer.
#
# ```python
# def train_top(network, batches):
#     splits = difflr.split_model(network)
#     optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
#     for epoch in range(2):
#         network.train()
#         difflr.freeze_to(splits, "head" if epoch == 0 else "layer4")
#         for images, labels in batches:
#             optimizer.zero_grad()
#             torch.nn.functional.cross_entropy(network(images), labels).backward()
#             optimizer.step()
# ```
#
# </details>

# %% [markdown]
# ## A budget
#
# A step costs this much of a full one, for each `freeze_to`:

# %% tags=["NBVAL_CHECK_OUTPUT"]
n = len(splits)
for freeze_to in range(-1, -n - 1, -1):
    trained = range(n + freeze_to, n)
    print(
        f"freeze_to={freeze_to}  {splits.names[freeze_to]:>6} and after: {costs.share(trained):.2f}"
    )

# %% [markdown]
# ### Exercise 2.4 (design, 4 minutes): a freeze plan for a budget
#
# You have eight epochs, and 60% of the operations that eight full epochs would take. Every split should
# train for at least two epochs, `layer4` for at least four, and what has thawed stays thawed. Write the plan
# as pairs `(freeze_to, epochs)`.

# %% tags=["exercise"]
schedule = [(-1, ...), (0, ...)]

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_schedule(schedule)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Two full epochs cost 2.00 of the 4.80 that are allowed. The other six may cost 0.47 on average: the head
# alone for some, the head with `layer4` for two or three.
#
# ```python
# schedule = [(-1, 4), (-2, 2), (0, 2)]
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
# - What is frozen at the **front** saves backward. What is frozen in the middle saves its weights' part only.
# - `requires_grad` stops gradients, and nothing else. **BatchNorm statistics** move in train mode; put frozen
#   layers into eval mode, after every `model.train()`.
# - A frozen weight rests only if its gradient is **`None`**. Zero is a gradient: weight decay and momentum go
#   on.
# - Give the optimizer **all parameters from the start**. What is frozen costs it nothing.
#
# **Sources:** [autograd: requires_grad](https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad),
# [batch normalization](https://arxiv.org/abs/1502.03167),
# [decoupled weight decay](https://arxiv.org/abs/1711.05101) (AdamW),
# [zero_grad](https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html) of torch,
# [LP-FT](https://arxiv.org/abs/2202.10054) (why the head goes first).
