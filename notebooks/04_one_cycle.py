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
# # 4. OneCycleLR: one curve, and five ways to lose it
#
# [Open this lesson in Colab](https://colab.research.google.com/github/difflr/difflr/blob/v0.1.0/notebooks/04_one_cycle.ipynb)
#
# **Questions.** Which numbers make a cycle? Who counts its steps? What is left of it when they are counted
# wrongly?
#
# **After this lesson you can**
#
# - compute the learning rate of any step by hand, as torch does,
# - shape a cycle with `pct_start`, `div_factor` and `final_div_factor`, and give each split its own height,
# - recognise a cycle that goes wrong by the learning rates it leaves behind.
#
# **Time:** 16 minutes to read, 19 minutes of exercises; the cells take under a minute together on two cores.
# **You need:** parameter groups (lesson 3), and to have seen `scheduler.step()`. Nothing is downloaded.

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

import torch
from torch.optim.lr_scheduler import OneCycleLR

from difflr import Phase, Plan
from difflr.figures.picture import Picture
from difflr.lessons.curves import BATCHES, EPOCHS, drive, plot_changes, plot_curves, rehearse
from difflr.lessons.one_cycle import (
    check_configure,
    check_curve,
    check_cycle,
    check_prediction,
    quiz,
)
from difflr.widgets import PlanEditor

# %% [markdown]
# ## Up, and down again
#
# The thought: the first gradients of a new head point anywhere, so take small steps; take small ones again at the end,
# for the weights to settle; and longer ones in between. So a **scheduler** changes the learning rate
# from step to step. The best known shape is *one cycle*: from a 25th of the peak up to it, and down to nearly
# nothing.


# %% tags=["keep_output"]
def curve(**shape):
    """Return the learning rates of 100 steps."""
    plan = Plan([Phase(0, 1, [1e-2], **shape)])
    return [plan.lrs(step, 100)[0] for step in range(100)]


Picture(
    plot_curves(
        {"level": curve(div_factor=1, final_div_factor=1), "one cycle": curve()},
        "The same largest learning rate, level or as a cycle",
    ),
    "Learning rates of 100 steps. One is level at 0.01. The cycle rises to 0.01 in 30 steps along an S-shaped "
    "curve, and falls along another to nearly 0.",
)

# %% [markdown]
# Is it better than a level rate? Each would need a best rate of its own, chosen fairly (lesson 6), and no
# recording of ours compares them. This lesson is about something else: whether you get the curve that you asked for.
#
# ## Half a cosine
#
# How does one get smoothly from one learning rate to another? Along half a cosine: it leaves slowly, hurries
# in the middle, and arrives slowly. `share` says how much of the way is done, from 0 to 1.


# %% tags=["NBVAL_CHECK_OUTPUT"]
def between(start, end, share):
    """Go from start (share 0) to end (share 1) along half a cosine."""
    return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)


for share in (0, 0.25, 0.5, 0.75, 1):
    print(f"{share:>5.0%} of the way from 0 to 1: {between(0, 1, share):.3f}")

# %% [markdown]
# A cycle is two of these, one up and one down. Three numbers beside the height say where they begin and end:
#
# | | at step | the learning rate is |
# |---|---|---|
# | first step | 0 | `max_lr / div_factor` |
# | peak | `pct_start * total_steps - 1` | `max_lr` |
# | last step | `total_steps - 1` | `max_lr / div_factor / final_div_factor` |
#
# Both `- 1` are there because steps are numbered from 0.
#
# ### Exercise 4.1 (complete, 7 minutes): the whole curve
#
# Write `one_cycle` with two calls of `between`. `step` is a whole number from 0 to `total_steps - 1`. Up to
# the peak (it may lie between two steps) the curve rises, after it it falls.


# %% tags=["exercise"]
def one_cycle(step, total_steps, max_lr, pct_start, div_factor, final_div_factor):
    return ...


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_curve(one_cycle)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The share of the way is 0 where a half begins and 1 where it ends. The way down begins at the peak, which
# need not be a whole number, so the share counts from there.
#
# ```python
# def one_cycle(step, total_steps, max_lr, pct_start, div_factor, final_div_factor):
#     first = max_lr / div_factor
#     last = first / final_div_factor
#     peak, end = pct_start * total_steps - 1, total_steps - 1
#     if step <= peak:
#         return between(first, max_lr, step / peak)
#     return between(max_lr, last, (step - peak) / (end - peak))
# ```
#
# </details>

# %% [markdown]
# ## The same, from torch
#
# torch's `OneCycleLR` writes this curve into an optimizer, step by step. `drive` is a training loop without a
# network: it notes the learning rate, then calls `optimizer.step()` and `scheduler.step()`.


# %% tags=["NBVAL_CHECK_OUTPUT"]
def sgd(n_groups=1, lr=0.5):
    """An optimizer with weights that nobody needs."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(n_groups)]
    return torch.optim.SGD(groups, lr=lr, momentum=0.9)


optimizer = sgd()
from_torch = [lrs[0] for lrs in drive(optimizer, OneCycleLR(optimizer, 1.0, total_steps=10), 10)]
for step, lr in enumerate(from_torch):
    print(f"step {step}: {lr:.6f}")

plan = Plan([Phase(0, 1, [1.0])])
print("difflr, from the step alone:", [plan.lrs(step, 10)[0] for step in range(10)] == from_torch)

# %% [markdown]
# The optimizer was made with `lr=0.5`, and of that nothing is left: `OneCycleLR` writes its first learning
# rate over it as soon as it is *constructed*. Keep this in mind. And a plan needs the step number only, which
# is how it can be drawn before anything trains.
#
# ## Three knobs
#
# Each picture changes one number; torch's defaults are grey.

# %% tags=["keep_output"]
changes = {
    "pct_start=0.7": curve(pct_start=0.7),
    "div_factor=2": curve(div_factor=2),
    "final_div_factor=10": curve(final_div_factor=10),
}
Picture(
    plot_changes(curve(), changes),
    "Three cycles of 100 steps up to 0.01 on a log axis, each beside the default in grey, which rises over 30 steps "
    "from 4e-4 and ends at 4e-8. pct_start=0.7 rises over 70 steps. div_factor=2 begins at 5e-3 and ends higher too. "
    "final_div_factor=10 differs only at its end, 4e-5.",
)

# %% [markdown]
# - `pct_start` moves the peak: it is the share of the steps in which the rate rises.
# - `div_factor` is how much lower the start lies than the peak. It lowers the end too.
# - `final_div_factor` is how much lower the end lies than the *start*.
#
# ### Exercise 4.2 (predict, 4 minutes): four numbers of a cycle
#
# `OneCycleLR(optimizer, max_lr=0.1, total_steps=40, pct_start=0.25, div_factor=10, final_div_factor=100)`.
# Predict the learning rate of the first step, the number of the step with the peak, the learning rate of the
# last step, and the momentum at the peak. **Momentum** is the share of the last step's direction that the next one
# keeps: 0.9 means a memory of about ten steps. `OneCycleLR` moves it too, between 0.85 and 0.95. Guess which way.

# %% tags=["exercise"]
prediction = {"first": ..., "peak_step": ..., "last": ..., "momentum_at_peak": ...}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_prediction(prediction)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# 0.1 / 10 comes first. A quarter of 40 steps rise: numbers 0 to 9. The last is a hundredth of the first. The
# momentum is lowest where the learning rate is highest.
#
# ```python
# prediction = {"first": 0.01, "peak_step": 9, "last": 1e-4, "momentum_at_peak": 0.85}
# ```
#
# </details>

# %% [markdown]
# ## The momentum moves against it
#
# A step is the learning rate times a running mean of gradients. At the peak, where steps are long, the mean
# is made shorter. With SGD it is the `momentum`, with AdamW the first of its `betas`; the second beta stays.

# %% tags=["NBVAL_CHECK_OUTPUT"]
weight = [torch.nn.Parameter(torch.zeros(1))]
with_sgd = torch.optim.SGD(weight, lr=0.1, momentum=0.9)
with_adamw = torch.optim.AdamW(weight, lr=0.1)
schedulers = [OneCycleLR(each, 0.1, total_steps=10) for each in (with_sgd, with_adamw)]
for step in range(10):
    if step in (0, 2, 9):
        one, other = with_sgd.param_groups[0], with_adamw.param_groups[0]
        print(
            f"step {step}: lr {one['lr']:.1e}  SGD momentum {one['momentum']:.2f}"
            f"  AdamW betas {other['betas'][0]:.2f}, {other['betas'][1]}"
        )
    with_sgd.step(), with_adamw.step()
    for scheduler in schedulers:
        scheduler.step()

# %% [markdown]
# ## One height for each split
#
# `max_lr` takes a list with one number per parameter group. All curves have the same shape, each with its own
# height. That is a differential learning rate on a schedule. Change it: the three bars are the heights; behind
# **More settings** the slider `pct_start` moves the peak. The picture shows learning rates and momentum of every step.

# %% tags=["keep_output"]
names = ("stem", "body", "head")
editor = PlanEditor(names, Plan([Phase(0, 4, [1e-4, 1e-3, 1e-2])]), steps_per_epoch=25)
editor

# %% [markdown]
# Say the ratio in the *list*, not in the groups. Groups that bring learning rates of their own lose them:

# %% tags=["NBVAL_CHECK_OUTPUT"]
optimizer = sgd(2)
optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = 1e-4, 1e-2
OneCycleLR(optimizer, max_lr=1e-2, total_steps=10)
print("one number:", [f"{group['max_lr']:g}" for group in optimizer.param_groups])
OneCycleLR(optimizer, max_lr=[1e-4, 1e-2], total_steps=10)
print("a list:    ", [f"{group['max_lr']:g}" for group in optimizer.param_groups])

# %% [markdown]
# No error, no warning, and the training is uniform.
#
# ### Exercise 4.3 (design, 4 minutes): a cycle to order
#
# Three splits, 100 steps. The head begins at 1e-3, peaks at 1e-2 after 40 steps, and ends at 1e-5. The body
# has a tenth of the head's learning rate, the stem a tenth of the body's. Write the options of `OneCycleLR`.

# %% tags=["exercise"]
cycle = {"max_lr": ..., "pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_cycle(cycle)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# The start is a tenth of the peak, and the end a hundredth of the *start*. The list runs from the stem to the
# head.
#
# ```python
# cycle = {"max_lr": [1e-4, 1e-3, 1e-2], "pct_start": 0.4, "div_factor": 10.0, "final_div_factor": 100.0}
# ```
#
# </details>

# %% [markdown]
# ## Who counts the steps?
#
# Lightning runs the training loop for you. You write a module with `training_step`, which returns the loss
# of a batch, and `configure_optimizers`, which returns the optimizer and its scheduler; a `Trainer` does the rest:
#
# ```
# for each epoch:
#     for each batch:
#         loss = module.training_step(batch)
#         loss.backward()
#         optimizer.step(); optimizer.zero_grad()  # accumulate_grad_batches=4: after every fourth batch
#         scheduler.step()                         # if you said {"scheduler": …, "interval": "step"}
#     scheduler.step()                             # if you said nothing: once per EPOCH
# ```
#
# A cycle knows its number of steps and believes that somebody counts rightly. Five things go wrong in
# practice. Only two of them raise an error.
#
# ### 1. One step too many
#
# A cycle of 10 steps, and a loop that takes a few more:

# %% tags=["NBVAL_CHECK_OUTPUT"]
optimizer = sgd()
scheduler = OneCycleLR(optimizer, 1.0, total_steps=10)
for step in range(12):
    if step >= 8:
        print(f"step {step:>2}: {optimizer.param_groups[0]['lr']:.6f}")
    optimizer.step()
    try:
        scheduler.step()
    except ValueError as error:
        print(error)
        break

# %% [markdown]
# Step 9 is the last, with the lowest learning rate. Step 10 is one too many: the learning rate **bounces**
# back up, since a cosine does not stop at its minimum. Only the step after that raises. So a loop that is
# off by one ends its training with a jolt, and says nothing. difflr stays at the minimum:

# %% tags=["NBVAL_CHECK_OUTPUT"]
plan = Plan([Phase(0, 1, [1.0])])
print([f"{plan.lrs(step, 10)[0]:.6f}" for step in (8, 9, 10, 11)])

# %% [markdown]
# ### 2. and 3. Wrong counting
#
# `rehearse` lets Lightning fit a tiny module for 4 epochs of 12 batches with the `configure_optimizers` below, and
# notes the learning rate of every optimizer step.


# %%
def configure_optimizers(module):
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    steps = module.trainer.max_epochs * len(module.train_dataloader())
    return [optimizer], [OneCycleLR(optimizer, 0.1, total_steps=steps)]


def meant(steps):
    plan = Plan([Phase(0, 1, [0.1])])
    return [plan.lrs(step, steps)[0] for step in range(steps)]


per_epoch = rehearse(configure_optimizers)

# %% tags=["keep_output"]
Picture(
    plot_curves(
        {"as meant": meant(48), "as trained": per_epoch},
        "One cycle over 48 steps?",
        steps_per_epoch=BATCHES,
    ),
    "The cycle as meant rises to 0.1 and falls. The learning rate as trained is a flat staircase of four "
    f"stairs, one for each epoch of {BATCHES} steps, from {per_epoch[0]:.3f} to {per_epoch[-1]:.3f}.",
)

# %% tags=["NBVAL_CHECK_OUTPUT"]
print(f"optimizer steps: {len(per_epoch)}, different learning rates: {len(set(per_epoch))}")
print(f"largest learning rate: {max(per_epoch):.4f} of 0.1")

# %% [markdown]
# 48 steps, four learning rates, and the largest is a small part of what was asked for. Training with it is
# slow, and looks as if the learning rate were chosen too low.
#
# ### Exercise 4.4 (debug, 4 minutes): a cycle that never ends
#
# Mend `configure`, so that every training has one whole cycle. There are *two* mistakes. The second shows
# only when Lightning takes fewer steps than there are batches: with `accumulate_grad_batches=4`, say. The
# check trains with that too.


# %% tags=["exercise"]
def configure(module):
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    steps = module.trainer.max_epochs * len(module.train_dataloader())
    return [optimizer], [OneCycleLR(optimizer, 0.1, total_steps=steps)]


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_configure(configure)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Lightning steps a scheduler once per epoch unless the dictionary says `"interval": "step"`. And a batch is
# not a step: accumulated or limited batches and several devices make fewer of them. Lightning has counted.
#
# ```python
# def configure(module):
#     optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
#     steps = module.trainer.estimated_stepping_batches
#     cycle = OneCycleLR(optimizer, 0.1, total_steps=steps)
#     return [optimizer], [{"scheduler": cycle, "interval": "step"}]
# ```
#
# </details>

# %% [markdown]
# The second mistake by itself: stepped with every step, but made for four times as many.


# %% tags=["NBVAL_CHECK_OUTPUT"]
def counts_batches(module):
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    cycle = OneCycleLR(optimizer, 0.1, total_steps=EPOCHS * BATCHES)
    return [optimizer], [{"scheduler": cycle, "interval": "step"}]


accumulated = rehearse(counts_batches, accumulate_grad_batches=4)
print(f"optimizer steps: {len(accumulated)}, the last at {accumulated[-1]:.3f} and rising")

# %% [markdown]
# The training ends near the peak. The weights never settle, and no error is raised.
#
# ### 4. One number for groups with rates of their own
#
# You have seen it above: their own rates are written over, without a word.
#
# ### 5. A group that comes late
#
# Lesson 3 puts all parameters into the optimizer at the start. Whoever adds a group later meets the scheduler,
# which has written its notes (`initial_lr`, `max_lr`) into the groups of the start only:

# %% tags=["NBVAL_CHECK_OUTPUT"]
optimizer = sgd()
scheduler = OneCycleLR(optimizer, 1.0, total_steps=10)
optimizer.step(), scheduler.step()
optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
try:
    optimizer.step(), scheduler.step()
except KeyError as error:
    print("KeyError:", error)

# %% [markdown]
# ## Test yourself

# %% tags=["keep_output"]
quiz

# %% [markdown]
# ## Key points
#
# - A cycle is **two half cosines**: from `max_lr / div_factor` up to `max_lr`, then down to
#   `max_lr / div_factor / final_div_factor`. The momentum moves against it.
# - `max_lr` takes **a list, one number per group**. The groups' own learning rates are written over.
# - A scheduler counts **optimizer steps**: `"interval": "step"`, and `estimated_stepping_batches`.
# - The minimum is at step `total_steps - 1`. One step more bounces, two raise.
# - All groups from the start.
# - Most of these mistakes raise no error. **Log the learning rate**, and look at it.
#
# **Sources:** [super-convergence](https://arxiv.org/abs/1708.07120) (the one-cycle policy),
# [OneCycleLR](https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html)
# and its threads on [the last step](https://github.com/pytorch/pytorch/issues/91765),
# [late groups](https://github.com/pytorch/pytorch/issues/79888) and
# [the groups' own rates](https://github.com/pytorch/pytorch/issues/73305),
# [Lightning's schedulers](https://lightning.ai/docs/pytorch/stable/common/optimization.html).
