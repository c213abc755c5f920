"""The live view of a training: loss, accuracy, how far each split moves, and a Stop that is clean."""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import ipywidgets as w
from torch.optim import Optimizer

from difflr.figures.words import describe_plan, short
from difflr.lightning.callback import scheduler_of
from difflr.lightning.package import pl
from difflr.widgets._livefigure import LiveFigure
from difflr.widgets._movement import Movement
from difflr.widgets._panel import Panel, button, framed, message_html, picture_box, table_html
from difflr.widgets._pump import in_notebook, pump

__all__ = ["LiveView"]


class LiveView(pl.Callback, Panel):
    """A Lightning callback that shows a training in a notebook, and prints lines elsewhere.

    Args:
        every: seconds between two pictures; drawing costs some 50 ms each time.
        notebook: True or False instead of finding out.
        write: takes each line of text outside a notebook.

    ``stop()``, which the button calls, ends the training after the current step; the model keeps
    what it has learned. ``losses`` and ``accuracies`` hold (epoch, value) pairs. Accuracy is any
    logged metric with ``acc`` in its name, a validation metric rather than one of training.
    ``movements`` holds, for one step per picture, (epoch, update-to-weight ratio of each split): the
    length of the step's change over that of the weights, NaN for a frozen split.
    """

    _per_epoch: float  # steps of the optimizer

    def __init__(
        self,
        every: float = 0.5,
        notebook: bool | None = None,
        write: Callable[[str], object] | None = None,
    ) -> None:
        Panel.__init__(self)
        self.every = every
        self.notebook = in_notebook() if notebook is None else notebook
        self._write = write or (lambda line: print(line, file=sys.stdout, flush=True))
        self.losses: list[tuple[float, float]] = []
        self.accuracies: list[tuple[float, float]] = []
        self.movements: list[tuple[float, tuple[float, ...]]] = []
        self.stopped = False
        self._drawn = 0.0
        self._runs = False  # with something to be seen

    def stop(self) -> None:
        """End the training after the current step."""
        self.stopped = True
        if self.notebook:
            self.stop_button.disabled = True
            self.stop_button.description = "Stopping …"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Build the view, or print what will be done."""
        self.losses, self.accuracies, self.movements, self.stopped = [], [], [], False
        self._movement = Movement(pl_module)
        self._scheduler = scheduler_of(trainer)
        # Steps of the optimizer, which accumulate several batches each; 0 where only Stop ends them.
        total, batches = trainer.estimated_stepping_batches, trainer.num_training_batches
        self._total = int(total) if 0 < total < math.inf else 0
        planned = max(1, trainer.max_epochs or 1)
        if self._scheduler is not None:
            self._per_epoch = self._scheduler.steps_per_epoch
        elif batches < math.inf:
            self._per_epoch = math.ceil(batches / trainer.accumulate_grad_batches)
        else:  # a stream of data
            self._per_epoch = self._total / planned or 1000
        epochs = self._total / self._per_epoch or planned
        if self.notebook:
            self._build(epochs, pl_module)
            self._draw(trainer)
            self._ipython_display_()
            self._runs = True
        else:
            steps = f"{epochs:g} epochs, {self._total} steps" if self._total else "no end but Stop"
            self._write(f"training: {steps}")

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Keep the weights where the step is to be measured: those of the next picture."""
        if self.notebook and (self._due or not self.movements):
            self._movement.before()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Note the loss, answer the button, and draw now and then."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            value = float(loss) * (trainer.accumulate_grad_batches or 1)
            if math.isfinite(value):
                self.losses.append((self._epoch(trainer), value))
        if self.notebook:
            pump()
        if self.stopped:
            trainer.should_stop = True
        if moved := self._movement.after():
            self.movements.append((self._epoch(trainer), moved))
        if self.notebook and self._due:
            self._draw(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the accuracy and print the epoch's line."""
        metrics = trainer.callback_metrics
        names = sorted((n for n in metrics if "acc" in n.lower()), key=lambda n: "val" not in n)
        if names:
            self.accuracies.append((self._epoch(trainer), float(metrics[names[0]])))
        if self.notebook:
            self._draw(trainer)
        else:
            rates = " ".join(f"{name} {lr}" for name, lr in self._rates(trainer).items())
            self._write(f"{self._line(trainer)}, learning rates {rates}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the last state, and whether it was stopped."""
        if self.notebook:
            self._draw(trainer)
            self._end(
                trainer, "Stopped" if self.stopped else "Done", good=None if self.stopped else True
            )
        elif self.stopped:
            self._write(f"stopped after step {trainer.global_step}")

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Say that the training is over; the cell says why."""
        if self._runs:
            self._end(trainer, "Ended", f" by {type(exception).__name__}", good=False)

    def _end(self, trainer: pl.Trainer, word: str, how: str = "", *, good: bool | None) -> None:
        self._runs, self.stop_button.disabled = False, True
        self.stop_button.description = word
        self.text.value = message_html(f"{word}{how}: {self._line(trainer)}.", good=good)
        self._refresh_static()

    @property
    def _due(self) -> bool:
        return time.monotonic() - self._drawn > self.every

    def _epoch(self, trainer: pl.Trainer) -> float:
        return trainer.global_step / self._per_epoch

    def _line(self, trainer: pl.Trainer) -> str:
        step = trainer.global_step
        end = f" of {self._total}" if self._total else ""
        parts = [f"epoch {self._epoch(trainer):.2f}", f"step {step}{end}"]
        if self.losses:
            recent = [loss for _, loss in self.losses[-20:]]
            parts.append(f"loss {sum(recent) / len(recent):.3f}")
        if self.accuracies:
            parts.append(f"accuracy {self.accuracies[-1][1]:.3f}")
        return ", ".join(parts)

    def _rates(self, trainer: pl.Trainer) -> dict[str, str]:
        """Return the learning rate of each split as text."""
        found: dict[str, float] = {}
        for optimizer in trainer.optimizers:
            for i, group in enumerate(optimizer.param_groups):
                name = str(group.get("split_name", group.get("name", i)))
                found.setdefault(name, float(group["lr"]))
        return {name: short(lr) if lr else "frozen" for name, lr in found.items()}

    def _build(self, epochs: float, module: pl.LightningModule) -> None:
        plan = self._scheduler.plan if self._scheduler is not None else None
        names = self._movement.names
        if plan is not None and plan.n_splits != len(names):
            plan = None
        self.figure = LiveFigure(names, epochs, plan, round(self._per_epoch))
        self.picture = picture_box(*self.figure.size)
        self._planned = f" {describe_plan(plan, names)}" if plan is not None else ""
        self.progress = w.IntProgress(
            value=0, min=0, max=self._total, layout=w.Layout(width="auto", flex="1 1 200px")
        )
        self.text, self.table = w.HTML(), w.HTML()
        self.stop_button = button("Stop", "End the training after the current step", "10em")
        self.stop_button.on_click(lambda _: self.stop())
        known = [self.progress] if self._total else []
        bar = w.HBox([self.stop_button, *known], layout=w.Layout(max_width="960px"))
        self.widget = w.VBox([bar, self.text, framed(self.picture), self.table])

    def _draw(self, trainer: pl.Trainer) -> None:
        line, rates, moved = self._line(trainer), self._rates(trainer), self._moved()
        rows = [[name, rates.get(name, ""), moved[name]] for name in self._movement.names]
        words = ", ".join(f"{name} {value}" for name, value in moved.items() if value)
        words = f" A step moves, of its weights: {words}." if words else ""
        self.figure.update(self.losses, self.accuracies, self.movements, self._epoch(trainer))
        # First the picture, which takes its time: numbers and curves are of the same step.
        self.picture.show(self.figure.png(), f"Training: {line}.{words}{self._planned}")
        self.progress.value = min(trainer.global_step, self._total)
        # No live region while it runs: a screen reader would speak without a pause.
        self.text.value = f'<div style="font-size:14px">{line}</div>'
        self.table.value = table_html(["split", "learning rate now", "a step moves it by"], rows)
        self._drawn = time.monotonic()

    def _moved(self) -> dict[str, str]:
        """Return how far the last measured step moved each split, as text; empty before the first."""
        if not self.movements:
            return dict.fromkeys(self._movement.names, "")
        last = self.movements[-1][1]
        return {
            name: "frozen" if math.isnan(value) else short(value) if value else "0"
            for name, value in zip(self._movement.names, last, strict=True)
        }
