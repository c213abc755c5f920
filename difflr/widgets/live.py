"""The live view of a training: progress, loss, accuracy, learning rates, and a Stop that is clean."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as w
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from difflr.figures.picture import figure_png, stacked
from difflr.figures.plan import PlanFigure
from difflr.figures.words import describe_plan, short
from difflr.lightning.callback import scheduler_of
from difflr.lightning.package import pl
from difflr.widgets._panel import Panel, button, message_html, picture_box
from difflr.widgets._pump import in_notebook, pump

__all__ = ["LiveView", "LossFigure"]


class LossFigure:
    """Loss per step on the left axis, accuracies (0 to 1) on the right one; x is in epochs."""

    def __init__(self, epochs: float, dpi: float = 80) -> None:
        self.figure = Figure(figsize=(9, 2.6), dpi=dpi)
        FigureCanvasAgg(self.figure)
        self._loss_axes = self.figure.add_axes((0.135, 0.21, 0.78, 0.66))
        self._accuracy_axes = self._loss_axes.twinx()
        (self.loss,) = self._loss_axes.plot([], [], color="#31688e", lw=1.5)
        (self.accuracy,) = self._accuracy_axes.plot([], [], "k--D", lw=1.5, ms=6)
        self._loss_axes.set_ylabel("loss (line)", fontsize=12, color="#31688e")
        self._accuracy_axes.set_ylabel("accuracy (◆)", fontsize=12)
        self._loss_axes.set_xlabel("epoch", fontsize=12)
        self._loss_axes.set_xlim(0, epochs)
        self._accuracy_axes.set_ylim(0, 1)
        self._title = self.figure.text(0.135, 0.92, "", fontsize=12)
        for axes in (self._loss_axes, self._accuracy_axes):
            axes.tick_params(labelsize=11)
            axes.spines["top"].set_visible(False)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        canvas: Any = self.figure.canvas
        return canvas.get_width_height()

    def update(
        self,
        losses: Sequence[tuple[float, float]],
        accuracies: Sequence[tuple[float, float]],
        title: str,
    ) -> None:
        """Show these (epoch, value) pairs."""
        self.loss.set_data([x for x, _ in losses], [y for _, y in losses])
        self.accuracy.set_data([x for x, _ in accuracies], [y for _, y in accuracies])
        if losses:
            top = max(y for _, y in losses)
            self._loss_axes.set_ylim(min(0.0, min(y for _, y in losses)), 1.05 * top or 1.0)
        self._title.set_text(title)

    def png(self) -> bytes:
        """Return the picture as PNG."""
        return figure_png(self.figure)


class LiveView(pl.Callback, Panel):
    """A Lightning callback that shows a training in a notebook, and prints lines elsewhere.

    Args:
        every: seconds between two pictures; drawing costs some 50 ms each time.
        notebook: True or False instead of finding out.
        write: takes each line of text outside a notebook.

    ``stop()``, which the button calls, ends the training after the current step; the model keeps
    what it has learned. ``losses`` and ``accuracies`` hold (epoch, value) pairs. Accuracy is any
    logged metric with ``acc`` in its name, a validation metric rather than one of training.
    """

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
        self.stopped = False
        self.alt = "No training yet."
        self._drawn = 0.0
        self.plan_figure: PlanFigure | None = None

    def stop(self) -> None:
        """End the training after the current step."""
        self.stopped = True
        if self.notebook:
            self.stop_button.disabled = True
            self.stop_button.description = "Stopping …"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Build the view, or print what will be done."""
        self.losses, self.accuracies, self.stopped = [], [], False
        # Steps of the optimizer, which accumulate several batches each.
        self._total = max(1, int(trainer.estimated_stepping_batches))
        epochs = max(1, trainer.max_epochs or 1)
        self._per_epoch = max(1.0, self._total / epochs)
        self._scheduler = scheduler_of(trainer)
        if self._scheduler is not None:
            self._per_epoch = self._scheduler.steps_per_epoch
        if self.notebook:
            self._build(epochs, pl_module)
            self._draw(trainer)
            self._ipython_display_()
        else:
            self._write(f"training: {epochs} epochs, {self._total} steps")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
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
        if self.notebook and time.monotonic() - self._drawn > self.every:
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
            self._write(self._line(trainer))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the last state, and whether it was stopped."""
        if self.notebook:
            self._draw(trainer)
            self.stop_button.disabled = True
            self.stop_button.description = "Stopped" if self.stopped else "Done"
            self._refresh_static()
        elif self.stopped:
            self._write(f"stopped after step {trainer.global_step}")

    @property
    def png(self) -> bytes:
        """Both pictures, one above the other."""
        above = self.plan_picture.value if self.plan_figure is not None else None
        return stacked([bytes(v) for v in (above, self.loss_picture.value) if v])

    def _epoch(self, trainer: pl.Trainer) -> float:
        return trainer.global_step / self._per_epoch

    def _line(self, trainer: pl.Trainer) -> str:
        step = trainer.global_step
        parts = [f"epoch {self._epoch(trainer):.2f}", f"step {step} of {self._total}"]
        if self.losses:
            recent = [loss for _, loss in self.losses[-20:]]
            parts.append(f"loss {sum(recent) / len(recent):.3f}")
        if self.accuracies:
            parts.append(f"accuracy {self.accuracies[-1][1]:.3f}")
        parts.append(f"learning rates {self._rates(trainer)}")
        return ", ".join(parts)

    def _rates(self, trainer: pl.Trainer) -> str:
        found: dict[str, float] = {}
        for optimizer in trainer.optimizers:
            for i, group in enumerate(optimizer.param_groups):
                name = str(group.get("split_name", group.get("name", i)))
                found.setdefault(name, float(group["lr"]))
        return " ".join(f"{name} {short(lr) if lr else 'frozen'}" for name, lr in found.items())

    def _build(self, epochs: int, module: pl.LightningModule) -> None:
        self.loss_figure = LossFigure(epochs)
        self.loss_picture = picture_box(*self.loss_figure.size)
        self.progress = w.IntProgress(
            value=0, min=0, max=self._total, layout=w.Layout(width="400px")
        )
        self.text = w.HTML(layout=w.Layout(min_height="3em"))
        self.stop_button = button("Stop", "End the training after the current step", "10em")
        self.stop_button.on_click(lambda _: self.stop())
        pictures = [self.loss_picture]
        rows: list[w.Widget] = [w.HBox([self.stop_button, self.progress]), self.text]
        self.picture = self.loss_picture
        self.plan_figure = None
        if self._scheduler is not None:
            plan = self._scheduler.plan
            names = getattr(getattr(module, "splits", None), "names", None)
            names = names or [f"split {i}" for i in range(plan.n_splits)]
            self.plan_figure = PlanFigure(
                plan, names, self._scheduler.steps_per_epoch, compact=True
            )
            self.plan_picture = picture_box(*self.plan_figure.size)
            pictures.append(self.plan_picture)
        blocks = [
            w.Box([each], layout=w.Layout(display="block", flex="0 1 auto")) for each in pictures
        ]
        shown = w.HBox(blocks, layout=w.Layout(flex_flow="row wrap", align_items="flex-start"))
        self.widget = w.VBox([*rows, shown])

    def _draw(self, trainer: pl.Trainer) -> None:
        step = trainer.global_step
        self.alt = f"Training: {self._line(trainer)}."
        self.progress.value = min(step, self._total)
        done = "stopped, " if self.stopped else ""
        self.text.value = message_html(done + self._line(trainer))
        self.loss_figure.update(self.losses, self.accuracies, "Loss at each step")
        self.loss_picture.value = self.loss_figure.png()
        if self.plan_figure is not None:
            self.alt += " " + describe_plan(self.plan_figure.plan, self.plan_figure.names)
            self.plan_figure.mark(step)
            self.plan_picture.value = self.plan_figure.png()
        self._drawn = time.monotonic()
