"""A plan that is being edited: phases that change, what a frozen split remembers, and undo."""

import copy
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from difflr import shapes
from difflr.errors import DifflrError, short_repr
from difflr.figures.words import short
from difflr.plan import Phase, Plan
from difflr.rates import Ratio, Ulmfit, expand_lrs

__all__ = [
    "MOVES",
    "SHAPES",
    "Draft",
    "PhaseDraft",
    "RateShape",
    "moves_of",
    "plan_code",
    "read_epochs",
    "read_lr",
    "round_lr",
]

_SMALLEST, _LARGEST = 1.18e-38, 3.4e38  # what float32, the kind of most weights, can hold

#: How the rates of a phase may move: ``Phase.shape`` None, or the kind of one.
MOVES = ("one cycle", "cosine", "linear", "constant", "steps")

#: Ways to set the learning rates of all splits at once, from the largest one and a ratio.
SHAPES: dict[str, Callable[[float, float, int], list[float]]] = {
    "uniform": lambda lr, ratio, n: expand_lrs(lr, n),
    "geometric": lambda lr, ratio, n: expand_lrs(Ratio(lr, ratio), n),
    "ULMFiT 2.6": lambda lr, ratio, n: expand_lrs(Ulmfit(lr), n),
    "falling with depth": lambda lr, ratio, n: expand_lrs(Ratio(lr, ratio), n)[::-1],
}


class RateShape(NamedTuple):
    """What made all learning rates of a phase: a name in ``SHAPES``, the largest LR, the ratio."""

    name: str
    lr: float
    ratio: float


@dataclass
class PhaseDraft:
    """A phase whose frozen splits remember the learning rate they would train at.

    ``train_bn`` is that of the plan; ``shape`` is what made the rates, or None where they were set by hand
    or by code.
    """

    phase: Phase
    train_bn: bool
    wishes: list[float]
    shape: RateShape | None = None

    @classmethod
    def of(cls, phase: Phase, train_bn: bool) -> "PhaseDraft":
        """Start from a phase; a frozen split takes the rate of the first split that trains."""
        spare = phase.lrs[phase.trainable.index(True)]
        return cls(phase, train_bn, [lr or spare for lr in phase.lrs])

    def change(self, **values: object) -> None:
        """Set fields of the phase and make its learning rates fit what trains then."""
        # A copy first, for what trains in it: lrs at all splits are fine for a Phase alone.
        phase: Phase = replace(self.phase, **{"lrs": self.wishes, **values})  # type: ignore[arg-type]
        if not self.train_bn:
            used = [lr if on else 0.0 for lr, on in zip(self.wishes, phase.trainable, strict=True)]
            phase = replace(phase, lrs=used)
        self.phase = phase


class Draft:
    """Phases under work, with undo and reset.

    Every change goes through ``edit``: it ends in a valid plan, or it raises and nothing changed.
    """

    def __init__(self, plan: Plan, n_splits: int) -> None:
        _check(plan, n_splits)
        self._first = plan
        self._past: list[tuple[Plan, list[PhaseDraft], int]] = []
        self._load(plan)

    def _load(self, plan: Plan) -> None:
        self.plan = plan
        self.phases = [PhaseDraft.of(phase, plan.train_bn) for phase in plan.phases]
        self.selected = 0

    @property
    def current(self) -> PhaseDraft:
        """The selected phase."""
        return self.phases[self.selected]

    def edit(self, change: Callable[[], None], *, remember: bool = True) -> None:
        """Apply a change; ``remember=False`` lets the next undo take it back with the one before.

        A change that changes nothing is forgotten.
        """
        before = (self.plan, copy.deepcopy(self.phases), self.selected)
        try:
            change()
            self.plan = replace(self.plan, phases=[draft.phase for draft in self.phases])
        except DifflrError:
            self.plan, self.phases, self.selected = before
            raise
        if remember and before != (self.plan, self.phases, self.selected):
            self._past.append(before)

    def set(self, **values: object) -> None:
        """Set fields of the selected phase (inside ``edit``)."""
        self.current.change(**values)

    def train_from(self, first: int) -> None:
        """Freeze the splits before ``first``, and train that one (inside ``edit``)."""
        frozen = [i for i in self.current.phase.frozen if i > first]
        self.set(freeze_to=self._freeze_to(first), frozen=frozen)

    def set_trains(self, splits: Collection[int], trains: bool) -> None:
        """Train or freeze some splits of the selected phase (inside ``edit``)."""
        now = self.current.phase.trainable
        on = [trains if i in splits else old for i, old in enumerate(now)]
        if not any(on):
            raise DifflrError("A phase must train a split.", "Tick another one first.")
        first = on.index(True)
        frozen = [i for i in range(first, len(on)) if not on[i]]
        self.set(freeze_to=self._freeze_to(first), frozen=frozen)

    def _freeze_to(self, first: int) -> int:
        return first - self.plan.n_splits if first else 0  # as the recipes write it

    def set_lr(self, splits: Sequence[int], lr: float) -> None:
        """Set one LR of the selected phase, with three digits (inside ``edit``).

        Of several splits it is the largest of those that train; the others keep their share of it.
        """
        current, lr = self.current, round_lr(lr)
        awake = [i for i in splits if current.phase.trainable[i]]
        largest = max(current.wishes[i] for i in awake or splits)
        if lr != round_lr(largest):
            for i in splits:  # with digits enough for the shares to survive a long drag
                current.wishes[i] = float(f"{lr * (current.wishes[i] / largest):.6g}")
            current.shape = None
            self.set()

    def set_lrs(self, lrs: Sequence[float]) -> None:
        """Set the LRs of the selected phase (inside ``edit``); a split keeps its own where it says 0."""
        current = self.current
        pairs = zip(lrs, current.wishes, strict=True)
        current.wishes, current.shape = [round_lr(lr) if lr else wish for lr, wish in pairs], None
        self.set()

    def set_shape(self, shape: RateShape | None) -> None:
        """Set all learning rates of the selected phase (inside ``edit``); None: by hand from now."""
        self.current.shape = shape
        if shape is not None:
            lrs = SHAPES[shape.name](shape.lr, shape.ratio, self.plan.n_splits)
            self.current.wishes = [round_lr(lr) for lr in lrs]
            self.set()

    def set_moves(self, kind: str, rise: float | None = None) -> None:
        """Let the rates of the selected phase move in another way, or rise longer (inside ``edit``).

        Phases that continue one another move as one: all of them change. ``rise`` is the share of the
        steps in which the rates rise; None takes the usual one.
        """
        first = last = self.selected
        while self.phases[first].phase.continues:
            first -= 1
        while last + 1 < len(self.phases) and self.phases[last + 1].phase.continues:
            last += 1
        for draft in self.phases[first : last + 1]:
            old, now = moves_of(draft.phase)
            if kind == old and rise in (None, round(now, 2)):
                continue
            if kind == MOVES[0]:
                draft.change(shape=None, pct_start=0.3 if rise is None else rise)
                continue
            data = {"kind": kind}
            if kind == old and isinstance(draft.phase.shape, shapes.Shape):
                data = draft.phase.shape.to_dict()
            shape = shapes.shape_from_dict({**data, "warmup": 0.1 if rise is None else rise})
            draft.change(shape=shape)

    def set_border(self, phase: int, epochs: int) -> None:
        """Move the border after a phase, which then has so many epochs (inside ``edit``).

        The next one gives or takes them, as long as one is left.
        """
        left, right = self.phases[phase], self.phases[phase + 1]
        both = left.phase.epochs + right.phase.epochs
        epochs = max(1, epochs)
        left.change(epochs=epochs)
        right.change(epochs=max(1, both - epochs))

    def scale(self, factor: float, *, every: bool) -> None:
        """Multiply the learning rates of the selected phase, or of every phase (inside ``edit``)."""
        for draft in self.phases if every else [self.current]:
            draft.wishes, draft.shape = [round_lr(lr * factor) for lr in draft.wishes], None
            draft.change()

    def add(self) -> None:
        """Put a phase after the selected one, and select it (inside ``edit``).

        As schedules go on: one more split trains, or, where all do, all at half the rates.
        """
        self.phases.insert(self.selected + 1, copy.deepcopy(self.current))
        self.selected += 1
        frozen = [i for i, trains in enumerate(self.current.phase.trainable) if not trains]
        if frozen:
            self.set_trains(frozen[-1:], True)
        else:
            self.scale(0.5, every=False)

    def remove(self) -> None:
        """Take the selected phase out (inside ``edit``)."""
        if len(self.phases) == 1:
            raise DifflrError("A plan without phases trains nothing.", "Keep at least one phase.")
        del self.phases[self.selected]
        self.selected = min(self.selected, len(self.phases) - 1)

    def move(self, by: int) -> None:
        """Exchange the selected phase with its neighbour (inside ``edit``)."""
        to = min(max(self.selected + by, 0), len(self.phases) - 1)
        self.phases.insert(to, self.phases.pop(self.selected))
        self.selected = to

    def replace(self, plan: Plan) -> None:
        """Show another plan; undo goes back to the one before."""
        _check(plan, self.plan.n_splits)
        self._past.append((self.plan, self.phases, self.selected))
        self._load(plan)

    def reset(self) -> None:
        """Go back to the plan that the draft was made with; undo takes this back too."""
        self.replace(self._first)

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._past)

    def undo(self) -> None:
        """Take the last change back."""
        if self._past:
            self.plan, self.phases, self.selected = self._past.pop()


def _check(plan: Plan, n_splits: int) -> None:
    if not isinstance(plan, Plan):  # the name of a recipe, or milestones
        raise DifflrError(
            f"Received {short_repr(plan)}, expected a plan.",
            'Pass e.g. difflr.make_plan("gradual", 6), or difflr.from_milestones(…).',
        )
    plan.check(n_splits)


def moves_of(phase: Phase) -> tuple[str, float]:
    """Return how the rates of a phase move (one of ``MOVES``), and the share of steps they rise."""
    if isinstance(phase.shape, shapes.Shape):
        return phase.shape.kind, phase.shape.warmup
    return MOVES[0], phase.pct_start


def round_lr(lr: float) -> float:
    """Keep three digits, which is what one can read and choose by hand."""
    return float(f"{lr:.3g}")


def read_lr(text: str) -> float:
    """Return the learning rate that somebody typed.

    Raises:
        DifflrError: for anything but a number above 0 that float32 can hold, written with a point.
    """
    number = re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", text, re.IGNORECASE)
    if number is None:
        raise DifflrError(
            f"Received {short_repr(text)}, expected a learning rate as a number above 0.",
            "Write 3e-4 or 0.0003, with a point and not a comma.",
        )
    lr, typed = float(text), text.strip()
    if lr < 0 or not re.search("[1-9]", number[1]):
        raise DifflrError(
            f"Received a learning rate of {typed}, expected a number above 0.",
            "To keep a split from learning, untick it.",
        )
    if lr < _SMALLEST:
        raise DifflrError(
            f"Received a learning rate of {typed}, which is too small: float32 holds nothing below "
            f"{short(_SMALLEST)}.",
            "To keep a split from learning, untick it.",
        )
    if lr > _LARGEST:
        raise DifflrError(
            f"Received a learning rate of {typed}, which is too large: float32 holds nothing above "
            f"{short(_LARGEST)}.",
            "Write one that can train, e.g. 3e-4.",
        )
    return lr


def read_epochs(text: str) -> int:
    """Return the number of epochs that somebody typed.

    Raises:
        DifflrError: for anything but a whole number from 1 to 1000.
    """
    if not re.fullmatch(r"\s*[0-9]{1,4}\s*", text) or not 1 <= int(text) <= 1000:
        raise DifflrError(
            f"Received {short_repr(text)}, expected a number of epochs from 1 to 1000.",
            "Write a whole number, e.g. 3.",
        )
    return int(text)


def plan_code(plan: Plan) -> str:
    """Return the plan as Python that makes an equal one.

    >>> plan_code(Plan([Phase(0, 2, [1e-5, 1e-3])])).splitlines()[3]
    '    Phase(freeze_to=0, epochs=2, lrs=[1e-05, 0.001], pct_start=0.3),'
    """
    lines = ["from difflr import Phase, Plan", "", "plan = Plan(["]
    defaults = Phase(0, 1, [1.0])
    for phase in plan.phases:
        said = {name: getattr(phase, name) for name in ("freeze_to", "epochs", "lrs", "pct_start")}
        said["lrs"] = list(phase.lrs)
        for name in ("div_factor", "final_div_factor", "frozen", "continues"):
            if (value := getattr(phase, name)) != getattr(defaults, name):
                said[name] = value
        if isinstance(phase.shape, shapes.Shape):
            said["shape"] = phase.shape.to_dict()
        lines.append(f"    Phase({', '.join(f'{name}={v!r}' for name, v in said.items())}),")
    usual = Plan([defaults])
    options = [
        f", {name}={value!r}"
        for name in ("anneal", "base_momentum", "max_momentum", "cycle_momentum", "train_bn")
        if (value := getattr(plan, name)) != getattr(usual, name)
    ]
    lines.append(f"]{''.join(options)})")
    return "\n".join(lines) + "\n"
