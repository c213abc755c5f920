"""Where a comparison of two recipes is unfair: read off the runs that it asked for, not its text."""

import math
from collections import defaultdict
from statistics import fmean, median
from typing import Any

from difflr.lessons.checking import Wrong
from difflr.lessons.comparing.labs import Lab
from difflr.lessons.plain import pair
from difflr.runs.statistics import Estimate, paired

__all__ = ["as_estimate", "judge"]


def as_estimate(value: Any) -> Estimate:
    """Return a learner's (mean, half-width) as an estimate, from a pair or from an ``Estimate``."""
    numbers = (value.mean, value.half) if isinstance(value, Estimate) else value
    what = "the mean difference and the half-width of its interval"
    return Estimate(*pair(numbers, what, "Return a pair of two numbers."))


def judge(lab: Lab, said: Estimate) -> Estimate:
    """Raise ``Wrong`` where the logged comparison was unfair; return what a fair one finds."""
    sides: dict[str, dict[str, dict[float, dict[int, float]]]] = defaultdict(
        lambda: {name: defaultdict(dict) for name in Lab.recipes}
    )
    for recipe, lr, seed, measured_on, accuracy in lab.log:
        sides[measured_on][recipe][lr][seed] = accuracy
    tuned, reported = sides["validation"], sides["test"]
    if not all(reported.values()):
        raise Wrong(
            "Not both recipes were measured on the test pictures.",
            "The comparison that counts is between two test accuracies, one of each recipe.",
        )
    if any(len(rates) > 1 for rates in reported.values()):
        raise Wrong(
            "A recipe was tried at several learning rates on the test pictures: they were used to "
            "choose. The best of several always looks better than it is.",
            "Test pictures are looked at once, at the very end. What is there to choose by?",
            'Choose by `run(recipe, lr, seed, "validation")`, then report on `"test"`.',
        )
    if not any(tuned.values()):
        raise Wrong(
            "Nothing was run on the validation pictures, so no learning rate was chosen. The one that you "
            "took may suit one recipe and not the other.",
            'Choose by `run(recipe, lr, seed, "validation")`, for both recipes.',
        )
    if {*tuned["uniform"]} != {*tuned["differential"]}:
        raise Wrong(
            "One recipe got more tries than the other. A gap between a tuned recipe and one that was "
            "not tuned says nothing about the recipes.",
            "Give both the same learning rates to choose from, and the same seeds.",
            "Write the choice as a loop over both recipes: then they cannot differ.",
        )
    if len(tuned["uniform"]) < 2:
        raise Wrong(
            "There was nothing to choose from: one learning rate was tried. It may suit one recipe "
            "and not the other.",
            "Try all of `RATES` for both.",
        )
    counts = [sorted(map(len, rates.values())) for rates in tuned.values()]
    if counts[0] != counts[1]:
        raise Wrong(
            "One recipe got more tries than the other: its learning rates were run from more seeds.",
            "Write the choice as a loop over both recipes: then they cannot differ.",
        )
    for recipe, rates in tuned.items():
        best = _best(rates)
        if not best & {*reported[recipe]}:
            raise Wrong(
                f"For {recipe} the learning rate that did best on the validation pictures is not the "
                "one that was reported.",
                f"Over all its seeds it did best at {min(best):g}. One lucky run does not count.",
            )
    choosing = {seed for rates in tuned.values() for own in rates.values() for seed in own}
    if choosing & {seed for rates in reported.values() for own in rates.values() for seed in own}:
        raise Wrong(
            "Some of the reported runs have seeds that were used to choose. What chose a learning "
            "rate looks better with it than it is.",
            "Report from seeds that nobody has looked at before.",
        )
    ours, rival = (next(iter(reported[name].values())) for name in ("differential", "uniform"))
    if {*ours} != {*rival}:
        raise Wrong(
            "The two sides were reported from different seeds, so nothing pairs them.",
            "A seed draws the pictures. Compare what saw the same ones.",
        )
    if len(ours) < 3:
        raise Wrong(
            f"{len(ours)} seed(s) can hardly carry an interval.", "Report from at least three."
        )
    fair = paired(ours, rival)
    if not math.isclose(said.mean, fair.mean, abs_tol=1e-6):
        if math.isclose(said.mean, -fair.mean, abs_tol=1e-6):
            raise Wrong("The sign is turned round: asked for is differential less uniform.")
        raise Wrong("The runs are fair, but the mean is not that of the paired test differences.")
    if not math.isclose(said.half, fair.half, rel_tol=0.01):
        raise Wrong(
            "The runs are fair, but this is not the interval of the paired differences.",
            "`difflr.runs.statistics.paired(differential, uniform)` gives both numbers.",
        )
    return fair


def _best(rates: dict[float, dict[int, float]]) -> set[float]:
    """Return the rate with the best mean over seeds, and that with the best median.

    Rates may be dropped on the way (successive halving), if they were behind when they were.

    Raises:
        Wrong: when a rate has other seeds than its rivals, and was not behind on those it has.
    """
    seeds = {seed for own in rates.values() for seed in own}
    full = {lr: [*own.values()] for lr, own in rates.items() if {*own} == seeds}
    for lr, own in rates.items():
        others = [rival for rival in rates.values() if {*own} < {*rival}]
        behind = all(fmean(own.values()) <= fmean(rival[s] for s in own) for rival in others)
        if not full or (lr not in full and not behind):
            raise Wrong(
                "Not all learning rates were tried from the same seeds. A lucky seed would win.",
                "Take the mean over the same seeds for each.",
            )
    return {max(full, key=lambda lr: middle(full[lr])) for middle in (fmean, median)}
