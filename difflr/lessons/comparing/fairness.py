"""Where a comparison of two recipes is unfair: read off the runs that it asked for, not its text."""

import math
from collections import defaultdict
from typing import Any

from difflr.errors import short_repr
from difflr.experiments.statistics import Estimate, paired
from difflr.lessons.checking import Wrong
from difflr.lessons.comparing.labs import Lab

__all__ = ["as_estimate", "judge"]


def as_estimate(value: Any) -> Estimate:
    """Return a learner's (mean, half-width) as an estimate, from a pair or from an ``Estimate``."""
    pair = (value.mean, value.half) if isinstance(value, Estimate) else value
    try:
        mean, half = (float(number) for number in pair)
    except (TypeError, ValueError):
        raise Wrong(
            f"Received {short_repr(value)}, expected the mean difference and the half-width of its "
            "interval.",
            "Return a pair of two numbers.",
        ) from None
    return Estimate(mean, half)


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
    if {*tuned["uniform"]} != {*tuned["differential"]} or not tuned["uniform"]:
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
    seeds = [{*by_seed} for rates in tuned.values() for by_seed in rates.values()]
    if any(own != seeds[0] for own in seeds):
        raise Wrong(
            "Not all learning rates were tried from the same seeds. A lucky seed would win.",
            "Take the mean over the same seeds for each.",
        )
    for recipe, rates in tuned.items():
        best = max(rates, key=lambda lr: math.fsum(rates[lr].values()))
        if best not in reported[recipe]:
            raise Wrong(
                f"For {recipe} the learning rate that did best on the validation pictures is not the "
                "one that was reported.",
                f"It did best at {best:g}.",
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
            "`difflr.experiments.statistics.paired(differential, uniform)` gives both numbers.",
        )
    return fair
