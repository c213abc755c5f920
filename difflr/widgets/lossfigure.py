"""Loss and accuracy while training, built once and extended."""

from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from difflr.drawing import figure_png

__all__ = ["LossFigure"]


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
