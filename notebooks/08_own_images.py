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
# # 8. Your own images: from a folder to a result sheet
#
# [Open this lesson in Colab](https://colab.research.google.com/github/difflr/difflr/blob/v0.1.0/notebooks/08_own_images.ipynb)
#
# **Questions.** What must I look at before I train on pictures of my own? How do I find learning rates for
# them? What may I say in the end?
#
# **After this lesson you can**
#
# - check a folder of pictures for the faults that make results worthless,
# - find a base learning rate for each plan and choose between plans without touching the test pictures,
# - report once, with an interval, on a sheet from which others can repeat it, and say what it left open.
#
# **Time:** 19 minutes to read, 25 minutes of exercises and 9 of an optional one; the cells take about 2 minutes together on two cores.
# **You need:** the words *split*, *plan* and *seed* (lessons 0, 1 and 6). Nothing is downloaded.

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
import tempfile
from pathlib import Path

import numpy as np
import torch
from IPython.display import Markdown, display

import difflr
from difflr.experiments.compare import compare
from difflr.experiments.contact import contact_sheet
from difflr.experiments.data import load_data
from difflr.experiments.figure import plot_runs
from difflr.experiments.mistakes import plot_worst, worst_of
from difflr.experiments.page import write_page
from difflr.experiments.settings import Settings
from difflr.experiments.sheet import write_sheet
from difflr.experiments.training import Classifier
from difflr.figures.picture import Picture
from difflr.lessons.own_images import (
    check_choice,
    check_leaks,
    check_plans,
    check_prediction,
    check_sheet,
    quiz,
)
from difflr.lessons.own_images.folders import results_folder, without_copies, write_example
from difflr.lessons.own_images.rates import best_rates, trial_rates
from difflr.runs.statistics import format_estimate, summarise
from difflr.widgets import PlanEditor, RangePanel

# %%
# Your pictures: the path of a folder with one folder per class, or with train/<class>/ and test/<class>/.
# None: the lesson makes one.
FOLDER = None
# For photographs write "resnet18", "imagenet" (downloaded, or the path of a file of weights) and 128.
BACKBONE, WEIGHTS, IMAGE_SIZE = "strokenet", None, None

# %% [markdown]
# ## A folder arrives
#
# One folder per class is all it takes. Of such a folder difflr puts a fifth aside to test on; copies and series
# of one subject stay on one side. If somebody has already divided yours into `train` and `test`, that is kept.
# Without a folder of yours the lesson writes real PNG files into a temporary one, with the faults that folders
# have. Run it with these first, then set `FOLDER` and run it again: every cell below works on yours too.

# %%
if FOLDER is None:
    workshop = tempfile.TemporaryDirectory(prefix="difflr-", ignore_cleanup_errors=True)
    home = Path(workshop.name)
    folder = write_example(home / "drawings")
else:
    home = Path("own-images")  # results are kept here
    folder = Path(FOLDER).expanduser()

# %% [markdown]
# Count before anything else.


# %% tags=["NBVAL_CHECK_OUTPUT"]
def show_counts(data):
    for label, name in enumerate(data.classes):
        train, test = (int((part.labels == label).sum()) for part in (data.train, data.test))
        print(f"{name:>12}: {train:>4} to train on, {test:>4} to test on")
    print(f"{'all':>12}: {len(data.train):>4} to train on, {len(data.test):>4} to test on")


data = load_data(str(folder), image_size=IMAGE_SIZE)
OUT = results_folder(home, data)  # of these pictures, and of no others
for said in (data.reading.describe(), data.division and data.division.describe()):
    if said:
        print(said)
if data.division:
    print(data.division.write(OUT / "parts.csv"))
show_counts(data)

# %% [markdown]
# One class has about half as many pictures as the others. A network learns that it is rare, and names it too
# seldom. (Had a file been damaged, a phone's picture been turned or a scan had 16 bits, it would say so here.)
# Then look at what the network will see: no count shows a wrong label, a watermark, or a class on blue paper.

# %% tags=["keep_output"]
Picture(
    contact_sheet(data),
    "Contact sheet: the first eight training pictures of each class, a row per class: "
    + ", ".join(data.classes[:10]),
)

# %% [markdown]
# The rows differ in their drawings, and not in colour or ground. Good: then that is what must be learned.
#
# ## Pictures that leaked
#
# A test picture that lies in `train` as well has been seen before, and its answer is remembered, not found.
# Copies are common: people merge folders, rename, save again in another format. Even CIFAR has them.
#
# ### Exercise 8.1 (debug, 7 minutes): find the pictures that leaked
#
# `find_leaks(folder)` should return the files in `test` whose picture is in `train` too, in whatever class,
# under whatever name. It finds plenty in this folder, and hardly any of them has leaked. Mend it.


# %% tags=["exercise"]
def find_leaks(folder):
    known = {file.name for file in folder.glob("train/*/*")}
    return [file for file in sorted(folder.glob("test/*/*")) if file.name in known]


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_leaks(find_leaks)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# A name says nothing about a picture, and saving it again changes the bytes of the file. So compare pixels.
# A set holds those of `train`, whatever their class.
#
# ```python
# def find_leaks(folder):
#     from PIL import Image
#
#     def pixels(file):
#         with Image.open(file) as picture:
#             return picture.size, picture.convert("RGB").tobytes()
#
#     known = {pixels(file) for file in folder.glob("train/*/*")}
#     return [file for file in sorted(folder.glob("test/*/*")) if pixels(file) in known]
# ```
#
# </details>

# %% [markdown]
# We go on without the copies. They leave `train`, and not `test`: your test pictures stay what others compare
# with. Your own files are not touched; what is left goes into a new folder.

# %% tags=["NBVAL_CHECK_OUTPUT"]
folder, copies = without_copies(folder, OUT / folder.name)
print(*copies, sep="\n")
data = load_data(str(folder), image_size=IMAGE_SIZE)
show_counts(data)

# %% [markdown]
# A copy that was cropped, scaled or saved as JPEG has other pixels and is not found here; nor are several
# pictures of one animal, room or patient, which leak as well. If your folder is already divided, put all of one
# subject on one side yourself. If it has one folder per class, difflr keeps most copies and series together, and
# a `parts.csv` in it says the rest.
#
# ## What the network brings
#
# The report of the network as it comes, its old head included:

# %% tags=["NBVAL_CHECK_OUTPUT"]
backbone = difflr.load_backbone(BACKBONE, WEIGHTS)
brought = difflr.split_model(backbone.build(0, new_head=False))
print(difflr.report(brought))

# %% [markdown]
# ### Exercise 8.2 (predict, 4 minutes): what is new, and what is worth nothing
#
# The old head has an output for each of 60 classes. From the report and the table of counts: how many
# parameters will the *new* head have? And which share of the test pictures is right when one always names
# the class that is most common in training?

# %% tags=["exercise"]
prediction = {"new parameters": ..., "guessing": ...}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_prediction(prediction, data, brought)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# 7,740 parameters for 60 classes are 129 for each: 128 weights and a bias. In training the first three
# classes are equally common; each of them has 60 of the 200 test pictures.
#
# ```python
# prediction = {"new parameters": 4 * 129, "guessing": 60 / 200}
# ```
#
# </details>

# %% tags=["NBVAL_CHECK_OUTPUT"]
splits = difflr.split_model(backbone.build(len(data.classes)))
print(difflr.report(splits))

# %% [markdown]
# Almost everything is pre-trained. The new head is small enough to be learned from few pictures.
#
# ## A base learning rate for each plan
#
# A recipe fixes the *ratios* between the splits. How fast all of them go is your choice, and it depends on
# your pictures. The range test trains for some steps while every rate grows, keeps the ratios, and
# afterwards undoes what it did. It gets training pictures only, less a fifth that we put aside to choose by, in
# fresh batches and changed at random as in training: on one batch it would measure how fast that is learnt by heart.

# %%
EPOCHS, BATCH = 6, 16
held_out, pool = data.train.hold_out(0.2, seed=0)


def training_loss(model, batch):
    pixels, labels = batch
    return torch.nn.functional.cross_entropy(model(model.augmented(pixels, numbers)), labels)


tests, grid = {}, {"loss": training_loss, "low": 0.01, "high": 300, "steps": 60}
for recipe in ("uniform", "head_only", "differential"):
    plan = difflr.make_plan(recipe, splits, epochs=EPOCHS)
    torch.manual_seed(0)
    network = backbone.build(len(data.classes))
    numbers = torch.Generator().manual_seed(0)
    options = {"flip": data.flip, "crop": data.crop}
    model = Classifier(network, plan, mean=backbone.mean, std=backbone.std, **options)
    optimizer = torch.optim.AdamW(difflr.param_groups(model.splits, weight_decay=0.01))
    batches = pool.batches(2 * BATCH, seed=0)
    tests[recipe] = difflr.range_test(model.splits, optimizer, batches, plan.phases[0], **grid)
    rates = ", ".join(f"{rate:.0e}" for rate in trial_rates(tests[recipe]))
    print(f"{recipe:>12}: try {rates} for the fastest split")

# %% [markdown]
# Here is the last test, below the plan that it was made for. **Predict** what *Use the suggestion* does to the six
# curves, then press it: all go up by one factor, and their distances stay. *Share out by gradients* gives each split a rate
# by the size of its own gradients instead (Auto-RGN, lesson 7).

# %% tags=["keep_output"]
editor = PlanEditor(model.splits, plan, steps_per_epoch=len(pool) // BATCH, input_shape=None)
panel = RangePanel(editor, model.splits, optimizer, batches, **grid)
panel.show(tests["differential"])
display(editor, panel)

# %% [markdown]
# Each plan has rates of its own: one number for all would have favoured one of them. The suggestion lies where
# the smoothed loss falls fastest. (The line averages over steps on both sides. An average of the past alone would
# show the fall some steps late, too far to the right.) We try the suggestion, three times and nine times it, for each
# recipe with the same care: a cycle is at its peak for a moment only, and bears more than a rate that stays. Few
# pictures come again and again, and then the loss falls at rates that no training survives; so `trial_rates` keeps
# the middle one below a third of the rate at which the line was lowest, and below 0.03.
#
# ## Choose, without looking at the test pictures
#
# Suppose that all our settings were equally good, each of them right on 80% of all pictures. We measure each
# on as many pictures as we have put aside, and take the one that looks best:

# %% tags=["NBVAL_CHECK_OUTPUT"]
right = np.random.default_rng(0).binomial(28, 0.8, size=(5000, 6)) / 28
print(f"one setting: {right[:, 0].mean():.0%}, the best of six: {right.max(axis=1).mean():.0%}")

# %% [markdown]
# The winner is no better than the others, but its number is. So the pictures that you choose by may not be
# those that you report on.
#
# ### Exercise 8.3 (debug, 6 minutes): choose, then report
#
# `runs` is a list of dictionaries with `lr`, `seed`, and the accuracies `validation` and `test`. `choose`
# should return the learning rate to use, and the accuracy to report for it. Mend it: three things are wrong.


# %% tags=["exercise"]
def choose(runs):
    best = max(runs, key=lambda run: run["test"])
    return best["lr"], best["test"]


# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_choice(choose)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# It chose on the test pictures, it chose one lucky run rather than a learning rate, and it reported the luck.
#
# ```python
# def choose(runs):
#     from statistics import fmean
#
#     def mean(lr, name):
#         return fmean(run[name] for run in runs if run["lr"] == lr)
#
#     best = max({run["lr"] for run in runs}, key=lambda lr: mean(lr, "validation"))
#     return best, mean(best, "test")
# ```
#
# </details>

# %% [markdown]
# Now in earnest: three recipes, three learning rates each, two seeds, on the pictures put aside.


# %%
def settings(recipes, **more):
    return Settings.fitting(
        str(folder),
        backbone=BACKBONE,
        weights=WEIGHTS,
        image_size=IMAGE_SIZE,
        epochs=EPOCHS,
        batch_size=BATCH,
        recipes=recipes,
        **more,
    )


candidates = [
    f"{recipe}:lr={rate:.0e}" for recipe, test in tests.items() for rate in trial_rates(test)
]
validated = compare(
    settings(candidates, seeds=(0, 1), train_size=len(pool), validate=True),
    OUT / "validated",
)
for candidate in summarise(validated.runs):
    result = "diverged" if candidate.diverged else f"{candidate.accuracy.mean:.0%}"
    print(f"{candidate.recipe:>22}: {result}")
finalists = [candidate.recipe for candidate in best_rates(validated)]
print("to be reported:", *finalists)

# %% [markdown]
# With so few pictures one of them is worth several points: this tells a bad learning rate from a good one, but not
# two good ones. All recipes had the same budget; had one had more tries, it would have had more luck. A rate from
# which training diverged is no choice. If a recipe's best is its smallest or largest, the next one may be better.
#
# ## Other folders, other plans
#
# These three recipes suit new classes on pictures of a known kind. What would you try first elsewhere?
#
# ### Exercise 8.4 (design, 9 minutes): optional, three folders, three plans
#
# Make a plan for six splits and six epochs for each of these folders; learning rates are up to you.
#
# - `few`: fifteen pictures per class, new classes, the kind of picture that the network knows. On an old
#   laptop: training may cost at most 75% of what training everything costs.
# - `fog`: the network is already fine-tuned on these classes, and its head stays. Only the camera is new.
# - `plenty`: thousands of pictures per class, new classes, and a kind of picture that it has never seen.

# %% tags=["exercise"]
plans = {"few": ..., "fog": ..., "plenty": ...}

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_plans(plans)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# `few`: a new head always learns; freezing is what saves time; the front should not move more than the back.
# `fog`: the head still fits, and the front must not be starved. `plenty`: nothing needs to be protected for good. There are
# many right answers.
#
# ```python
# plans = {
#     "few": difflr.make_plan("gradual", 6, epochs=6, lr=1e-2),
#     "fog": difflr.make_plan("uniform", 6, epochs=6, lr=3e-3),
#     "plenty": difflr.make_plan("lp_ft", 6, epochs=6, lr=1e-2, tune_lr=3e-3),
# }
# ```
#
# </details>

# %% [markdown]
# These are places to begin, not laws. What you begin with still has to win, or not to lose, on your pictures.
#
# ## Report once
#
# Now the test pictures, for the first time, for the finalists only, from three seeds. The pictures put aside
# have done their work and are trained on as well.

# %%
tested = compare(settings(finalists, seeds=(0, 1, 2), train_size=len(data.train)), OUT / "tested")
first, *others = summarise(tested.runs)
for other in others:
    seeds = ", ".join(
        f"{100 * (share - first.accuracies[seed]):+.1f}" for seed, share in other.accuracies.items()
    )
    difference = format_estimate(other.difference, unit="", sign=True)
    print(f"{other.recipe} against {first.recipe}: {difference} points (seed by seed: {seeds})")

# %% tags=["keep_output"]
Picture(
    plot_runs(tested.runs, f"{Path(data.name).name}: {len(data.test)} test pictures"),
    "Test accuracies with 95% intervals: "
    + ", ".join(f"{final.recipe} {format_estimate(final.accuracy)}" for final in [first, *others]),
)

# %% [markdown]
# Read the *differences*, not the distance between two diamonds: both recipes had the same seeds, so what a
# seed does to both of them cancels out. If the interval of a difference holds 0, the two are *not told apart*;
# a *tie* would be a difference shown to be smaller than a point, and three seeds hardly ever show that.
#
# ### Exercise 8.5 (complete, 8 minutes): your result sheet
#
# Say for each recipe whether it is `"better"`, `"worse"` or `"not told apart"` from the first. Then write the
# sheet with your question: `write_sheet(OUT / "result-sheet.md", validated, tested, question="…?",
# conclusion=conclusion)` returns its path and never overwrites a file. The check reads it back.

# %% tags=["exercise"]
conclusion = {"head_only": ..., "differential": ...}
sheet = ...

# %% tags=["check", "NBVAL_CHECK_OUTPUT"]
check_sheet(sheet)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# You may as well read the words off what was printed above. `holds_zero` asks whether the interval holds 0.
#
# ```python
# conclusion = {}
# for other in others:
#     word = "better" if other.difference.mean > 0 else "worse"
#     word = "not told apart" if other.difference.holds_zero else word
#     conclusion[other.recipe.partition(":")[0]] = word
# sheet = write_sheet(
#     OUT / "result-sheet.md",
#     validated,
#     tested,
#     question="Do differential learning rates help on these drawings?",
#     conclusion=conclusion,
# )
# ```
#
# </details>

# %% [markdown]
# Here is your sheet, or, until there is one, a draft with the conclusions that difflr draws.

# %% tags=["keep_output"]
if not isinstance(sheet, Path):
    draft = "(Not asked yet.)"
    sheet = write_sheet(OUT / "draft.md", validated, tested, question=draft)
Markdown(sheet.read_text("utf-8"))

# %% [markdown]
# ## Errors, and a page to show
#
# Numbers do not say what is wrong. Look at the errors that most runs of the first recipe share.

# %% tags=["keep_output"]
own = [run for run in tested.runs if run["recipe"] == first.recipe]
Picture(
    plot_worst(worst_of(own, most=5), data, len(own)),
    "The five errors that most runs share and are surest of, each with what it is and what it was named",
)

# %% [markdown]
# Some have a stray stroke, some are hard for you too; on your own pictures some will be wrong labels. The page for
# your colleagues holds them, and all else: pictures, settings, intervals, what was named as what, what was not tried.

# %%
question = "Do differential learning rates help on these pictures?"
page = write_page(OUT / "result.html", validated, tested, data, question=question)
print(f"{page.name}: open it in a browser")

# %% [markdown]
# ## Now yours
#
# Set `FOLDER` at the top, choose a network, restart and run all. Photographs want `"resnet18"` and minutes
# instead of seconds. Two things to know:
#
# - While training, pictures from a folder are mirrored at random. Where a mirrored picture means something
#   else, as with letters, pass `flip=False` to `Settings.fitting` (`difflr compare --no-flip`).
# - With `train_size` below the number of pictures each seed draws others, and the interval then holds the
#   luck of the draw as well.
#
# ## Test yourself

# %% tags=["keep_output"]
quiz

# %% [markdown]
# ## Key points
#
# - **Count, look, and search for copies** before you train. Compare pixels, not names.
# - **Know what guessing gets.** A result begins above it.
# - A **range test** says where to look for a learning rate; **held-out training pictures** choose it, with
#   the same budget for every recipe.
# - **Test pictures are for one report.** The best of many numbers is too good.
# - A sheet says what was compared, how it was chosen, and how sure it is. **Not told apart is a result.**
#
# **Sources:** [cyclical learning rates](https://arxiv.org/abs/1506.01186) (the range test),
# [do we train on test data?](https://arxiv.org/abs/1902.00423) (copies in CIFAR),
# [leakage and the reproducibility crisis](https://arxiv.org/abs/2207.07048),
# [over-fitting in model selection](https://jmlr.org/papers/v11/cawley10a.html),
# [model cards](https://arxiv.org/abs/1810.03993) (what to say with a result).
