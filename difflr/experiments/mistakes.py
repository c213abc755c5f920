"""What a trained network names wrongly: a table of confusion, and the errors that it is surest of."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from difflr.experiments.data import Data, Images
from difflr.experiments.training import predict

__all__ = ["find_mistakes", "plot_confusion", "plot_worst", "sum_confusion", "worst_of"]

_WORST = 12  # errors that are kept of a run
_CLASSES = 50  # with more, a table of confusion is no longer read


def find_mistakes(model: nn.Module, images: Images, n_classes: int) -> dict[str, Any]:
    """Return what ``model`` names wrongly, as JSON.

    Returns:
        ``confusion``, a row per true class with how often each class was named (left out for more
        than 50 classes); and ``worst``, the errors of the highest probability: ``picture`` (its
        index), ``named`` (a class) and ``probability``.
    """
    sure, named = predict(model, images).float().softmax(1).max(1)
    confusion = torch.zeros(n_classes, n_classes, dtype=torch.long)
    confusion.index_put_((images.labels, named), torch.tensor(1), accumulate=True)
    wrong = (named != images.labels).nonzero().flatten()
    worst = wrong[sure[wrong].argsort(descending=True, stable=True)][:_WORST].tolist()
    found: dict[str, Any] = {
        "worst": [
            {"picture": i, "named": int(named[i]), "probability": round(float(sure[i]), 4)}
            for i in worst
        ]
    }
    return {"confusion": confusion.tolist(), **found} if n_classes <= _CLASSES else found


def sum_confusion(runs: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    """Return the confusion of several runs together; None where no run holds one."""
    tables = [np.array(run["mistakes"]["confusion"]) for run in runs
              if "confusion" in run.get("mistakes", {})]  # fmt: skip
    return np.sum(tables, axis=0) if tables else None


def worst_of(runs: Sequence[Mapping[str, Any]], most: int = 10) -> list[dict[str, Any]]:
    """Return the errors that most runs share, those of the highest mean probability first.

    Each has ``picture``, ``named``, ``probability`` (of the runs that made it) and ``runs``.
    """
    found: dict[tuple[int, int], list[float]] = {}
    for run in runs:
        for error in run.get("mistakes", {}).get("worst", []):
            found.setdefault((error["picture"], error["named"]), []).append(error["probability"])
    errors = [
        {"picture": i, "named": name, "probability": float(np.mean(sure)), "runs": len(sure)}
        for (i, name), sure in found.items()
    ]
    return sorted(errors, key=lambda error: (-error["runs"], -error["probability"]))[:most]


def plot_confusion(confusion: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw how many of each true class (a row, as shares of it) were named as which class."""
    n = len(classes)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    side = 2 + 0.5 * max(n, 3)
    figure = Figure(figsize=(side + 0.8, side), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if n <= 12:
        for (row, column), share in np.ndenumerate(shares):
            ink = "white" if share > 0.5 else "0.2"
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", color=ink, size=9)
    axes.set_xticks(range(n), classes, rotation=45, ha="right", parse_math=False)
    axes.set_yticks(range(n), classes, parse_math=False)
    axes.set_xlabel("named")
    axes.set_ylabel("is")
    axes.spines[:].set_visible(False)
    return figure


def plot_worst(errors: Sequence[Mapping[str, Any]], data: Data, runs: int) -> Figure:
    """Draw test pictures with what they are, what they were named, and by how many of the runs."""
    columns = min(5, max(len(errors), 1))
    rows = -(-len(errors) // columns)
    figure = Figure(figsize=(1.7 * columns, 2.2 * max(rows, 1)), dpi=110, layout="constrained")
    grid = figure.subplots(max(rows, 1), columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, error in zip(grid, errors, strict=False):
        axes.imshow(data.test.pixels[error["picture"]].permute(1, 2, 0).numpy())
        true = data.classes[int(data.test.labels[error["picture"]])]
        axes.set_title(
            f"{true}\nnamed {data.classes[error['named']]}\n{error['probability']:.0%} sure, "
            f"{error['runs']} of {runs} runs",
            size=8,
            parse_math=False,
        )
    return figure
