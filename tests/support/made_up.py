"""A made-up recording of the plateau study, for tests of what is drawn from one."""

import math
from itertools import product

from difflr.runs.journal import Journal
from difflr.studies.cell import Cell
from difflr.studies.recordings import Recording, save_recording

SPLITS = ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
RATES = (1e-4, 1e-3, 1e-2, 1e-1)
RATIOS = (0.1, 1.0, 100.0)


def measured(cell: Cell, seed: int, measured_on: str) -> dict:
    """Return a run with smooth made-up numbers: best at 1e-2, less so for a ratio of 100."""
    lr, ratio = cell.options["lr"], cell.options.get("ratio", 1.0)
    off = math.log10(lr) + 2 - 0.2 * (ratio == 100)
    accuracy = 0.7 - (0.03 if ratio == 100 else 0.1) * off**2 + 0.004 * (seed % 3)
    accuracy = max(0.1, round(accuracy, 4))
    depth = [10 ** (i / 2 - 4) * lr * 1000 for i in range(6)]
    return {
        "recipe": cell.recipe, "options": dict(cell.options), "train_size": cell.train_size,
        "epochs": cell.epochs, "shift": cell.shift, "bn": cell.bn, "seed": seed,
        "measured_on": measured_on, "plan": cell.plan(6).to_dict(), "accuracy": accuracy,
        "loss": 2 * (1 - accuracy), "seconds": 3.0 + 0.1 * seed, "cpu_seconds": 2.5 + 0.1 * seed,
        "flops": 10**12 * (0.35 if cell.recipe == "head_only" else 1) * cell.epochs,
        "source_before": 0.9, "source_accuracy": max(0.0, 0.9 - depth[0] * 8),
        "source_old_bn": max(0.0, 0.9 - depth[0] * 6),
        "displacement": depth, "drift": [d / 2 for d in depth],
        "cka": [max(0.0, 1 - d) for d in depth],
        "curve_loss": [2.0 / (i + 1) for i in range(cell.epochs)],
        "curve_accuracy": [accuracy * (i + 1) / cell.epochs for i in range(cell.epochs)],
    }  # fmt: skip


def journal(path, cells, seeds=(0, 1, 2), stages=("validation", "test")):
    """Write a journal of made-up runs and return its path."""
    with Journal(path, "plateau", {"data": "made up", "splits": SPLITS}) as file:
        file.open_session({"versions": {"torch": "0"}, "machine": "none", "date": "2026-01-01"})
        for stage, cell, seed in product(stages, cells, seeds):
            file.add(measured(cell, seed + 100 * (stage == "test"), stage))
    return path


def plateau_cells():
    """Return the cells of a small plateau study."""
    grid = product(RATES, RATIOS, (40, 80))
    return [Cell("differential", {"lr": lr, "ratio": r}, n, 3) for lr, r, n in grid]


def plateau(folder) -> Recording:
    """Return the made-up plateau study, which is also in ``folder/plateau.json.gz``."""
    return save_recording(
        journal(folder / "plateau.jsonl", plateau_cells()), folder / "plateau.json.gz"
    )


def shifts(folder) -> Recording:
    """Return a made-up study of recipes under shifts."""
    names = ("first_splits", "head_only", "differential", "falling", "uniform")
    cells = [
        Cell(name, {"lr": lr}, 40, epochs, shift)
        for name, lr, epochs, shift in zip(
            names * 4, (1e-3, 3e-3, 1e-2, 3e-2, 1e-2) * 4, (2, 2, 2, 2, 2, 4, 4, 4, 4, 4) * 2,
            ["none"] * 10 + ["noise"] * 10, strict=True,
        )
    ]  # fmt: skip
    return save_recording(journal(folder / "shifts.jsonl", cells), folder / "shifts.json.gz")
