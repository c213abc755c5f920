"""Made-up runs with a trap for every wrong way to choose, and what is wrong with a choice."""

import math

from difflr.errors import short_repr
from difflr.lessons.checking import Wrong

__all__ = ["judge_choice", "made_runs"]

_NEAR = 1e-6  # as far as single precision tells accuracies apart


def made_runs(offset: float) -> list[dict[str, float]]:
    """Return runs of four learning rates from three seeds, all accuracies moved by ``offset``."""
    table = {  # learning rate: accuracies on validation, on test, one per seed
        1e-3: ((0.60, 0.62, 0.61), (0.72, 0.73, 0.74)),
        3e-3: ((0.70, 0.71, 0.72), (0.54, 0.59, 0.58)),
        1e-2: ((0.85, 0.55, 0.54), (0.61, 0.60, 0.62)),
        3e-2: ((0.30, 0.35, 0.31), (0.82, 0.33, 0.30)),
        1e-1: ((0.21, 0.20, 0.22), (0.23, 0.24, 0.22)),
    }
    runs = [
        {"lr": lr, "seed": seed, "validation": v + offset, "test": t + offset}
        for lr, (validation, test) in table.items()
        for seed, (v, t) in enumerate(zip(validation, test, strict=True))
    ]
    return runs[5:] + runs[:5] if offset else runs


def judge_choice(runs: list[dict[str, float]], lr: float, accuracy: float) -> None:
    """Raise ``Wrong`` for the misconception that a choice among ``made_runs`` shows."""
    rates = {run["lr"] for run in runs}
    lr = next((rate for rate in rates if math.isclose(rate, lr, rel_tol=1e-4)), lr)  # float32
    if lr in (1e-3, 3e-2):
        raise Wrong(
            "You choose on the test pictures. What was chosen because it looked best on them looks "
            "better on them than it is.",
            "Choose with `run['validation']`; `run['test']` is for the report.",
        )
    if lr == 1e-2:
        raise Wrong(
            "You choose the luckiest single run. A learning rate is good if it is good from every seed.",
            "Take the mean over the seeds of each learning rate, then the largest mean.",
            "`statistics.fmean(run['validation'] for run in runs if run['lr'] == lr)`",
        )
    if lr not in rates:
        raise Wrong(
            f"{lr:.3g} is none of the learning rates in `runs`.",
            "Return the learning rate first, then the accuracy: `return lr, accuracy`.",
        )
    if lr != 3e-3:
        raise Wrong(
            f"The learning rate {short_repr(lr)} is not the one with the best mean on validation pictures.",
            "Group the runs by `run['lr']` and compare the means of `run['validation']`.",
        )
    own = [run for run in runs if run["lr"] == lr]
    mean = {name: sum(run[name] for run in own) / len(own) for name in ("validation", "test")}
    if not abs(accuracy - mean["test"]) <= _NEAR:
        problem = "This is not the mean accuracy on the test pictures of the runs that were chosen."
        if (
            min(abs(accuracy - run["validation"]) for run in own) < _NEAR
            or abs(accuracy - mean["validation"]) < _NEAR
        ):
            problem = "You report what was chosen by. The best of several looks better than it is."
        elif abs(accuracy - max(run["test"] for run in own)) < _NEAR:
            problem = "You report the best seed. Whoever trains again will not get this seed."
        raise Wrong(problem, "Report the mean of `run['test']` over all seeds of the chosen rate.")
