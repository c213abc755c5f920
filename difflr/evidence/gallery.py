"""All pictures of a recording, by one command, each with its text for those who do not see it.

python -m difflr.evidence.gallery RECORDING --out images
"""

import argparse
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from difflr.errors import DifflrError
from difflr.evidence import forgetting, plateau, recipes
from difflr.evidence import gains as gain
from difflr.evidence import outcomes as outcome
from difflr.evidence.grids import condition_words, grids, point_words
from difflr.studies.recordings import Recording, load_recording
from difflr.written.files import writing

__all__ = ["draw_all"]

_Entry = tuple[str, Callable[[], Figure], Callable[[], str]]  # name, plot, text


def draw_all(recording: Recording, folder: Path) -> dict[str, str]:
    """Write the pictures that suit the study as PNG; return file name to alt text."""
    texts = {}
    with writing(folder, "Pass another --out."):
        folder.mkdir(parents=True, exist_ok=True)
        for name, plot, describe in _pictures(recording):
            plot().savefig(folder / f"{name}.png")
            texts[f"{name}.png"] = describe()
    return texts


def _pictures(r: Recording) -> Iterator[_Entry]:
    if r.study == "plateau":
        for size in r.values("train_size"):
            tried = {
                run.tags["ratio"] for run in r.where(train_size=size, measured_on="validation")
            }
            ratios = [ratio for ratio in (0.1, 1.0, 100.0) if ratio in tried]
            if tried:
                for measure in ("accuracy", "source_accuracy"):
                    name = f"plateau-{measure.replace('_', '-')}-{size}"
                    yield _pair(name, plateau.plot_heat, plateau.describe_heat, r, size, measure)
            if ratios:
                curves = plateau.plot_plateau, plateau.describe_plateau
                yield _pair(f"plateau-{size}", *curves, r, size, ratios)
                kept = forgetting.plot_forgetting, forgetting.describe_forgetting
                yield _pair(f"forgetting-{size}", *kept, r, size, [x for x in ratios if x >= 1])
    elif r.study == "recipes":
        for cost in ("flops", "seconds" if _on_gpu(r) else "cpu_seconds"):
            both = recipes.plot_recipes, recipes.describe_recipes
            yield _pair(f"recipes-{cost.replace('_', '-')}", *both, r, cost)
    elif r.study == "which_splits":
        which = outcome.plot_which_splits, outcome.describe_which_splits
        yield _pair("which-splits", *which, r)
    elif r.study == "frozen_bn":
        for shift in r.values("shift"):
            bars = partial(outcome.plot_groups, title="Frozen BatchNorm", shift=shift)
            words = partial(outcome.describe_groups, shift=shift)
            yield _pair(f"frozen-bn-{shift}", bars, words, r, "recipe", "bn")
    elif found := gain.gains(r):
        yield _pair(f"{r.study}-gains", gain.plot_gains, gain.describe_gains, found)
    yield from _movements(r)


def _movements(r: Recording) -> Iterator[_Entry]:
    """One picture for each condition: a line per recipe and base LR, since others moved further."""
    rows, conditions = grids(r, "test")
    for condition, grid in conditions.items():
        groups = {
            point_words(rows, point): runs
            for point, runs in sorted(grid.items(), key=lambda item: (item[0][1], item[0][0]))
            if runs[0].plan is not None
        }
        if groups:
            title = condition_words(r, condition)
            name = f"{r.study}-movement-{title}" if len(conditions) > 1 else f"{r.study}-movement"
            movement = outcome.plot_movement, outcome.describe_movement
            yield _pair(re.sub(r"\W+|_", "-", name.replace(",", "")), *movement, r, groups, title)


def _on_gpu(recording: Recording) -> bool:
    # Beside other work the clock says little of a processor; a GPU's work the processor does not count.
    return any(session.get("gpu") for session in recording.sessions)


def _pair(
    name: str, plot: Callable[..., Figure], describe: Callable[..., str], *arguments: Any
) -> _Entry:
    return name, partial(plot, *arguments), partial(describe, *arguments)


def main() -> None:
    """Draw the pictures of a recording: the command of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m difflr.evidence.gallery", description=main.__doc__
    )
    parser.add_argument("recording", help="name of one that comes with difflr, or a .json.gz file")
    parser.add_argument("--out", default="images", help="folder (default: images)")
    arguments = parser.parse_args()
    try:
        texts = draw_all(load_recording(arguments.recording), Path(arguments.out))
    except DifflrError as error:
        parser.error(str(error))
    for name, text in texts.items():
        print(f"{name}: {text}\n")


if __name__ == "__main__":
    main()
