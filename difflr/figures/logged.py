"""Learning rates and momentum as TensorBoard has logged them, and their picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from difflr.errors import DifflrError
from difflr.figures.style import LINES, legend_below, split_colours, style

__all__ = ["plot_logged", "read_logged"]


def read_logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves ``lr/<split>`` and ``momentum/<split>`` of a TensorBoard folder.

    Returns:
        Name of the curve to (step, value) pairs, in the order in which they were logged.

    Raises:
        DifflrError: where the folder holds no event file with such curves.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = {}
    try:
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        if folder.exists():
            events.Reload()
    except UnicodeEncodeError as error:
        raise DifflrError(
            f"TensorBoard opens no folder whose name is not UTF-8: {str(folder)!a}.",
            "Rename the folder.",
        ) from error
    if folder.exists():
        for tag in events.Tags()["scalars"]:
            if tag.startswith(("lr/", "momentum/")):
                curves[tag] = [(event.step, event.value) for event in events.Scalars(tag)]
    if not any(tag.startswith("lr/") for tag in curves):
        raise DifflrError(
            f"{folder} holds no TensorBoard events with curves lr/<split>.",
            "Pass the folder of one run, e.g. OUT/tensorboard/milestones_2020-0.",
        )
    return curves


def plot_logged(curves: Mapping[str, Sequence[tuple[int, float]]], title: str = "") -> Figure:
    """Draw logged learning rates (log axis) and momentum of each split over the steps."""
    figure = Figure(figsize=(9, 5.5), dpi=120, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    names = [tag.removeprefix("lr/") for tag in curves if tag.startswith("lr/")]
    for index, (name, colour) in enumerate(zip(names, split_colours(len(names)), strict=True)):
        look = {"color": colour, "linestyle": LINES[index % len(LINES)]}
        steps, rates = np.array(curves[f"lr/{name}"]).T
        # A frozen split has a rate of 0, which a log axis cannot show: leave a gap there.
        shown = np.where(rates > 0, rates, np.nan)
        top.plot(steps, shown, label=name, lw=2, **look)
        if f"momentum/{name}" in curves:
            bottom.plot(*np.array(curves[f"momentum/{name}"]).T, lw=1.5, **look)
    top.set_yscale("log")
    top.set_ylabel("learning rate", size=12)
    figure.suptitle(title, size=13, parse_math=False)
    peaks = [max(rate for _, rate in curves[f"lr/{name}"]) for name in names]
    top.set_ylim(min(filter(None, peaks), default=1e-6) / 30, max(peaks) * 2)  # cuts the last steps
    legend_below(figure, top, len(names), fontsize=10)
    bottom.set_ylabel("momentum", size=12)
    bottom.set_xlabel("optimizer step", size=12)
    for axes in (top, bottom):
        style(axes)
    return figure
