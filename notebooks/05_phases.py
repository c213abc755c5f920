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
# # 5. Phases: from the milestones of 2020 to one scheduler
#
# [Open this lesson in Colab](https://colab.research.google.com/github/difflr/difflr/blob/v0.1.0/notebooks/05_phases.ipynb)
#
# **Questions.** How does one unfreeze a network step by step? Why does a well-known recipe train nothing
# today, and say nothing about it? How do you know that what was trained is what you planned?
#
# **After this lesson you can**
#
# - read a milestones dictionary, and say what is frozen in any epoch,
# - write a plan in phases, look at it, and train your own Lightning module by it,
# - prove that the learning rates of a run are those of its plan, also after it was interrupted.
#
# **Time:** 21 minutes to read, 20 minutes of exercises; the cells take under a minute together on two cores.
# **You need:** lessons 2 to 4: freezing, parameter groups, one cycle. Nothing is downloaded.

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
import math
import pprint
import tempfile
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from torch.optim.lr_scheduler import OneCycleLR, SequentialLR
from torch.utils.data import DataLoader, TensorDataset

import difflr
from difflr import Phase, Plan
from difflr.experiments.data import load_data
from difflr.experiments.flops import count_costs
from difflr.experiments.quiet import quiet
from difflr.figures.logged import plot_logged, read_logged
from difflr.figures.picture import Picture
from difflr.lessons.curves import drive, plot_curves
from difflr.lessons.phases import (
    SCHEDULE,
    check_budget,
    check_in_force,
    check_phases,
    check_prediction,
    quiz,
)
from difflr.lessons.phases.watch import Watch
from difflr.widgets import LiveView, PlanEditor

# %%
# The pictures and the network that carries all lessons: embedded, small, offline. For photographs, write
# "cifar10" and "resnet18": they are downloaded, and training takes minutes instead of seconds.
DATA, BACKBONE = "strokes", "strokenet"

backbone = difflr.load_backbone(BACKBONE)
pixels, labels = next(iter(load_data(DATA).train.subset(160, seed=0).batches(160)))
mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (backbone.mean, backbone.std))
dataset = TensorDataset((pixels / 255 - mean) / std, labels)


def fit(module, *callbacks, **options):
    """Fit for six epochs of ten steps, without bars and greetings."""
    plain = {
        "max_epochs": 6,
        "devices": 1,
        "logger": False,
        "enable_checkpointing": any(isinstance(c, ModelCheckpoint) for c in callbacks),
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    checkpoint = options.pop("ckpt_path", None)
    with quiet(all_warnings=True):
        trainer = pl.Trainer(callbacks=[*callbacks], **(plain | options))
        trainer.fit(module, DataLoader(dataset, batch_size=16), ckpt_path=checkpoint)


# %% [markdown]
# ## A dictionary of 2020
#
# In 2020 Lucas Vazquez showed in a Lightning thread how to train in phases: first the head alone, then one
# more split in each epoch, each time with a new cycle. The phases are a dictionary. A key is the epoch with
# which a phase begins, **counted from 1**. Here are the first three of its six entries:

# %% tags=["NBVAL_CHECK_OUTPUT"]
pprint.pp(dict(list(difflr.MILESTONES_2020.items())[:3]), width=104)

# %% [markdown]
# `freeze_to` is the index of the first split that trains, counted from the end if negative. `duration` is a
# number of epochs. `pct_start` and `lrs` make the cycle (lesson 4): one peak per split, shallow to deep.
# difflr draws all six before anything trains:

# %% tags=["keep_output"]
names = difflr.split_model(backbone.build(n_classes=10)).names
plan_2020 = difflr.from_milestones(difflr.MILESTONES_2020)
Picture(
    difflr.plot_plan(plan_2020, names, steps_per_epoch=10), difflr.describe_plan(plan_2020, names)
)

# %% [markdown]
# ### Exercise 5.1 (predict, 4 minutes): what is frozen?
#
# Another dictionary, again for six splits:

# %% tags=["NBVAL_CHECK_OUTPUT"]
pprint.pp(SCHEDULE, width=104)

# %% [markdown]
# Lightning's `current_epoch` counts **from 0**. How many splits are frozen when it is 1, 2 and 5?

# %% tags=["exercise"]
prediction = {1: ..., 2: ..., 5: ...}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_prediction(prediction)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `current_epoch` 1, 2 and 5 are the second, third and sixth epoch. The second belongs to the first
# milestone: five of six are frozen. With the third a milestone begins that trains the last three. With the
# sixth everything trains.
#
# ```python
# prediction = {1: 5, 2: 3, 5: 0}
# ```
#
# </details>

# %% [markdown]
# ## The recipe on today's Lightning
#
# Here is the recipe as it was: an optimizer whose learning rates are 0 and a dummy scheduler. At the start of
# an epoch that is in the dictionary, it freezes, makes a new `OneCycleLR`, and puts it in the place of the
# old one. Added is a counter of calls, and nothing else.


# %%
class Recipe2020(pl.LightningModule):
    milestones = difflr.MILESTONES_2020
    calls = 0

    def __init__(self):
        super().__init__()
        self.model = backbone.build(n_classes=10)

    def model_splits(self):
        stem = torch.nn.Sequential(self.model.conv1, self.model.bn1)
        layers = [each for name, each in self.model.named_children() if name.startswith("layer")]
        return [stem, *layers, self.model.fc]

    def training_step(self, batch, batch_idx):
        pictures, answers = batch
        return torch.nn.functional.cross_entropy(self.model(pictures), answers)

    def freeze_to(self, n):
        splits = self.model_splits()
        for index, split in enumerate(splits):
            split.requires_grad_(index >= n % len(splits))

    def configure_optimizers(self):
        groups = [{"params": [*split.parameters()]} for split in self.model_splits()]
        optimizer = torch.optim.AdamW(groups, lr=0)  # "passed lr does not matter"
        return [optimizer], [OneCycleLR(optimizer, 0, 9)]  # a dummy

    def on_epoch_start(self):
        self.calls += 1
        if self.current_epoch in self.milestones:
            milestone = self.milestones[self.current_epoch]
            self.freeze_to(milestone["freeze_to"])
            steps = self.trainer.num_training_batches * milestone["duration"]
            optimizer = self.trainer.optimizers[0]
            cycle = OneCycleLR(optimizer, milestone["lrs"], steps, pct_start=milestone["pct_start"])
            self.replace_scheduler({"scheduler": cycle, "interval": "step"})

    def replace_scheduler(self, cycle):
        self.trainer.lr_schedulers = self.trainer.configure_schedulers([cycle])


torch.manual_seed(0)
recipe, watch = Recipe2020(), Watch()
fit(recipe, watch)

# %% [markdown]
# Six epochs, no error and no warning. What did it do?

# %% tags=["NBVAL_CHECK_OUTPUT"]
print("calls of on_epoch_start:", recipe.calls)
print("learning rates:", {rate for step in watch.lrs for rate in step})
print(watch.table())

# %% [markdown]
# **Nothing.** Not one weight has changed in sixty steps. `on_epoch_start` was a hook of Lightning then. Since
# version 2 it is a method like any other, which nobody calls:

# %% tags=["NBVAL_CHECK_OUTPUT"]
for name in ("on_epoch_start", "on_train_epoch_start"):
    print(f"{name}: {'a hook' if hasattr(pl.LightningModule, name) else 'not a hook'}")

# %% [markdown]
# Rename it, then?


# %% tags=["NBVAL_CHECK_OUTPUT"]
class Renamed(Recipe2020):
    def on_train_epoch_start(self):
        self.on_epoch_start()


try:
    fit(Renamed())
except AttributeError as error:
    print(error)

# %% [markdown]
# `configure_schedulers` has gone too. The obvious next step is to assign the new scheduler directly. This one
# is the most treacherous, for now it *does* train:


# %%
class Assigned(Renamed):
    def replace_scheduler(self, cycle):
        self.trainer.lr_schedulers = [cycle]


watch = Watch()
fit(Assigned(), watch)

# %% tags=["NBVAL_CHECK_OUTPUT"]
print(watch.table())
meant = [max(plan_2020.lrs(step, 10)[-1] for step in range(10 * e, 10 * e + 10)) for e in range(6)]
trained = [max(lrs[-1] for lrs in watch.lrs[10 * e : 10 * e + 10]) for e in range(6)]
for epoch in range(6):
    print(f"epoch {epoch + 1}: the head's peak {trained[epoch]:.1e}, meant was {meant[epoch]:.1e}")

# %% tags=["keep_output"]
curves = {
    "as meant": [plan_2020.lrs(step, 10)[-1] for step in range(60)],
    "as trained": [lrs[-1] for lrs in watch.lrs],
}
Picture(
    plot_curves(
        curves,
        "The head's learning rate, renamed and assigned (log axis)",
        log=True,
        steps_per_epoch=10,
    ),
    "As meant, the head's learning rate makes six cycles of falling height. As trained, it is nothing in the "
    "first epoch, then one flat stair per epoch, an epoch late and at a 25th of the height.",
)

# %% [markdown]
# Two things are wrong, and nothing complains:
#
# - `trainer.lr_schedulers` is an attribute that **nobody reads**. The new scheduler is never stepped, so each
#   epoch stays at the cycle's first learning rate, a 25th of its peak.
# - The keys count from 1 and `current_epoch` from 0, so every milestone comes **an epoch late**. The first
#   epoch trains at 0, and the sixth milestone, the only one that trains the stem, never comes.
#
# ### Exercise 5.2 (debug, 5 minutes): a milestone too late
#
# Mend the second. `in_force` should return the milestone (the inner dictionary) that holds in Lightning's
# epoch `current_epoch`, for any milestones dictionary.


# %% tags=["exercise"]
def in_force(milestones, current_epoch):
    for first, milestone in milestones.items():
        if first <= current_epoch < first + milestone["duration"]:
            return milestone
    return None


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_in_force(in_force)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# One of the two has to move: epoch `current_epoch` of Lightning is epoch `current_epoch + 1` of the
# dictionary.
#
# ```python
# def in_force(milestones, current_epoch):
#     for first, milestone in milestones.items():
#         if first <= current_epoch + 1 < first + milestone["duration"]:
#             return milestone
#     return None
# ```
#
# </details>

# %% [markdown]
# ## The same dictionary, trained
#
# Take another base class, and keep the dictionary and `training_step`. The dummy optimizer and the hook go.
# `model_splits` would be kept for a network that difflr does not know. A module of your own needs no more. Watch on
# the right the **update-to-weight ratio** of each split: the length of one step's change, over the length of the
# split's weights. The learning rate is what you set; this ratio is how far the weights really move. **Predict:** when does the curve of the
# stem begin, and will it lie high or low?


# %% tags=["keep_output"]
class Mended(difflr.ParametersSplitsModule):
    milestones = difflr.MILESTONES_2020

    def __init__(self):
        super().__init__()
        self.model = backbone.build(n_classes=10)

    training_step = Recipe2020.training_step  # as it was


torch.manual_seed(0)
mended, watch = Mended(), Watch()
scratch = tempfile.TemporaryDirectory()  # gone when the kernel stops
folder = Path(scratch.name)
logger = TensorBoardLogger(folder, name="", version="milestones_2020")
fit(mended, watch, LiveView(every=0.1), logger=logger, log_every_n_steps=1)

# %% tags=["NBVAL_CHECK_OUTPUT"]
print(watch.table())

# %% [markdown]
# One more split in every epoch, from the head to the stem. What is not `moved` is the same to the last bit.
#
# ## One scheduler for all phases
#
# Could one not run torch's schedulers in a row? `SequentialLR` is made for that. First a low cycle for the head,
# then a high one, or so we would think:

# %% tags=["NBVAL_CHECK_OUTPUT"]
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5, momentum=0.9)
low = OneCycleLR(optimizer, 0.1, total_steps=10)
high = OneCycleLR(optimizer, 1.0, total_steps=10)
in_a_row = [lrs[0] for lrs in drive(optimizer, SequentialLR(optimizer, [low, high], [10]), 20)]
print(f"peaks: {max(in_a_row[:10]):g}, then {max(in_a_row[10:]):g}")

# %% [markdown]
# Both cycles peak at 1. The schedulers share one optimizer, and each constructor writes its notes over those of
# the one before: what the last one wrote holds for all. A plan keeps no notes.
#
# difflr reads the dictionary into a **plan**: phases in order, plain data. `plan.lrs(step, steps_per_epoch)`
# is the only place where a learning rate is computed. The picture above asked it, and so does
# `PlanScheduler`, the *one* scheduler for all phases. So they cannot disagree:

# %% tags=["NBVAL_CHECK_OUTPUT"]
print(mended.plan)
print()
expected = [mended.plan.lrs(step, steps_per_epoch=10) for step in range(60)]
print("learning rates of all", len(watch.lrs), "steps as planned:", watch.lrs == expected)
print("back to the dictionary:", difflr.to_milestones(mended.plan) == difflr.MILESTONES_2020)

# %% [markdown]
# ## TensorBoard
#
# The module logs `lr/<split>` and `momentum/<split>` by itself. Here they are, read back from the files that
# TensorBoard reads:

# %% tags=["keep_output"]
logged = read_logged(folder / "milestones_2020")
Picture(
    plot_logged(logged, "What was logged"),
    "Logged learning rates of six splits over 60 steps: six cycles of falling height. One more split appears "
    "with each; the momentum dips at every peak.",
)

# %% tags=["NBVAL_CHECK_OUTPUT"]
same = all(
    math.isclose(value, mended.plan.lrs(step, 10)[index], rel_tol=1e-6)
    for index, name in enumerate(names)
    for step, value in logged[f"lr/{name}"]
)
print("logged as planned, in single precision:", same)

# %% [markdown]
# In Jupyter and Colab TensorBoard can run inside the notebook, with `%load_ext tensorboard` and
# `%tensorboard --logdir FOLDER`. It starts a server, so it waits here until you ask for it:

# %%
TENSORBOARD = False  # True shows it here

if TENSORBOARD:
    from IPython import get_ipython

    get_ipython().run_line_magic("load_ext", "tensorboard")
    get_ipython().run_line_magic("tensorboard", f"--logdir {folder}")

# %% [markdown]
# ## A plan of your own
#
# New plans need no dictionary. A `Phase` says what the entries of the dictionary say, and `epochs` is its
# length. A plan that contradicts itself is refused, and the error names the phase:

# %% tags=["NBVAL_CHECK_OUTPUT"]
try:
    Plan([Phase(freeze_to=-1, epochs=1, lrs=[0, 1e-3]), Phase(0, 2, lrs=[0, 1e-3])])
except difflr.DifflrError as error:
    print(error.problem, error.remedy, sep="\n")

# %% [markdown]
# ### Exercise 5.3 (complete, 5 minutes): a plan in two phases
#
# For six splits: the head alone for 2 epochs at 1e-2, then everything for 4 epochs, from 1e-5 at the stem
# to 1e-3 at the head, each split faster than the one before it by the *same factor*.

# %% tags=["exercise"]
phases = [
    Phase(freeze_to=-1, epochs=2, lrs=[0, 0, 0, 0, 0, 1e-2]),
    ...,
]

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_phases(phases)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `freeze_to=0` trains all. A `slice` of two learning rates is filled in geometrically (lesson 3).
#
# ```python
# phases = [
#     Phase(freeze_to=-1, epochs=2, lrs=[0, 0, 0, 0, 0, 1e-2]),
#     Phase(freeze_to=0, epochs=4, lrs=difflr.expand_lrs(slice(1e-5, 1e-3), 6)),
# ]
# ```
#
# </details>

# %% [markdown]
# ## Interrupted in mid-phase
#
# Long trainings are interrupted. We train with a plan of two phases, and save a checkpoint after step 25: in
# the middle of the third epoch, and inside the second phase. Then a *new* module goes on from there, as after
# a crash.


# %%
class Two(Mended):
    milestones = Plan(
        [
            Phase(freeze_to=-1, epochs=1, lrs=[0, 0, 0, 0, 0, 1e-2]),
            Phase(freeze_to=3, epochs=5, lrs=[0, 0, 0, 1e-4, 3e-4, 1e-3]),
        ]
    )


torch.manual_seed(0)
whole, resumed = Watch(), Watch()
save = ModelCheckpoint(folder, "{step}", every_n_train_steps=25, save_top_k=-1)
fit(Two(), whole, save)
fit(Two(), resumed, ckpt_path=folder / "step=25.ckpt")

# %% tags=["NBVAL_CHECK_OUTPUT"]
print("steps of the whole run, and after the checkpoint:", len(whole.lrs), len(resumed.lrs))
print("the same learning rates:", resumed.lrs == whole.lrs[25:])
print("the same splits frozen: ", resumed.trains == whole.trains[25:])
print("may train:", [name for name, may in zip(names, resumed.trains[0], strict=True) if may])

# %% [markdown]
# This cannot be taken for granted. A checkpoint knows nothing of `requires_grad`. Here is a module that
# freezes when its one phase *begins*, as many do, interrupted in the same way:


# %% tags=["NBVAL_CHECK_OUTPUT"]
class Forgetful(Recipe2020):
    def configure_optimizers(self):
        groups = [{"params": [*split.parameters()]} for split in self.model_splits()]
        return torch.optim.AdamW(groups, lr=1e-4)

    def on_train_epoch_start(self):
        if self.current_epoch == 0:
            self.freeze_to(-1)


before, after = Watch(), Watch()
save = ModelCheckpoint(folder, "forgetful-{step}", every_n_train_steps=25, save_top_k=-1)
fit(Forgetful(), before, save, max_epochs=3)
fit(Forgetful(), after, ckpt_path=folder / "forgetful-step=25.ckpt", max_epochs=3)
for when, watch in {"before": before, "resumed": after}.items():
    may_train = [name for name, may in zip(names, watch.trains[-1], strict=True) if may]
    print(f"{when}:", *may_train)

# %% [markdown]
# Resumed, it trains everything, and says nothing. difflr saves the step, and derives the rest from the plan.
# Another plan is refused:


# %% tags=["NBVAL_CHECK_OUTPUT"]
class Other(Two):
    milestones = difflr.make_plan("uniform", 6, epochs=6)


try:
    fit(Other(), ckpt_path=folder / "step=25.ckpt")
except difflr.DifflrError as error:
    print(error.remedy)

# %% [markdown]
# ## Play with phases
#
# Add a phase, change a height, drag the border between two; behind **More settings** they change places. The table
# below says what each phase costs, and `editor.plan` is what you see. The dictionary of 2020 is there to be copied.

# %% tags=["keep_output"]
splits = difflr.split_model(backbone.build(n_classes=10))
editor = PlanEditor(
    splits,
    difflr.make_plan("gradual", splits, epochs=8, lr=1e-2),
    steps_per_epoch=10,
    input_shape=(3, 32, 32),
)
editor

# %% [markdown]
# ### Exercise 5.4 (design, 6 minutes): gradual unfreezing on a budget
#
# You can afford **8 epochs**, at no more than **60%** of what training everything for 8 epochs would cost.
# Design a plan for the six splits that begins with the head alone, unfreezes towards the stem in at least
# three stages, trains everything in its last phase, and has learning rates that never fall with depth. Use
# the editor (`design = editor.plan`), or write it. What each choice costs per step:

# %% tags=["NBVAL_CHECK_OUTPUT"]
costs = count_costs(splits, (3, 32, 32))
for first, name in enumerate(names):
    print(f"train from {name:>6} on: {costs.share(range(first, 6)):.0%}")

# %% tags=["exercise"]
design = ...

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_budget(design)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# An epoch of the head costs a third. The plan spends most of its epochs late in the network, and one on all.
#
# ```python
# design = Plan(
#     [
#         Phase(freeze_to=-1, epochs=3, lrs=[0, 0, 0, 0, 0, 1e-2]),
#         Phase(freeze_to=-3, epochs=4, lrs=[0, 0, 0, 1e-3, 2e-3, 4e-3]),
#         Phase(freeze_to=0, epochs=1, lrs=[1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3]),
#     ]
# )
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
# - A **phase** is a stretch of epochs with one `freeze_to` and one cycle. A **plan** is its phases in order.
# - Milestones count epochs **from 1**, Lightning's `current_epoch` counts **from 0**.
# - A hook with the wrong name is never called, and an attribute that nobody reads does nothing. Neither says
#   so: **look at what moved**, and at the learning rates that were logged.
# - With one scheduler that reads a plan, the preview *is* the training.
# - Derive what is frozen from the step. What is not saved cannot be lost when a run is resumed.
#
# **Sources:** the recipe, [Lightning #2005](https://github.com/Lightning-AI/pytorch-lightning/issues/2005);
# [ULMFiT](https://arxiv.org/abs/1801.06146) (gradual unfreezing);
# torch's thread on [SequentialLR](https://github.com/pytorch/pytorch/issues/72874);
# [hooks of a LightningModule](https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#hooks);
# [frozen again after resuming](https://github.com/Lightning-AI/pytorch-lightning/issues/21901);
# [TensorBoard in notebooks](https://www.tensorflow.org/tensorboard/tensorboard_in_notebooks).
