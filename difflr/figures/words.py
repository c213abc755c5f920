"""A plan and its numbers in words, as pictures and widgets write them; matplotlib is not needed."""

from collections.abc import Sequence
from itertools import groupby

from difflr.errors import DifflrError
from difflr.plan import Phase, Plan
from difflr.shapes import Cosine, Linear, Shape, Steps
from difflr.written.spans import FEW, name_span, rate_span, spans

__all__ = ["count", "describe_plan", "short", "split_names"]


def short(lr: float) -> str:
    """Write a learning rate as pictures and widgets do: up to three digits, no zeros to count.

    >>> short(0.001), short(0.00025), short(0.0000842)
    ('1e-3', '2.5e-4', '8.42e-5')
    """
    mantissa, exponent = f"{lr:.2e}".split("e")
    return f"{mantissa.rstrip('0').removesuffix('.')}e{int(exponent)}"


def describe_plan(plan: Plan, names: Sequence[str] | None = None) -> str:
    """Return in words what ``plot_plan`` draws: the text for those who do not see the picture."""
    names = split_names(plan, names)
    parts = [
        f"Learning rates over {count(plan.epochs, 'epoch')} in {count(len(plan.phases), 'phase')} "
        f"for {count(plan.n_splits, 'split')}, {names[0]} (shallow) to {names[-1]} (deep)."
    ]
    for index, (start, phase) in enumerate(zip(plan.starts, plan.phases, strict=True), 1):
        last = start + phase.epochs
        span = f"epoch {last}" if phase.epochs == 1 else f"epochs {start + 1} to {last}"
        peaks = [
            lr if trains else 0.0 for lr, trains in zip(phase.lrs, phase.trainable, strict=True)
        ]
        parts.append(f"Phase {index}, {span}, {_moves(phase)}: {', '.join(_runs(names, peaks))}.")
    if plan.moves_momentum:
        low, high = plan.base_momentum, plan.max_momentum
        parts.append(f"Momentum is {low:g} at each peak and {high:g} at the ends of a phase.")
    else:
        parts.append("Momentum is left to the optimizer.")
    return " ".join(parts)


def _moves(phase: Phase) -> str:
    """Say how the rates of a phase move, before its peaks."""
    if phase.continues:
        return "the rates move on as before, peaks"
    if isinstance(phase.shape, Shape):
        return f"each rate {_course(phase.shape)}, peaks"
    return f"peaks after {phase.pct_start:.0%} of its steps"


def _course(shape: Shape) -> str:
    """Say how a rate moves in this shape, after its name."""
    rise = f"rises for {shape.warmup:.0%} of the steps, then " if shape.warmup else ""
    match shape:
        case Cosine():
            return f"{rise}falls to {shape.end_factor:.0%} of its peak along a cosine"
        case Linear():
            return f"{rise}falls to {shape.end_factor:.0%} of its peak along a line"
        case Steps():
            return f"{rise}is multiplied by {shape.gamma:g} every {shape.every} epochs"
    return f"{rise}stays at its peak"


def _runs(names: Sequence[str], peaks: Sequence[float]) -> list[str]:
    """Say the peak of each split, neighbours with the same one together; of many those of each span."""
    runs = [
        range(group[0], group[-1] + 1)
        for _, pairs in groupby(range(len(names)), key=lambda i: peaks[i])
        if (group := list(pairs))
    ]
    runs = spans(len(names)) if len(runs) > FEW else runs
    ends = [slice(run[0], run[-1] + 1) for run in runs]
    return [f"{name_span(names[end])} {rate_span(peaks[end], short)}" for end in ends]


def split_names(plan: Plan, names: Sequence[str] | None) -> tuple[str, ...]:
    """Return one name per split of a plan, made up where none are given."""
    names = tuple(names or (f"split {i}" for i in range(plan.n_splits)))
    if len(names) != plan.n_splits:
        raise DifflrError(
            f"Received {len(names)} names for a plan of {plan.n_splits} splits.",
            "Pass the names of the splits that the plan is made for.",
        )
    return names


def count(number: int, word: str) -> str:
    """Return a number with its noun.

    >>> count(1, "epoch"), count(2, "epoch")
    ('1 epoch', '2 epochs')
    """
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
