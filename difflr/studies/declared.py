"""The studies that difflr's claims rest on, as plain data: what ``difflr study NAME`` runs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product

from difflr.errors import DifflrError, short_repr
from difflr.studies.cell import BN_MODES, OPTIMIZERS, Cell, tag_matches
from difflr.studies.design import Study, Task
from difflr.studies.recordings import Recording, load_recording

__all__ = ["STUDIES", "declare"]

# Half-decades wide enough for the best of every recipe to lie inside, on photographs and on strokes;
# the plateau is followed to where it ends.
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
PLATEAU_RATES = (*RATES, 1e-1)
# A quarter of a decade apart: between half-decades uniform's narrow best is missed by more than a point.
FINE_RATES = (
    *(1e-4, 1.8e-4, 3e-4, 5.6e-4),
    *(1e-3, 1.8e-3, 3e-3, 5.6e-3),
    *(1e-2, 1.8e-2, 3e-2, 5.6e-2, 1e-1),
)
FINE_SGD_RATES = (3e-3, 5.6e-3, 1e-2, 1.8e-2, 3e-2, 5.6e-2, 1e-1, 1.8e-1, 3e-1, 5.6e-1, 1.0)
TEXT_RATES = (3e-5, 5.6e-5, 1e-4, 1.8e-4, 3e-4, 5.6e-4, 1e-3, 1.8e-3, 3e-3, 5.6e-3, 1e-2)
SHIFTED_RATES = (3e-5, *RATES)  # under a shift the best uniform rate lies lower
SHIFTS = ("none", "noise", "blur", "contrast", "colour")


def declare(
    name: str,
    task: Task,
    *,
    quick: bool = False,
    only: Sequence[str] = (),
    widen: bool = False,
    seeds: tuple[int, int] | None = None,
    recording: str | None = None,
) -> Study:
    """Return the study called ``name`` on these pictures and weights.

    Args:
        name: one of ``STUDIES``.
        task: pictures, network and what else is held fixed.
        quick: a few pictures, cells and seeds, for tests and lessons: seconds instead of hours.
        only: parts of the grid, each written ``tag=value,…``: cells that have one of the values.
        widen: whether the learning rates that ``only`` leaves out are the study's ``reserve``.
        seeds: how many choose and how many others report (default: what the study needs).
        recording: whose runs are to be made once more, or those that ``only`` names: one that comes with
            difflr, or a ``.json.gz`` file. What other packages trained is left out.

    Raises:
        DifflrError: for an unknown name, or a part that the grid does not have.
    """
    if name not in STUDIES:
        raise DifflrError(
            f"Received study {short_repr(name)}.", f"The studies are {', '.join(STUDIES)}."
        )
    if (name == "text") != task.text:
        raise DifflrError(
            f"Received data {short_repr(task.data)} for the study {name}.",
            "Pass --data trec6:FOLDER for the study text, and pictures for all others.",
        )
    if name == "vit":  # the field decays from block to block
        task = replace(task, cut="blocks")
    if recording is not None:
        if quick or widen or seeds:
            raise DifflrError(
                "Received a recording, which says by itself what to run.",
                "Leave out quick, widen and seeds.",
            )
        return _as_recorded(name, task, only, load_recording(recording))
    cells, choose_by = STUDIES[name](task.embedded, quick)
    whole = cells
    for part in only:
        cells = _part(cells, part)
        whole = whole if part.startswith("base_lr=") else _part(whole, part)
    if quick:
        test_size = 100 if task.test_size is None else task.test_size
        task = replace(task, batch_size=20, test_size=test_size, probes=50, curve=50)
    choosing, reporting = seeds or ((2, 2) if quick else _SEEDS.get(name, (1, 5)))
    report = range(100, 100 + reporting)
    reserve = whole if widen else ()
    return Study(name, task, cells, tuple(range(choosing)), tuple(report), choose_by, reserve)


def _as_recorded(name: str, task: Task, only: Sequence[str], recording: Recording) -> Study:
    if recording.study != name:
        raise DifflrError(
            f"Received a recording of the study {recording.study}, the study is {name}.",
            "Name the study that was recorded.",
        )
    runs = [run for run in recording.runs if run.plan is not None]
    cells = list({run.cell.key: run.cell for run in runs}.values())
    for part in only:
        cells = _part(cells, part)
    keys = {cell.key for cell in cells}
    recorded = [(run.cell, run.seed, run.measured_on) for run in runs if run.cell.key in keys]
    return Study(name, task, cells, recorded=recorded)


def _part(cells: Sequence[Cell], text: str) -> list[Cell]:
    """Return those cells whose tag has one of the values in ``tag=value,…``."""
    tag, _, values = text.partition("=")
    if tag not in cells[0].tags:
        raise DifflrError(
            f"Received --only {short_repr(text)}.",
            f"Pass TAG=VALUE,…; the tags are {', '.join(cells[0].tags)}.",
        )
    part = []
    for value in values.split(","):
        found = [cell for cell in cells if tag_matches(cell.tags[tag], value)]
        if not found:
            known = dict.fromkeys(str(cell.tags[tag]) for cell in cells)
            raise DifflrError(
                f"Received --only {short_repr(text)}: no {tag} is {short_repr(value)}.",
                f"Pass some of {', '.join(known)}.",
            )
        part += found
    return part


# How many seeds choose, and how many others report. The plateau is what its choosing runs show; the
# peak asks for a difference of a point; elsewhere they only find a learning rate.
_SEEDS = {
    "plateau": (5, 5),
    "peak": (5, 20),
    "causes": (3, 10),
    "networks": (3, 10),
    "text": (3, 10),
    "vit": (3, 10),
}

Grid = tuple[list[Cell], tuple[str, ...]]


def _plateau(embedded: bool, quick: bool) -> Grid:
    """Base LR × ratio between last and first split: 1 is uniform, below 1 the first is fastest."""
    ratios = (0.1, 1.0, 10.0, 100.0, 1000.0)
    sizes, large = ((100, 300), 1000) if embedded else ((500, 1000), 5000)
    grid: Iterable[tuple[float, float, int]]
    if quick:
        grid = product((1e-3, 1e-2), (1.0, 100.0), (40,))
    else:
        coarse = product((1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (1.0, 100.0), (large,))
        grid = [*product(PLATEAU_RATES, ratios, sizes), *coarse]
    cells = [
        Cell("differential", {"lr": lr, "ratio": ratio}, size, _epochs(quick))
        for lr, ratio, size in grid
    ]
    return cells, ("ratio", "train_size")


def _peak(embedded: bool, quick: bool) -> Grid:
    """How large the difference is at the best rates, a quarter of a decade apart."""
    rates = (
        (1e-3, 1e-2) if quick else tuple(float(f"{10 ** (-4 + i / 4):.2g}") for i in range(-2, 10))
    )
    rivals = [("uniform", {}), ("two_rates", {"ratio": 10.0})]
    rivals += [("differential", {"ratio": ratio}) for ratio in (10.0, 100.0)]
    sizes = (40,) if quick else (100, 300) if embedded else (500, 1000, 5000)
    lengths = (2,) if quick else (3, 6, 12)
    cells = [
        Cell(name, {"lr": lr, **options}, size, epochs, augment=augment)
        for size, epochs, augment, (name, options), lr in product(
            sizes, lengths, (True, False), rivals, rates
        )
    ]
    return cells, ("recipe", "ratio", "train_size", "epochs", "augment")


def _recipes(embedded: bool, quick: bool) -> Grid:
    """All recipes by the same grid of base LRs, at lengths between which equal compute can be read."""
    names = ["uniform", "head_only", "differential"]
    if not quick:
        names += ["gradual", "lp_ft", "fine_tune", "falling", "milestones_2020"]
    lengths = (2,) if quick else (3, 6, 12)
    rates = (1e-3, 1e-2) if quick else RATES
    cells = [
        Cell(name, _options(name, lr), _size(embedded, quick), epochs)
        for name, lr, epochs in product(names, rates, lengths)
        if (name, epochs) != ("milestones_2020", 3)  # it has six milestones
    ]
    if not quick:  # is it the unfreezing that costs, or a cycle of its own for every phase?
        ways: list[dict[str, str | float]] = [{"shape": "constant"}, {"shape": "cosine"}]
        ways += [{"continues": True}, {"shape": "cosine", "continues": True}]  # one over all phases
        cells += [
            Cell("gradual", {"lr": lr, **way}, _size(embedded, quick), epochs)
            for way, lr, epochs in product(ways, rates, lengths)
        ]
    return cells, ("recipe", "epochs", "shape")


def _which_splits(embedded: bool, quick: bool) -> Grid:
    """Where to learn when the input shifts (from a network that knows clean pictures), or the labels."""
    names = ["first_splits", "head_only", "differential", "falling", "uniform"]
    # The first split against the head is a fair question only where both may adapt their statistics.
    tried = [*((name, "kept") for name in names), *((name, "drifting") for name in names[:2])]
    if not quick:
        # WiSE-FT also estimates BatchNorm's statistics anew: the last does nothing else.
        tried += [(name, "kept") for name in ("auto_rgn", "wise_ft", "recalibrated")]
    rates = (1e-3, 1e-2) if quick else SHIFTED_RATES
    size = _size(embedded, quick) // (1 if quick else 2)
    cells = [
        Cell(name, _options(name, lr), size, _epochs(quick), shift, bn)
        for shift, (name, bn), lr in product(("none", "noise") if quick else SHIFTS, tried, rates)
    ]
    return cells, ("recipe", "shift", "bn")


def _frozen_bn(embedded: bool, quick: bool) -> Grid:
    """Running statistics of frozen splits kept, drifting, or trained with weight and bias."""
    names = ["head_only"] if quick else ["head_only", "gradual", "lp_ft"]
    rates = (1e-3, 1e-2) if quick else RATES
    shifts = ("none",) if quick else ("none", "contrast")
    cells = [
        Cell(name, _options(name, lr), _size(embedded, quick), _epochs(quick), shift, bn)
        for shift, name, bn, lr in product(shifts, names, BN_MODES[:3], rates)
    ]
    return cells, ("recipe", "shift", "bn")


def _causes(embedded: bool, quick: bool) -> Grid:
    """How much is the new head's rate, and how much the grading inside the body?

    Uniform rates; a faster head over a uniform body; rates graded from split to split, or by the gradients;
    the head first; the way back to the weights before. All of them under AdamW or SGD, with BatchNorm
    following the pictures or frozen, augmented or not.
    """
    heads, grades = [10.0, 100.0], [100.0]
    if not quick:
        heads, grades = [3.0, 10.0, 30.0, 100.0], [10.0, 100.0, 1000.0]
    rivals = [("uniform", {}), *(("two_rates", {"ratio": ratio}) for ratio in heads)]
    rivals += [*(("differential", {"ratio": ratio}) for ratio in grades), ("lp_ft", {})]
    if not quick:
        rivals += [("auto_rgn", {}), ("wise_ft", {})]
    size = 40 if quick else 100 if embedded else 500
    rates = {"AdamW": (1e-3, 1e-2) if quick else FINE_RATES, "SGD": FINE_SGD_RATES}
    under = product(
        OPTIMIZERS[:1] if quick else OPTIMIZERS, ("kept",) if quick else ("kept", "frozen")
    )
    cells = [
        Cell(
            name,
            {**_options(name, lr), **options},
            size,
            _epochs(quick),
            bn=bn,
            augment=augment,
            optimizer=optimizer,
        )
        for (optimizer, bn), augment, (name, options) in product(under, (True, False), rivals)
        for lr in rates[optimizer]
    ]
    return cells, ("recipe", "ratio", "augment", "optimizer", "bn")


def _networks(embedded: bool, quick: bool) -> Grid:
    """The peak once more, beside the head alone and the head first: for other networks, and their weights."""
    rivals = [("uniform", {}), ("head_only", {}), ("differential", {"ratio": 100.0})]
    if not quick:
        rivals += [("two_rates", {"ratio": 10.0}), ("differential", {"ratio": 10.0}), ("lp_ft", {})]
    rates = (1e-3, 1e-2) if quick else FINE_RATES
    size = 40 if quick else 100 if embedded else 500
    cells = [
        Cell(name, {**_options(name, lr), **options}, size, _epochs(quick), augment=False)
        for (name, options), lr in product(rivals, rates)
    ]
    return cells, ("recipe", "ratio")


def _text(embedded: bool, quick: bool) -> Grid:
    """Uniform rates against layer decay and gradual unfreezing, on a transformer that read much before."""
    rates = (1e-3, 3e-3) if quick else TEXT_RATES
    rivals = [("uniform", {}), *(("layer_decay", {"decay": decay}) for decay in (0.75, 0.5))]
    if not quick:
        rivals += [("two_rates", {"ratio": 10.0}), ("gradual", {})]
    # Two epochs of 4,000 questions are 500 steps; six of 300 are 114.
    lengths = {20: 2} if quick else {100: 6, 300: 6, 1000: 6, 4000: 2}
    cells = [
        Cell(name, {**_options(name, lr), **options}, size, epochs, augment=False)
        for (size, epochs), (name, options), lr in product(lengths.items(), rivals, rates)
    ]
    return cells, ("recipe", "decay", "train_size")


def _vit(embedded: bool, quick: bool) -> Grid:
    """A grid of layer decays and base rates on a vision transformer, one split per block."""
    decays = (1.0, 0.65) if quick else (1.0, 0.9, 0.75, 0.65, 0.5)
    rates = (1e-3, 3e-3) if quick else FINE_RATES
    size = 40 if quick else 100 if embedded else 500
    cells = [
        Cell("layer_decay", {"lr": lr, "decay": decay}, size, _epochs(quick))
        for decay, lr in product(decays, rates)
    ]
    return cells, ("decay",)


def _epochs(quick: bool) -> int:
    return 2 if quick else 6


def _size(embedded: bool, quick: bool) -> int:
    return 40 if quick else 300 if embedded else 1000


def _options(name: str, lr: float) -> dict[str, float]:
    """Return the options of a recipe whose largest learning rate is ``lr``."""
    if name == "lp_ft":
        return {"lr": lr, "tune_lr": lr / 10}
    if name == "first_splits":
        return {"lr": lr, "count": 1}
    if name == "wise_ft":
        return {"lr": lr, "alpha": 0.5}  # the authors' where nothing is known
    if name in ("differential", "falling"):
        return {"lr": lr, "ratio": 100.0}
    return {"lr": lr}


STUDIES: dict[str, Callable[[bool, bool], Grid]] = {
    "plateau": _plateau,
    "peak": _peak,
    "recipes": _recipes,
    "which_splits": _which_splits,
    "frozen_bn": _frozen_bn,
    "causes": _causes,
    "networks": _networks,
    "text": _text,
    "vit": _vit,
}
