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
# # 1. Splits: where to cut a network, and why order matters
#
# [Open this lesson in Colab](https://colab.research.google.com/github/difflr/difflr/blob/v0.1.0/notebooks/01_splits.ipynb)
#
# **Questions.** Which parts of a network deserve a learning rate of their own? Where do its parameters lie,
# and where its work? What happens when a cut is wrong?
#
# **After this lesson you can**
#
# - cut a network into splits, yours too, and prove that no parameter is lost or doubled,
# - read a split report, and tell what a split holds from what it costs,
# - name three ways in which a cut goes wrong (a wrong order, a parameter left out, one held twice), and what each
#   does to the training.
#
# **Time:** 12 minutes to read, 18 minutes of exercises; the cells take under a minute together on two cores.
# **You need:** lesson 0, or the word *split*. Nothing is downloaded.

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
import inspect

import torch

import difflr
from difflr.experiments.data import load_data
from difflr.experiments.training import Classifier, evaluate, fit
from difflr.figures.bars import describe_shares, plot_shares
from difflr.figures.picture import Picture
from difflr.lessons.lossline import LossLine
from difflr.lessons.pictures import plot_pictures
from difflr.lessons.splits import (
    check_budget,
    check_cut,
    check_groups,
    check_prediction,
    quiz,
)
from difflr.lessons.splits.networks import PatchNet, WordNet
from difflr.widgets import SplitExplorer

# %%
# The pictures and the network that carries all lessons: embedded, small, offline. For photographs, write
# "cifar10" and "resnet18": they are downloaded, and training takes minutes instead of seconds.
DATA, BACKBONE = "strokes", "strokenet"

# %% [markdown]
# ## Six parts, shallow to deep
#
# A pre-trained network is a chain. Its first layers see edges, its last layers see drawings, and its *head*
# answers the question. *Shallow* is what the picture meets first, *deep* is what it meets last. We cut the
# chain into **splits**, so that each can learn at a rate of its own. These are the new drawings that it will learn, one
# of each class:

# %% tags=["keep_output"]
data = load_data(DATA)
first = [int((data.test.labels == label).nonzero()[0, 0]) for label in range(10)]
Picture(
    plot_pictures({"classes": data.test.pixels[first].numpy()}),
    "One picture of each of ten classes: small coloured drawings on coloured grounds.",
)

# %% tags=["NBVAL_CHECK_OUTPUT"]
backbone = difflr.load_backbone(BACKBONE)
network = backbone.build(n_classes=10)
splits = difflr.split_model(network)
print(*splits.names, sep=" → ")

# %% [markdown]
# The network is a narrow ResNet: its children bear the names of torchvision's `resnet18`, and its pictures
# have 32 × 32 pixels. Each of the layers 2 to 4 halves the picture's sides and doubles its channels.
#
# ### Exercise 1.1 (predict, 3 minutes): where do parameters and operations lie?
#
# Before you look: which split holds the most *parameters*, and which takes the most *operations* when a
# picture goes through? Write the names of two splits, or of one twice.

# %% tags=["exercise"]
prediction = {"parameters": ..., "operations": ...}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_prediction(prediction)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# A layer with twice the channels has four times the parameters, so most lie in `layer4`. Each of them is used
# once for every place in the picture, and `layer1` sees 64 times as many places as `layer4`.
#
# ```python
# prediction = {"parameters": "layer4", "operations": "layer1"}
# ```
#
# </details>

# %% [markdown]
# ## Look at the cut
#
# The report counts. Nothing is trained yet, and nothing is frozen.

# %% tags=["NBVAL_CHECK_OUTPUT"]
print(difflr.report(splits))

# %% [markdown]
# Three quarters of the parameters are in one split, and the head has next to none. The explorer adds the
# operations. Move the slider: which splits would train, and what would a step cost?

# %% tags=["keep_output"]
explorer = SplitExplorer(splits, input_shape=(3, 32, 32))
explorer

# %% [markdown]
# Frozen `stem` to `layer3`: three quarters of the parameters still train, yet a step costs half. Freezing the
# front gives up few parameters and saves much work. Lesson 2 is about this.
#
# ## Why order matters
#
# A differential plan gives the first split the smallest learning rate and the last split the largest.

# %% tags=["NBVAL_CHECK_OUTPUT"]
plan = difflr.make_plan("differential", splits, epochs=6, lr=1e-2)
for name, lr in zip(splits.names, plan.phases[0].lrs, strict=True):
    print(f"{name:>6}: {lr:.1e}")

# %% [markdown]
# It cannot know which split *is* the last: it believes the list. So let us lie to it. `Backwards` hands over
# the same six splits, head first.


# %%
class Backwards(Classifier):
    def model_splits(self):
        cut = difflr.split_model(self.network)
        return [list(split.parameters.values()) for split in reversed(cut)]


found = {}
for name, kind in {"shallow to deep": Classifier, "deep to shallow": Backwards}.items():
    found[name] = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = kind(backbone.build(n_classes=10), plan, mean=backbone.mean, std=backbone.std)
        images, line = data.train.subset(300, seed), LossLine(f"{name}, run {seed + 1}")
        fit(model, images, seed=seed, batch_size=32, callbacks=[line])
        found[name].append(evaluate(model, data.test)[0])

# %% tags=["keep_output"]
figure = plot_shares(found, "The same plan and splits, in two orders (test accuracy)")
Picture(figure, f"Test accuracies: {describe_shares(found)}.")

# %% [markdown]
# No error, and the new head, which had everything to learn, learned at a hundredth of the rate. (Three runs
# each, from other pictures and another new head: the gap is far wider than their spread.) To torch a wrong order
# is no mistake at all. Where PyTorch Lightning runs the training (lesson 4), difflr watches the first batch and warns;
# anywhere else, `check_order` sends one picture through the network and compares:

# %% tags=["NBVAL_CHECK_OUTPUT"]
try:
    difflr.check_order(model.splits, data.test.pixels[:1])
except difflr.DifflrError as error:
    print(error)

# %% [markdown]
# ## Who says what comes first?
#
# For the families of torchvision `split_model` knows the order. For your own network you have to say it. Here
# is one, a small vision transformer, and what it lists when asked for its children:

# %% tags=["NBVAL_CHECK_OUTPUT"]
print(inspect.getsource(PatchNet))
print("children:", *(name for name, _ in PatchNet().named_children()))

# %% [markdown]
# `children()` gives the order in which `__init__` was written; only `forward` knows the order in which a
# picture travels. And something is missing from the list of children. A parameter that is left out would be
# in no parameter group and never learn. difflr refuses to go on:

# %% tags=["NBVAL_CHECK_OUTPUT"]
try:
    difflr.split_model(PatchNet(), ["patches", "blocks", "norm", "fc"])
except difflr.DifflrError as error:
    print(error)
try:
    children = {"early": "patches", "middle": ["blocks", "norm"], "head": "fc"}
    difflr.split_model(PatchNet(), children)
except difflr.DifflrError as error:
    print(error)

# %% [markdown]
# The first try passed names where modules belong: a *list* holds modules, a *dictionary* holds names. The
# second was a good dictionary, less one parameter. In a dictionary a name claims all that lies below it, and
# may be a pattern: `"blocks.[01]"` is the first two blocks.
#
# ### Exercise 1.2 (complete, 5 minutes): cut a network of your own
#
# Let `cut` return splits for a `PatchNet`, as a dictionary or a list: three to six of them, shallow to deep,
# every parameter in exactly one, and the head `fc` by itself.


# %% tags=["exercise"]
def cut(network):
    return ...


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_cut(cut)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `position` is added to what `patches` gives, so the two belong together. `norm` may go with the last blocks.
# Where to cut between the blocks is your choice.
#
# ```python
# def cut(network):
#     return {
#         "stem": ["patches", "position"],
#         "early": "blocks.[01]",
#         "late": ["blocks.[23]", "norm"],
#         "head": "fc",
#     }
# ```
#
# </details>

# %% [markdown]
# ## One tensor with two names
#
# Language models often use one table twice: to read words, and to write them. The weight is *tied*: two
# names, one tensor.

# %% tags=["NBVAL_CHECK_OUTPUT"]
print(inspect.getsource(WordNet.__init__))
words = WordNet()
print(words.readout.weight is words.embed.weight)

# %% [markdown]
# A loop over the children meets it twice, and meets `temperature` never. The first of these mistakes torch
# notices:

# %% tags=["NBVAL_CHECK_OUTPUT"]
groups_by_hand = [{"params": list(child.parameters())} for child in words.children()]
try:
    torch.optim.SGD(groups_by_hand, lr=0.1)
except ValueError as error:
    print(error)

# %% [markdown]
# The second mistake nobody notices: an optimizer does not know what it was not given.
#
# ### Exercise 1.3 (debug, 6 minutes): mend the parameter groups
#
# `groups` should return lists of parameters, shallow to deep, for a `WordNet`. It has both mistakes. Mend it,
# with difflr or without. The check trains a network with your groups for one step, and looks at what moved.


# %% tags=["exercise"]
def groups(network):
    return [list(child.parameters()) for child in network.children()]


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_groups(groups)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `named_parameters()` lists each tensor once, those that the network holds directly as well. `split_model`
# keeps a tied weight in one split only, and would have complained about a forgotten `temperature`.
#
# ```python
# def groups(network):
#     how = {"embed": "embed", "body": "body", "head": "temperature"}
#     return [list(split.parameters.values()) for split in difflr.split_model(network, how)]
# ```
#
# </details>

# %% [markdown]
# ## How many splits?
#
# As many as there are things that you would treat differently. Two, body and head, already allow head-only
# training; the six of a ResNet follow its stages; one per layer is possible:

# %% tags=["NBVAL_CHECK_OUTPUT"]
layers = [module for module in network.modules() if list(module.parameters(recurse=False))]
for how in ({"body": ["conv1", "bn1", "layer*"], "head": "fc"}, None, layers):
    cut_so = difflr.split_model(network, how)
    smallest = min(split.numel for split in cut_so)
    print(f"{len(cut_so):>2} splits, the smallest with {smallest:,} parameters")

# %% [markdown]
# With 25 splits you would have to justify 25 learning rates, and some would move 32 numbers. Cut where the
# network changes its nature: where pictures shrink, and before the head.
#
# ### Exercise 1.4 (design, 4 minutes): a cut for a budget
#
# You will freeze all but the **last two** splits. Design a cut of the network above, as a dictionary with
# four to six splits, so that then at least 90% of the parameters train, and a step costs at most 65% of one
# that trains all. The explorer's slider tells costs.

# %% tags=["exercise"]
design = {"stem": ["conv1", "bn1"], "body": ..., "head": "fc"}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_budget(design)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `layer3` and `layer4` hold more than 90% of the parameters, and what lies before them is most of the work.
# So they must be in the last two splits: together before the head, or the head together with `layer4`.
#
# ```python
# design = {
#     "stem": ["conv1", "bn1"],
#     "early": ["layer1", "layer2"],
#     "late": ["layer3", "layer4"],
#     "head": "fc",
# }
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
# - Splits run from **shallow to deep** as `forward` does, not as `__init__` or `children()` list them.
# - Together they hold **every parameter exactly once**, those outside of layers and tied ones too.
# - Parameters gather at the end of a network, operations do not. What you freeze at the front saves time.
# - A wrong order raises no error while you train. Read the report before, and let `check_order` try it.
#
# **Sources:** [deep residual learning](https://arxiv.org/abs/1512.03385) (the stages of a ResNet),
# [an image is worth 16x16 words](https://arxiv.org/abs/2010.11929) (patches and positions),
# [tied weights](https://arxiv.org/abs/1608.05859),
# [per-parameter options](https://docs.pytorch.org/docs/stable/optim.html#per-parameter-options) of torch.
