"""Where a learner's idea of a learning-rate shorthand goes wrong."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

from difflr.errors import short_repr
from difflr.lessons.checking import Wrong
from difflr.lessons.groups.grouped import near
from difflr.rates import LRs, Ratio, Ulmfit, expand_lrs

__all__ = ["SAID", "aimed_or_wrong", "predicted_or_wrong"]

SAID: dict[str, LRs] = {
    "slice(1e-2)": slice(1e-2),
    "Ratio(1e-2, 1000)": Ratio(1e-2, 1000),
    "Ulmfit(1e-2)": Ulmfit(1e-2),
}
_EVEN = [1e-5 + i * (1e-2 - 1e-5) / 3 for i in range(4)]
_MISTAKEN: dict[str, list[tuple[list[float], str]]] = {  # a wrong list, and what it shows
    "slice(1e-2)": [
        (
            expand_lrs(Ratio(1e-2, 10), 4),
            "You spread `slice(hi)` geometrically. That is `slice(lo, hi)`: with one number fastai "
            "gives all splits but the last the same.",
        ),
        ([0, 0, 0, 1e-2], "`slice(hi)` freezes nothing: the others learn too, more slowly."),
        (
            [1e-5, 1e-4, 1e-3, 1e-2],
            "You let the rates rise from split to split. That takes two ends, as `slice(lo, hi)` "
            "has; with one number fastai gives all splits but the last the same.",
        ),
        (
            [1e-2 / 3] * 3 + [1e-2],
            "All splits but the last do have the same rate. It is a tenth of the last one's.",
        ),
        ([1e-2] * 4, "`slice(hi)` is not `hi` alone: only the last split learns at `hi`."),
    ],
    "Ratio(1e-2, 1000)": [
        (
            _EVEN,
            "You space the rates evenly. Then only the first split is slow: from 1e-5 the second "
            "jumps to 3e-3. Learning rates are compared by their ratio.",
        ),
        (
            [1e-2 / 1000 ** ((3 - i) / 4) for i in range(4)],
            "You divide the ratio into four steps. Four splits are three steps apart, and the first of "
            "them learns at 1e-2 / 1000.",
        ),
        (
            [1e-2 / 1000 ** (3 - i) for i in range(4)],
            "You divide by the ratio once per split, as `Ulmfit` does with its factor. The ratio of "
            "`Ratio` is that of the last split to the first, in all.",
        ),
    ],
    "Ulmfit(1e-2)": [
        (
            expand_lrs(Ratio(1e-2, 2.6), 4),
            "You take 2.6 for the ratio in all. It is a factor per split: the first of four splits is "
            "divided by it three times.",
        ),
        (
            [1e-2 / 2.6] * 3 + [1e-2],
            "You divide by 2.6 once. It is divided once *per split*, going towards the input.",
        ),
    ],
}


def predicted_or_wrong(key: str, lrs: Any) -> None:
    """Raise ``Wrong`` unless ``lrs`` is, to 10%, what the shorthand ``key`` says for four splits."""
    right = expand_lrs(SAID[key], 4)
    if not isinstance(lrs, Sequence) or not all(isinstance(lr, Real) for lr in lrs):
        raise Wrong(f"Received {short_repr(lrs)} for `{key}`, expected a list of four numbers.")
    if len(lrs) != 4:
        raise Wrong(f"`{key}` has {len(lrs)} learning rates, expected one for each of 4 splits.")
    if near(lrs, right, 0.1):
        return
    for wrong, misconception in _MISTAKEN[key]:
        if near(lrs, wrong, 0.1):
            raise Wrong(misconception, _shape(key, right))
    if near(lrs, right[::-1], 0.1):
        raise Wrong(
            "Your rates run from deep to shallow. Splits, and their rates, begin at the input.",
            "The last number belongs to the head.",
        )
    raise Wrong(
        f"`{key}` says something else.",
        "The last split learns at 1e-2. What is said of the others?",
        _shape(key, right),
    )


def aimed_or_wrong(aim: str, lrs: Sequence[float], falls: bool) -> None:
    """Raise ``Wrong`` unless six learning rates run from 1e-2 at one end to at most 2e-4 at the other.

    Args:
        aim: how the learner calls it.
        lrs: shallow to deep.
        falls: whether the stem is to learn fastest; else the head.
    """
    fast, slow = (lrs[0], lrs[-1]) if falls else (lrs[-1], lrs[0])
    who, whom = ("stem", "head") if falls else ("head", "stem")
    neighbour, beside = ("layer1", lrs[1]) if falls else ("layer4", lrs[-2])
    facts = f"For `{aim}` the stem learns at {lrs[0]:.2g} and the head at {lrs[-1]:.2g}."
    if falls and abs(fast - 1) < 0.01:
        raise Wrong(
            f"{facts} You give `Ratio` the rate of the *fastest* split. Its `lr` is always that "
            "of the last split.",
            "The last split should learn at 1e-2 divided by the ratio that you want.",
        )
    if slow > fast:
        raise Wrong(
            f"{facts} That is the wrong way round.",
            "Where did the change come in: at the pictures, or at the classes?",
            f"The {who} has most to learn.",
        )
    if abs(fast - 1e-2) > 1e-4:
        raise Wrong(
            f"{facts} The {who} should learn at 1e-2.",
            "`lr` is the rate of the last split. `slice(lo, hi)` says both ends.",
        )
    if slow > fast / 50 * 1.001:
        raise Wrong(
            f"{facts} The {whom} should learn at most at a fiftieth of the {who}'s rate.",
            "A ratio of 50 or more does it.",
        )
    if beside < 0.3 * fast:
        raise Wrong(
            f"{facts} But `{neighbour}`, next to the {who}, learns at {beside:.2g}: at least 3e-3 is "
            "asked for. The rates fall off too steeply.",
            "Six splits are five steps apart: each step is the fifth root of the ratio.",
            "The fifth root of the ratio may be at most 1 / 0.3, so the ratio at most 411.",
        )
    if any((a < b) if falls else (a > b) for a, b in pairwise(lrs)):
        raise Wrong(f"{facts} In between, the rates go up and down.", "Let them run one way.")


def _shape(key: str, right: Sequence[float]) -> str:
    return f"The first split of `{key}` learns at {right[0]:.2g}, the second at {right[1]:.2g}."
