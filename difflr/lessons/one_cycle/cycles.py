"""One cycle's learning rate in one formula, and the wrong ones that learners write, by misconception."""

import math
from collections.abc import Callable
from typing import Any

__all__ = ["VARIANTS", "cycle_lr"]


def cycle_lr(
    step: int,
    total: int,
    high: float,
    pct_start: float,
    div: float,
    final: float,
    *,
    late: bool = False,
    long: bool = False,
    from_peak: bool = False,
    to_zero: bool = False,
    linear: bool = False,
    whole_way: bool = False,
    from_start: bool = False,
    whole: Callable[[float], float] = float,
) -> float:
    """Return one cycle's learning rate, or one of the usual wrong ones."""
    first = high / div
    last = 0.0 if to_zero else (high if from_peak else first) / final
    peak = whole(pct_start * total) - (not late)
    end = total - (not long)
    rising = step <= peak
    share = (
        step / peak if rising else (step - peak * (not from_start)) / (end - peak * (not whole_way))
    )
    begin, aim = (first, high) if rising else (high, last)
    if not linear:
        share = (1 - math.cos(math.pi * share)) / 2
    return begin + (aim - begin) * share


_PEAK = (
    "Your peak comes one step late. The steps are numbered from 0, so the rise ends at step "
    "`pct_start * total_steps - 1`.",
    "Look at the table: with 10 steps and a share of 0.3 the peak is at step 2.",
)
_END = (
    "Your cycle ends one step late: the last step is `total_steps - 1`, not `total_steps`.",
    "The lowest learning rate belongs to a step that is taken. Where does the way down end?",
)
_BOTH = (
    "Peak and end both come one step late. The steps are numbered from 0.",
    "The peak is at step `pct_start * total_steps - 1`, the end at step `total_steps - 1`.",
)
_LAST = (
    "You divide the peak by `final_div_factor`. It divides the *first* learning rate.",
    "The last learning rate is `max_lr / div_factor / final_div_factor`.",
)
_ZERO = ("Your cycle ends at 0. OneCycleLR stops a little above.", *_LAST[1:])
_LINE = (
    "Your curve is made of straight lines. Asked for is the cosine.",
    "`between` bends the way for you: call it with start, end and share.",
)
_DOWN = (
    "On the way down your share counts from step 0, so the curve jumps at the peak: there the share should "
    "be 0.",
    "What has been done of the way down at the peak, and how many steps does all of it take?",
)
_SHORT = (
    "Your way down never arrives: at the last step the share should be 1.",
    "The way down takes the steps from the peak to `total_steps - 1`, and not all of them.",
)
_WHOLE = (
    "You make the peak's step a whole number. It may lie between two steps, and then no step reaches "
    "`max_lr`.",
    "`pct_start * total_steps - 1` is 15.1 for 23 steps and a share of 0.7. Leave it at that.",
)
_WHOLE_LATE = (f"{_WHOLE[0]} And it comes one step late.", *_PEAK[1:], *_WHOLE[1:])
#: A misconception with its hints, and what makes ``cycle_lr`` err in the same way.
VARIANTS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (_PEAK, {"late": True}),
    (_END, {"long": True}),
    (_BOTH, {"late": True, "long": True}),
    (_LAST, {"from_peak": True}),
    (_ZERO, {"to_zero": True}),
    (_LINE, {"linear": True}),
    (_DOWN, {"from_start": True, "whole_way": True}),
    (_SHORT, {"whole_way": True}),
    *((_WHOLE, {"whole": whole}) for whole in (int, round, math.ceil)),
    *((_WHOLE_LATE, {"whole": whole, "late": True}) for whole in (int, round, math.ceil)),
]
