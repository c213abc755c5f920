"""The range test as a widget: one press tests the selected phase, another uses the suggestion.

A third shares the phase's largest rate out among the splits by their gradients (Auto-RGN).
"""

import traceback
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as w
from torch.optim import Optimizer

from difflr.errors import DifflrError
from difflr.figures.picture import figure_png
from difflr.plan import Phase
from difflr.rangetest.figure import blank_figure
from difflr.rangetest.finder import RangeTest, range_test
from difflr.rangetest.gradients import suggest_lrs
from difflr.splits import Splits
from difflr.widgets._panel import Panel, button, framed, message_html, picture_box
from difflr.widgets.editor import PlanEditor

__all__ = ["RangePanel"]


class RangePanel(Panel):
    """Find how far a phase of a plan editor can be turned up, and turn it up.

    Args:
        editor: whose selected phase is tested.
        splits, optimizer, batches: what to test it on, as for ``range_test``.
        options: passed on to ``range_test``, e.g. ``steps=60``.
    """

    def __init__(
        self,
        editor: PlanEditor,
        splits: Splits,
        optimizer: Optimizer,
        batches: Iterable[Any],
        **options: Any,
    ) -> None:
        super().__init__()
        editor.plan.check(splits)
        self.editor = editor
        self.result: RangeTest | None = None
        self._tested: Phase | None = None
        self._arguments = (splits, optimizer, batches)
        self._options = options
        self.test = button("Test the selected phase", "Train a few steps and undo them")
        self.use = button(
            "Use the suggestion", "Multiply the phase's learning rates", disabled=True
        )
        self.share = button(
            "Share out by gradients",
            "Keep the phase's largest rate and grade the others by gradient over weights (Auto-RGN)",
        )
        self.every_phase = w.Checkbox(
            value=False, description="in every phase", indent=False, layout=w.Layout(width="10em")
        )
        self.message = w.HTML(layout=w.Layout(min_height="3em"))
        self.details = w.Output()
        blank = blank_figure()
        self.picture = picture_box(*blank.canvas.get_width_height())
        self.picture.show(figure_png(blank), "No range test yet.")
        self.test.on_click(lambda _: self._work(self.test, "Testing …", self._test))
        self.use.on_click(lambda _: self._use())
        self.share.on_click(lambda _: self._work(self.share, "Measuring gradients …", self._share))
        row = w.Layout(flex_flow="row wrap", align_items="center")
        bar = w.HBox([self.test, self.use, self.every_phase, self.share], layout=row)
        self.widget = w.VBox([bar, self.message, self.details, framed(self.picture)])
        self._say("Nothing tested yet.")

    def show(self, result: RangeTest) -> None:
        """Show a result for the selected phase, whoever made it."""
        with self._lock:
            self.result, self._tested = result, self._phase
            self.picture.show(figure_png(result.figure()), result.describe())
            self.use.disabled = result.suggestion is None
            self._say(result.describe(), good=result.suggestion is not None)
            self._refresh_static()

    def _work(self, pressed: w.Button, told: str, work: Callable[[], None]) -> None:
        """Do what runs the user's model, and show what it raises."""
        with self._lock:
            pressed.disabled = True
            self.details.outputs = ()
            self._say(told)
            try:
                work()
            except DifflrError as error:
                self._say(str(error), good=False)
            except Exception as error:  # of the user's loss, model or data
                kind, said = type(error).__name__, str(error)
                self._say(f"It stopped with {kind}: {said}", good=False)
                lines = "".join(traceback.format_exception(error)).splitlines()
                self.details.outputs = (
                    {"output_type": "error", "ename": kind, "evalue": said, "traceback": lines},
                )
            finally:
                pressed.disabled = False

    @property
    def _phase(self) -> Phase:
        return self.editor.plan.phases[self.editor.selected]

    def _test(self) -> None:
        self.show(range_test(*self._arguments, self._phase, **self._options))

    def _share(self) -> None:
        splits, _, batches = self._arguments
        phase = self._phase
        found = suggest_lrs(splits, batches, max(phase.lrs), loss=self._options.get("loss"))
        most = max(found.lrs[index] for index in phase.trained)
        if not most:
            raise DifflrError(
                "No split of this phase has a gradient.",
                "Train another split in it, or check the loss.",
            )
        self.editor.set_lrs(
            [
                lr * max(phase.lrs) / most if trains else 0.0
                for lr, trains in zip(found.lrs, phase.trainable, strict=True)
            ]
        )
        pairs = zip(found.names, found.relative_norms, strict=True)
        norms = ", ".join(f"{name} {norm:.2g}" for name, norm in pairs)
        self._say(f"Set in the plan editor in proportion to ‖g‖/‖w‖: {norms}.", good=True)

    def _use(self) -> None:
        with self._lock:
            if self.result is None or self.result.suggestion is None:
                return
            if self._phase != self._tested:  # somebody looks at another one since
                if self._tested not in self.editor.plan.phases:
                    self._say("The phase was changed since: test it again.", good=False)
                    return
                self.editor.selected = self.editor.plan.phases.index(self._tested)
            self.editor.scale(self.result.suggestion, every=self.every_phase.value)
            # Pressed twice it would multiply twice.
            self.use.disabled = True
            self._say(f"Multiplied by {self.result.suggestion:.3g} in the plan editor.", good=True)

    def _say(self, text: str, *, good: bool | None = None) -> None:
        self.message.value = message_html(text, good=good)
