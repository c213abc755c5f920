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
# # 6. Uniform or differential? CIFAR-10, asked many times
#
# [Open this lesson in Colab](https://colab.research.google.com/github/difflr/difflr/blob/v0.1.0/notebooks/06_uniform_or_differential.ipynb)
#
# **Questions.** Do differential learning rates give a better network? Or one that is easier to get? What do
# they cost, and when do they lose? How would you know?
#
# **After this lesson you can**
#
# - compare two recipes fairly, and read a paired difference with its interval,
# - say what a ratio between the learning rates buys on real photographs, what it does not buy, and why,
# - compare recipes at equal cost, where some freeze for a while.
#
# **Time:** 23 minutes to read, 22 minutes of exercises; the cells take under a minute together on two cores.
# **You need:** lesson 1 and, for one picture, BatchNorm's running statistics (lesson 2). Nothing is downloaded.

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
import statistics
from itertools import product

import difflr
from difflr.evidence.equal_cost import equal_cost
from difflr.evidence.gains import describe_gains, gains, plot_gains
from difflr.evidence.plateau import describe_plateau, plot_plateau
from difflr.evidence.recipes import describe_recipes, plot_recipes
from difflr.evidence.summaries import (
    by_rate,
    describe_difference,
    difference,
    estimate,
    format_estimate,
    grouped,
    plateau_width,
    when_off,
    when_off_difference,
    width_difference,
)
from difflr.experiments.data import load_data
from difflr.experiments.training import TrainingOptions, train
from difflr.figures.picture import Picture
from difflr.lessons import comparing
from difflr.lessons.comparing import (
    SIZE,
    check_fair,
    check_interval,
    check_prediction,
    worst,
)
from difflr.lessons.comparing.labs import Lab
from difflr.lessons.lossline import LossLine
from difflr.runs.statistics import paired
from difflr.studies.recordings import load_recording
from difflr.widgets import Replay

# %%
# What you train yourself: embedded, small, offline. For photographs, write "cifar10" and "resnet18": they are
# downloaded, and training takes minutes instead of seconds.
DATA, BACKBONE = "strokes", "strokenet"

# %% [markdown]
# ## Runs that were made for you
#
# An answer takes hundreds of runs, which is hours on a laptop, so we have *recorded* them:
# real CIFAR-10 photographs, 32 × 32, and a ResNet-18 that had learned Tiny ImageNet before.

# %% tags=["NBVAL_CHECK_OUTPUT"]
plateau = load_recording("plateau")
about = plateau.about
print(
    f"{about['backbone']} from {about['weights']}, {about['optimizer']}, batch {about['batch_size']}"
)
print(f"pictures to train from, to choose by, to report on: {about['pictures']}")
for measured_on in ("validation", "test"):
    runs = plateau.where(measured_on=measured_on, train_size=SIZE)
    seeds = sorted({run.seed for run in runs})
    print(f"{len(runs):>3} runs on {SIZE} pictures, seeds {seeds}, measured on {measured_on}")

# %% [markdown]
# A point of the grid is a pair. The **base LR** is that of the last split, the head. The **ratio** says how
# many times slower the first split learns; the others lie between, geometrically. A ratio of 1 is uniform,
# below 1 the first split is the fastest. Everything else is the same for all: pictures, epochs (six),
# batches, augmentation, and for one seed even the new head.
#
# ### Exercise 6.1 (predict, 3 minutes): where is the best point?
#
# Move the sliders to the point that you expect to be best, and press *I predict*. Then look around: which
# points are nearly as good?

# %% tags=["keep_output"]
replay = Replay(plateau)
replay

# %% [markdown]
# For the record, write `prediction = replay.prediction`, or a pair such as `(1e-4, 1)`. Within two points
# of the best is right.

# %% tags=["exercise"]
prediction = ...

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_prediction(prediction)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# AdamW at `1e-3` is a common default, and a good guess for a head. Several points are about as good: that
# is the first finding.
#
# ```python
# prediction = (3e-3, 100)
# ```
#
# </details>

# %% [markdown]
# ## At its best: is one better?
#
# For each ratio the best base LR was chosen on validation pictures. Then five *new* seeds were run with it,
# and measured once on the test pictures. For one seed all ratios trained on the same pictures, so we
# subtract seed by seed: a **paired difference**.

# %% tags=["NBVAL_CHECK_OUTPUT"]
reported = {
    ratio: plateau.where(measured_on="test", train_size=SIZE, ratio=ratio)
    for ratio in plateau.values("ratio")
}
for ratio, runs in reported.items():
    against = "" if ratio == 1 else describe_difference(difference(runs, reported[1.0]))
    print(
        f"ratio {ratio:>6g}, base LR {runs[0].tags['base_lr']:g}: {format_estimate(estimate(runs))}  {against}"
    )

# %% [markdown]
# Uniform reached 59.5% ± 1.6. A ratio of 100, against it: not told apart: between -0.4 and +2.3 points. The
# number after a ± is half of a 95% interval. If the interval holds 0, these runs do **not tell the two
# apart**, which does not mean "equal". (We say *tie* only of a difference that is shown to be smaller than
# a point.) What could they have seen? In four cases of five, a difference of 1.8 points; a smaller one
# would often be missed.
#
# The runs above had augmented pictures. Another recording, `peak`, has twenty pairs, first without augmentation.
# Ratio 100 against uniform in six epochs, the choice of the rates included: tie (+0.4 points ± 0.5), where 0.7
# points could have been seen. In half as many epochs there is a gain: +1.7 points ± 0.7. A new head has a long way to
# go, and a short training leaves it few steps. With augmentation, which costs uniform three points in so short a training, it is +1.1 points ± 0.6 in six.
#
# ### Is it the grading, or the head?
#
# Is it the *grading* from split to split, or only that the new head is faster? Five to twenty other pairs, each
# recipe at its best rate, the choice included. The grey band is one point to either side.

# %% tags=["keep_output"]
causes = gains(load_recording("causes"))
Picture(plot_gains(causes), describe_gains(causes))

# %% [markdown]
# A fast head over a body with **one** rate is nowhere seen to do worse than rates graded from split to split. And the
# gain over uniform comes and goes. Look at the blue dots of the head ×10: with BatchNorm frozen it gains under
# either optimizer, +1.6 points ± 0.6 and +1.2 points ± 0.6; with statistics that follow it loses under SGD: -1.1 points ± 0.5.
# The wide intervals are of five pairs, which see little. What stays is that less is *forgotten*, because
# the body moves more slowly: under AdamW and at equal accuracy the faster head keeps +4.8 points ± 1.7 more of the
# source task. Lesson 7 says where that ends.
#
# ### Exercise 6.2 (complete, 6 minutes): an interval by hand
#
# Write what `difference` did. `ours` and `rival` are dictionaries, seed to accuracy. Return the mean of the
# differences over the seeds that both have, and the half-width of its interval: Student's factor × standard
# deviation ÷ √n. `T95[k]` is Student's factor for k degrees of freedom.

# %% tags=["NBVAL_CHECK_OUTPUT"]
T95 = {1: 12.706, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 9: 2.2622}
example = [0.01, 0.03, -0.01]
print(f"mean {statistics.mean(example):.3f}, standard deviation {statistics.stdev(example):.3f}")
print(f"√n for three seeds: {math.sqrt(3):.3f}")


# %% tags=["exercise"]
def interval(ours, rival):
    mean, half = ..., ...
    return mean, half


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_interval(interval)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# n differences leave n - 1 degrees of freedom. With five seeds the factor is 2.78, not 1.96: five numbers
# know their own spread badly.
#
# ```python
# def interval(ours, rival):
#     differences = [ours[seed] - rival[seed] for seed in set(ours) & set(rival)]
#     n = len(differences)
#     half = T95[n - 1] * statistics.stdev(differences) / math.sqrt(n)
#     return statistics.mean(differences), half
# ```
#
# </details>

# %% [markdown]
# ## Off its best: what does a wrong base LR cost?
#
# On new data you do not know the best learning rate. What happens if you miss it?

# %% tags=["keep_output"]
RATIOS = (0.1, 1, 10, 100, 1000)
both = ("last", "middle")
Picture(plot_plateau(plateau, SIZE, RATIOS, against=both), describe_plateau(plateau, SIZE, RATIOS))

# %% [markdown]
# Look at the left picture first. From a ratio of 1 upwards the curves are about as high, but they come down
# differently. In numbers: what does a base LR cost that is ten times too low, or ten times too high?

# %% tags=["NBVAL_CHECK_OUTPUT"]
by_ratio = {
    ratio: plateau.where(measured_on="validation", train_size=SIZE, ratio=ratio)
    for ratio in (1, 10, 100, 1000)
}
missed = {ratio: [when_off(runs, f) for f in (0.1, 10)] for ratio, runs in by_ratio.items()}
for ratio, (low, high) in missed.items():
    print(
        f"ratio {ratio:>4}: too low {describe_difference(low):<26} too high {describe_difference(high)}"
    )
low, high = missed[1], missed[100]
assert low[1].mean + low[1].half < high[1].mean - 0.05  # too high: differential loses far less
assert high[0].mean + high[0].half < -0.05  # too low: it loses dearly, as uniform does
assert abs(estimate(reported[100.0]).mean - estimate(reported[1.0]).mean) < -low[1].mean / 3

# %% [markdown]
# **Too high**, uniform falls far below its best, and a ratio of 100 hardly
# does. **Too low**, both pay dearly: a ratio is no help there. (The best LR was found in these same runs,
# which flatters it a little, on all sides alike.) Is it so with more pictures?

# %% tags=["NBVAL_CHECK_OUTPUT"]
SIZES = plateau.values("train_size")
sides = {
    size: [
        plateau.where(measured_on="validation", train_size=size, ratio=ratio) for ratio in (100, 1)
    ]
    for size in SIZES
}
for size, pair in sides.items():
    gain = describe_difference(when_off_difference(*pair, 10))
    print(f"{size:>5} pictures, ten times too high: ratio 100 against uniform {gain}")
savings = [when_off_difference(*pair, 10) for pair in sides.values()]
assert savings[0].mean - savings[0].half > 0.05
assert max(gain.mean for gain in savings[1:]) < 0.04

# %% [markdown]
# Hardly. The large advantage is one of *few* pictures: with more of them uniform bears a rate that is too
# high as well, to within three points.
#
# How wide is the plateau? We measure in *decades*, factors of ten, how far the base LR may be off and still
# be within two, or five, points of a curve's own best.

# %% tags=["NBVAL_CHECK_OUTPUT"]
for within in (0.02, 0.05):
    print(f"within {100 * within:.0f} points of the best")
    for size, pair in sides.items():
        texts = []
        for runs in pair:
            width = plateau_width(by_rate(runs), within)
            texts.append(f"{'at least ' if width.at_edge else ''}{width.decades:.1f}")
        gap = width_difference(*pair, within)
        print(
            f"{size:>7} pictures: ratio 100 {texts[0]}, uniform {texts[1]}; "
            f"seed by seed {gap} decades"
        )
        assert gap.mean > gap.half or within < 0.05  # within 5 points: wider

# %% [markdown]
# After the ± stands half of a 95% interval of the *paired* difference: seed by seed, plateau against plateau. *At least*, and ≥, mark that the grid ended before a plateau of ratio 100 did;
# with 5,000 pictures it cut off uniform's as well, and says little of their difference. Within **five**
# points the plateau of ratio 100 is wider with 500 and 1,000 pictures, by about half a decade: it forgives
# a base LR that is off by three times as much. Within two points only the 1,000 pictures show it. The peaks
# with 5,000, ratio 100 against uniform: not told apart: between -1.0 and +1.7 points.
#
# ## Two walls
#
# Is a wide plateau only a shifted one? The base LR is the largest rate, so with a ratio of 100 the rest of
# the network learns more slowly than the axis says. The right picture above shows the same runs over the
# rate in the *middle* of the network (the geometric mean of the splits). On a log axis this moves a curve
# as a whole: it changes where a plateau lies, and not how wide it is. So the answer is: shifted *and*
# wider.
#
# The right picture also shows why. There the curves fall off *together*. Let us hold one of the two rates
# fixed, and change the other.


# %% tags=["NBVAL_CHECK_OUTPUT"]
def at(lr, ratio):
    own = plateau.where(measured_on="validation", train_size=SIZE, base_lr=lr, ratio=ratio)
    return estimate(own)


fast_middle = [at(lr, ratio) for lr, ratio in ((3e-3, 0.1), (1e-2, 1), (3e-2, 10), (1e-1, 100))]
print("middle at about 1e-2, head from 3e-3 to 1e-1:", *map(format_estimate, fast_middle), sep="  ")
good_head = [at(1e-3, ratio) for ratio in (1, 10, 100, 1000)]
print("head at 1e-3, middle from 3e-5 to 1e-3:", *map(format_estimate, good_head[::-1]), sep="  ")
slow_middle = [at(1e-4, 1), at(1e-3, 100)]
print("middle at 1e-4, head at 1e-4 and at 1e-3:", *map(format_estimate, slow_middle), sep="  ")
best = max(value.mean for value in good_head)
assert max(value.mean for value in fast_middle) < best - 0.08  # broken, whatever the head does
assert min(value.mean for value in good_head) > best - 0.04  # good, whatever the middle does
assert at(1e-3, 100).mean > at(1e-4, 1).mean + 0.1

# %% [markdown]
# - First row: a **middle that moves too fast** breaks the network, whatever the head does.
# - Second row: with the head at a good rate, the middle may be thirty times slower, for a few points.
# - Third row: with the same slow middle, a **head that learns too slowly** starves.
#
# These are two walls, one for the body and one for the head, and a uniform rate must pass between both. A
# ratio moves the walls apart: it does not make a clearly better network, but a good one harder to miss.
#
# ## Where differential loses
#
# If you carry over a base LR from a uniform recipe and only add a large ratio, you slow everything but the
# head: see the next cell. And a ratio below 1, each at its own best base LR, on the test
# pictures: -2.4 points ± 1.8.

# %% tags=["NBVAL_CHECK_OUTPUT"]
for lr in (3e-4, 1e-3, 1e-2, 1e-1):
    sides = [
        plateau.where(measured_on="validation", train_size=SIZE, base_lr=lr, ratio=ratio)
        for ratio in (1000, 1)
    ]
    print(f"base LR {lr:g}, ratio 1000 against uniform: {describe_difference(difference(*sides))}")

# %% [markdown]
# The winner depends on the base LR at which you compare. That is how to "prove" either side.
#
# ### Exercise 6.3 (debug, 8 minutes): mend an unfair comparison
#
# A `Lab` trains nothing: it returns accuracies as real runs would, and *we know the truth*. In this one,
# uniform and differential are equally good. The comparison below finds a clear gain all the same: three
# things are wrong. Mend `compare(run)`; `run(recipe, lr, seed, "validation")` and
# `run(recipe, lr, seed, "test")` give an accuracy. Return what `paired(differential, uniform)` returns. The
# check looks at which runs you ask for.

# %% tags=["exercise"]
RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]


def compare(run):
    best = max(RATES, key=lambda lr: run("differential", lr, 0, "test"))
    differential = {seed: run("differential", best, seed, "test") for seed in range(5)}
    uniform = {seed: run("uniform", 1e-2, seed, "test") for seed in range(5)}
    return paired(differential, uniform)


describe_difference(compare(Lab(gain=0.0).run))

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_fair(compare)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Differential chose its LR, uniform had to take one; the choice was made on the test pictures, from one
# seed; and that seed was reported as well. A loop over both recipes cannot treat them differently.
#
# ```python
# RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
#
# def compare(run):
#     found = {}
#     for recipe in ("uniform", "differential"):
#         def score(lr):
#             return sum(run(recipe, lr, seed, "validation") for seed in range(3))
#
#         best = max(RATES, key=score)
#         found[recipe] = {seed: run(recipe, best, seed, "test") for seed in range(100, 105)}
#     return paired(found["differential"], found["uniform"])
# ```
#
# </details>

# %% [markdown]
# ## Recipes: what is frozen, and when
#
# So far only the rates changed. A *recipe* also says what is frozen, and for how long. The next recording has
# all of difflr's recipes, and three other packages that did the same task: the same 1,000 photographs, the same
# new heads, the same learning rates to choose from. (`defaults`: at the package's own rate and schedule.)
# The axis counts seconds of computing.

# %% tags=["keep_output"]
recipes = load_recording("recipes")
Picture(plot_recipes(recipes, "cpu_seconds"), describe_recipes(recipes, "cpu_seconds"))

# %% tags=["NBVAL_CHECK_OUTPUT"]
six = {}
for (name,), runs in grouped(recipes.where(measured_on="test", epochs=6), "recipe").items():
    six[name] = runs
for name in sorted(six, key=lambda name: -estimate(six[name]).mean):
    seconds = estimate(six[name], "cpu_seconds").mean
    against = (
        "" if name == "uniform" else describe_difference(difference(six[name], six["uniform"]))
    )
    print(f"{name:<38} {format_estimate(estimate(six[name]))} {seconds:4.0f} s  {against}")
seconds_of_uniform = estimate(six["uniform"], "cpu_seconds").mean

# %% [markdown]
# The first six rows, uniform among them, are not told apart by five pairs, no matter whose package it is.
# `lp_ft`, `gradual` and the milestones lose a point or two here, but who compares so many recipes finds
# some such losses by chance. At three epochs differential is ahead: +1.5 points ± 1.0. What loses clearly:
# rates that fall with depth, and **defaults** that nobody tuned. (Two packages spend these six epochs on
# the head alone; their defaults are made for longer training.)
#
# Now look to the left. `head_only` costs three tenths of the seconds, because nothing goes backward through the
# network. Is it fair to compare it at six epochs? Let each recipe have *as many seconds as uniform*, by
# reading between its runs of 3, 6 and 12 epochs.

# %% tags=["NBVAL_CHECK_OUTPUT"]
equal = {}
for name in ("differential", "fine_tune", "lp_ft", "gradual", "head_only"):
    runs = recipes.where(measured_on="test", recipe=name)
    equal[name] = equal_cost(runs, six["uniform"])
    print(f"{name:<13} with uniform's seconds: {describe_difference(equal[name])}")
assert equal["lp_ft"].holds_zero
assert not difference(six["lp_ft"], six["uniform"]).holds_zero  # at six epochs it was not so
assert equal["head_only"].mean + equal["head_only"].half < 0
assert estimate(six["head_only"], "cpu_seconds").mean < 0.3 * seconds_of_uniform
assert all(equal[name].holds_zero for name in ("differential", "fine_tune"))

# %% [markdown]
# `lp_ft` (the head first, then everything) has caught up: its first half is cheap, so it can afford more
# epochs. `head_only` has not: its twelve epochs still cost less than uniform's six, but twice the epochs
# did not close the gap. So say whether you count epochs or seconds. (These are the processor's, on a machine
# that did nothing else.)

# %% [markdown]
# ## Now your own
#
# A small, fair comparison: both recipes get the same learning rates, pictures and seeds; validation pictures choose.

# %%
data, backbone = load_data(DATA), difflr.load_backbone(BACKBONE)
held, pool = data.train.divide(400, seed=0)
test, options = data.test.subset(1000, seed=0), TrainingOptions(batch_size=20)


def accuracy(recipe, lr, seed, images, line):
    plan = difflr.make_plan(recipe, 6, epochs=6, lr=lr)
    own, line.name = pool.subset(100, seed), f"{recipe} {lr:g}"
    outcome, _ = train(
        backbone, plan, own, images, options, n_classes=10, seed=seed, callbacks=[line]
    )
    return outcome.accuracy


line = LossLine("")
tried = {
    (recipe, lr): accuracy(recipe, lr, 0, held, line)
    for recipe, lr in product(("uniform", "differential"), (1e-3, 3e-3, 1e-2, 3e-2))
}
for (recipe, lr), share in tried.items():
    print(f"{recipe:>12} {lr:g}: {share:.1%} of the validation pictures")

# %%
tested, line = {}, LossLine("")
for recipe in ("uniform", "differential"):
    best = max((lr for name, lr in tried if name == recipe), key=lambda lr: tried[recipe, lr])
    tested[recipe] = {seed: accuracy(recipe, best, seed, test, line) for seed in (100, 101, 102)}
    shares = ", ".join(f"{share:.1%}" for share in tested[recipe].values())
    print(f"{recipe:>12}, chosen {best:g}: {shares} of the test pictures")
print(
    "differential against uniform:",
    describe_difference(paired(tested["differential"], tested["uniform"])),
)

# %% [markdown]
# Three seeds have a factor of 4.3 in their interval: it is wide, and says so. One seed chose among four rates;
# at the end of a grid the true best may lie beyond. And drawings are no photographs.
#
# ### Exercise 6.4 (design, 5 minutes): choose for the worst case
#
# You fine-tune once, on photographs of your own, with no time to tune. Your base LR may be off by **up to a
# factor of three either way**. Choose base LR and ratio from the recorded grid, so that the worst that can
# happen is as good as possible. `worst(lr, ratio)` is the lowest recorded mean within that range, and None
# where the grid ends. Every choice is right that five seeds do not tell apart from the best:

# %% tags=["NBVAL_CHECK_OUTPUT"]
print(f"uniform at 1e-3, at worst: {worst(1e-3, 1):.1%}")

# %% tags=["exercise"]
choice = ...

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
comparing.check_robust(choice)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# Several choices are as good: ratios of 100 and 1000, with a base LR between 3e-3 and 3e-2. The best that
# uniform can guarantee is about three points lower.
#
# ```python
# choice = max(
#     product(plateau.values("base_lr"), plateau.values("ratio")),
#     key=lambda point: worst(*point) or 0,
# )
# ```
#
# </details>

# %% [markdown]
# ## A rule for Monday
#
# | question | where to begin | what says so |
# |---|---|---|
# | Which base LR? | AdamW with one cycle: 1e-3 for uniform, 3e-3 for a ratio of 100. Try a third and three times that on held-out pictures; go on while the best is at the end of the grid. | best points of the grid above |
# | Which ratio? | 1 if you can try several base LRs. 100 if you cannot: it forgives half a decade more. Then **raise the base LR**: at 1e-4 the ratios 1, 100 and 1000 reach 42, 23 and 19%. | widths; *Where differential loses* |
# | What to freeze? | Nothing, unless seconds count. Then the head first and everything afterwards: with equal seconds it is not told apart from uniform. Here the head alone loses; where the weights know such pictures, try it too. | *Recipes* |
# | How to check? | Both sides tuned by one grid on held-out pictures, then five new seeds or more, paired. Five pairs see 1.8 points. | 6.2, 6.3 |
# | When to leave it uniform? | When you tuned the base LR and the runs do not tell the two apart; and when the input is new, not the labels. | *At its best*; lesson 7 |
#
# ## What these runs do not show
#
# One network, one pair of tasks, small pictures, 500 to 5,000 of them, few epochs, AdamW and one schedule.
# The grid has half-decades (with 5,000 pictures some are left out), so a peak between two of its rates is
# missed, a narrow one by more: uniform's by about a point. The best ratio of another network may be another one: on
# EfficientNet-Lite0 uniform is ahead, and a ratio of 100 against it is at -3.1 points ± 1.6 (recording `networks`);
# with pictures of 96 pixels in place of 64, nearer to those it knows, the head alone is best: +2.3 points ± 0.8 (`networks_96`).
# What is likely to carry over are the two walls, not the numbers.
#
# ## Test yourself

# %% tags=["keep_output"]
comparing.quiz

# %% [markdown]
# ## Key points
#
# - A fair comparison tunes **both** sides by the same grid on validation pictures, then reports once, from
#   new seeds, as a **paired difference with its interval**. What is not told apart is not called equal.
# - At their best, five pairs do not tell uniform and differential apart; twenty, without augmentation, show a
#   tie, and a gain of one to two points where training is half as long. What differs is how far off the base LR may be: a ratio of 100 forgives half a decade more. Ten times
#   **too high** costs it little with few pictures; with more, uniform bears that too, to within three points. Too low is
#   dear for both, and a ratio makes it worse.
# - There are two walls: a head that learns too slowly, a body that moves too fast. A ratio moves them apart, and
#   with few pictures a body that moves more slowly forgets less.
#
# **Sources:** [ULMFiT](https://arxiv.org/abs/1801.06146) (discriminative learning rates),
# [fastai](https://docs.fast.ai/callback.schedule.html#learner.fine_tune) (its ratio of 100), [deep learning
# tuning playbook](https://github.com/google-research/tuning_playbook) (fair comparisons), [Student's t
# interval](https://en.wikipedia.org/wiki/Student%27s_t-distribution#Confidence_intervals).
