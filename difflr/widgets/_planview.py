"""What the plan editor shows of a plan: its picture, its phases in a table, and its texts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from difflr.errors import DifflrError
from difflr.figures.plan import PlanFigure
from difflr.figures.words import describe_plan
from difflr.milestones import to_milestones
from difflr.plan import Plan
from difflr.widgets._draft import plan_code
from difflr.widgets._panel import fold, message_html, picture_box, table_html
from difflr.written.spans import FEW, name_span

if TYPE_CHECKING:
    from difflr.experiments.flops import Costs
    from difflr.splits import Splits

__all__ = ["PlanView", "run_of"]


class PlanView:
    """Widgets that show a plan and change nothing: ``picture``, ``table`` and ``texts``.

    Args:
        splits: whose plan it is, or only their names (then the table says nothing about
            parameters and costs).
        plan: to begin with.
        steps_per_epoch: optimizer steps in one epoch, for the picture.
        input_shape: of one picture, to estimate what a step costs; None does without.

    ``note`` says why there are no costs where there are none.
    """

    def __init__(
        self,
        splits: "Splits | Sequence[str]",
        plan: Plan,
        steps_per_epoch: int,
        input_shape: Sequence[int] | None,
    ) -> None:
        self.names = tuple(split if isinstance(split, str) else split.name for split in splits)
        self._sizes = [split.numel for split in splits if not isinstance(split, str)]
        self._costs: Costs | None = None
        self.note = ""
        if self._sizes:
            from difflr.experiments.flops import costs_or_why

            whole: Any = splits
            self._costs, self.note = costs_or_why(whole, input_shape)
        self.figure = PlanFigure(plan, self.names, steps_per_epoch, dpi=100, compact=True)
        self.picture = picture_box(*self.figure.size, shown=0.8)
        self.table = w.HTML()
        self.code, self.milestones = (
            w.Textarea(description=title, rows=9, layout=w.Layout(width="98%"))
            for title in ("The plan as Python", "The plan as milestones dictionary")
        )
        self.words = w.HTML()
        for text in (self.code, self.milestones):
            text.add_class("difflr-named")  # the button above it says it already
        self.texts = w.VBox(
            [
                fold(self.code.description, [self.code]),
                fold(self.milestones.description, [self.milestones]),
                fold("The picture in words", [self.words]),
            ]
        )

    def draw(self, plan: Plan) -> None:
        """Bring picture and texts to a plan."""
        text = describe_plan(plan, self.names)
        self.figure.update(plan)
        self.picture.show(self.figure.png(), text)
        self.code.value = plan_code(plan)
        self.milestones.value = _as_milestones(plan)
        self.words.value = message_html(text)

    def tabulate(self, plan: Plan, selected: int) -> None:
        """Say in the table what each phase trains and costs, with the selected phase marked."""
        head = ["phase", "epochs", "trains"]
        head += ["trainable parameters"] if self._sizes else []
        head += ["cost of a step (share of training all)"] if self._costs else []
        rows = []
        for number, phase in enumerate(plan.phases, 1):
            on = phase.trained
            row = [f"{number}", f"{phase.epochs}", run_of([self.names[i] for i in on], self.names)]
            if self._sizes:
                part = sum(self._sizes[i] for i in on)
                row.append(f"{part:,} ({part / sum(self._sizes):.1%})")
            if self._costs:
                row.append(f"{self._costs.step(on) / 1e9:.3g} GFLOP ({self._costs.share(on):.0%})")
            rows.append(row)
        self.table.value = table_html(head, rows, marked=selected)


def run_of(chosen: Sequence[str], names: Sequence[str]) -> str:
    """Name some of the splits; neighbours in one run, as most phases train them, by first and last.

    So are those in several runs where there are many.
    """
    places = [names.index(name) for name in chosen]
    starts = [i for i, at in enumerate(places) if i == 0 or at != places[i - 1] + 1]
    if len(starts) > 1 and len(names) <= FEW:
        return ", ".join(chosen)
    ends = [*starts[1:], len(chosen)]
    return ", ".join(name_span(chosen[a:b]) for a, b in zip(starts, ends, strict=True))


def _as_milestones(plan: Plan) -> str:
    try:
        lines = [f"    {epoch}: {entry!r}," for epoch, entry in to_milestones(plan).items()]
    except DifflrError as error:  # the dictionary has no word for this plan's shapes
        return f"# {error.problem}\n"
    return "\n".join(["milestones = {", *lines, "}"]) + "\n"
