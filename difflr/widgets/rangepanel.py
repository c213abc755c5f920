"""The range test as a widget: one press tests the selected phase, another uses the suggestion."""

import traceback
from collections.abc import Iterable
from typing import Any

import ipywidgets as w
from torch.optim import Optimizer

from difflr.errors import DifflrError
from difflr.figures.picture import figure_png
from difflr.rangetest.figure import blank_figure
from difflr.rangetest.finder import RangeTest, range_test
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
        self._arguments = (splits, optimizer, batches)
        self._options = options
        self.test = button("Test the selected phase", "Train a few steps and undo them")
        self.use = button(
            "Use the suggestion", "Multiply the phase's learning rates", disabled=True
        )
        self.every_phase = w.Checkbox(value=False, description="in every phase", indent=False)
        self.message = w.HTML(layout=w.Layout(min_height="3em"))
        self.details = w.Output()
        blank = blank_figure()
        self.picture = picture_box(*blank.canvas.get_width_height())
        self.picture.alt, self.picture.value = "No range test yet.", figure_png(blank)
        self.test.on_click(lambda _: self._test())
        self.use.on_click(lambda _: self._use())
        row = w.Layout(flex_flow="row wrap", align_items="center")
        bar = w.HBox([self.test, self.use, self.every_phase], layout=row)
        self.widget = w.VBox([bar, self.message, self.details, framed(self.picture)])
        self._say("Nothing tested yet.")

    def show(self, result: RangeTest) -> None:
        """Show a result, whoever made it."""
        with self._lock:
            self.result = result
            with self.picture.hold_sync():
                self.picture.alt = result.describe()
                self.picture.value = figure_png(result.figure())
            self.use.disabled = result.suggestion is None
            self._say(result.describe(), good=result.suggestion is not None)

    def _test(self) -> None:
        with self._lock:
            self.test.disabled = True
            self.details.outputs = ()
            self._say("Testing …")
            try:
                phase = self.editor.plan.phases[self.editor.selected]
                self.show(range_test(*self._arguments, phase, **self._options))
            except DifflrError as error:
                self._say(str(error), good=False)
            except Exception as error:  # of the user's loss, model or data
                kind, said = type(error).__name__, str(error)
                self._say(f"The test stopped with {kind}: {said}", good=False)
                lines = "".join(traceback.format_exception(error)).splitlines()
                self.details.outputs = (
                    {"output_type": "error", "ename": kind, "evalue": said, "traceback": lines},
                )
            finally:
                self.test.disabled = False

    def _use(self) -> None:
        with self._lock:
            if self.result is None or self.result.suggestion is None:
                return
            self.editor.scale(self.result.suggestion, every=self.every_phase.value)
            # Pressed twice it would multiply twice.
            self.use.disabled = True
            self._say(f"Multiplied by {self.result.suggestion:.3g} in the plan editor.", good=True)

    def _say(self, text: str, *, good: bool | None = None) -> None:
        self.message.value = message_html(text, good=good)
