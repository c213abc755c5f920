"""What is said and drawn of recorded runs: known numbers give known answers."""

import io
import math

import made_up
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from difflr.errors import DifflrError
from difflr.evidence import difference, estimate, grouped, plateau_width, said, verdict
from difflr.evidencefigures import (
    OKABE_ITO,
    describe_heat,
    describe_plateau,
    draw_heat,
    plot_heat,
    plot_plateau,
)
from difflr.outcomefigures import (
    describe_movement,
    describe_recipes,
    describe_which_splits,
    plot_movement,
    plot_recipes,
    plot_which_splits,
)
from difflr.statistics import Estimate


@pytest.fixture(scope="module")
def plateau(tmp_path_factory):
    """A made-up study of base LR × ratio."""
    return made_up.plateau(tmp_path_factory.mktemp("plateau"))


@pytest.fixture(scope="module")
def shifts(tmp_path_factory):
    """A made-up study of recipes under shifts."""
    return made_up.shifts(tmp_path_factory.mktemp("shifts"))


def flat(*means, seeds=3):
    """Return base LR (a decade apart) to seed to accuracy, the same for all seeds."""
    return {10.0 ** (i - 4): dict.fromkeys(range(seeds), mean) for i, mean in enumerate(means)}


def test_width_of_known_plateaus():
    """Widths in decades, interpolated to where the curve leaves the band of two points."""
    assert plateau_width(flat(0.5, 0.7, 0.7, 0.5)).decades == pytest.approx(1.2)
    peak = plateau_width(flat(0.6, 0.7, 0.6))
    assert peak.decades == pytest.approx(0.4)
    assert not peak.at_edge
    edge = plateau_width(flat(0.7, 0.7, 0.3))
    assert edge.decades == pytest.approx(1.05)
    assert edge.at_edge, "the plateau may go on below the lowest rate tried"
    assert plateau_width(flat(0.7, 0.7, 0.7)).decades == pytest.approx(2)
    assert plateau_width(flat(0.7, 0.3, 0.69), 0.02).decades == pytest.approx(0.05)
    assert plateau_width(flat(0.5, 0.6, 0.5), reference=0.7).decades == 0


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=6), st.floats(0.001, 0.05))
def test_width_grows_with_the_band_and_stays_inside_the_grid(means, within):
    """A wider band never gives a narrower plateau, and none is wider than the rates tried."""
    narrow, wide = (plateau_width(flat(*means), w, resamples=5) for w in (within, 2 * within))
    assert 0 <= narrow.decades <= wide.decades + 1e-12 <= len(means) - 1 + 1e-9
    assert narrow.low == pytest.approx(narrow.high), "seeds that agree leave no doubt"


def test_bootstrap_interval_holds_the_width_and_is_repeatable():
    """Seeds that differ give an interval around the width; the same call gives the same one."""
    numbers = np.random.default_rng(1)
    table = {
        lr: {s: m + 0.01 * numbers.standard_normal() for s in range(5)}
        for lr, m in ((1e-4, 0.6), (1e-3, 0.7), (1e-2, 0.69), (1e-1, 0.5))
    }
    width = plateau_width(table)
    assert width.low < width.decades < width.high
    assert width == plateau_width(table)
    with pytest.raises(DifflrError, match="at least two"):
        plateau_width({1e-3: {0: 0.5}})
    with pytest.raises(DifflrError, match="0 seeds in common"):
        plateau_width({1e-3: {0: 0.5}, 1e-2: {1: 0.5}})


def test_differences_are_paired_by_seed(plateau):
    """Noise that two cells share cancels: the interval of the difference is far narrower."""
    cells = grouped(plateau.where(train_size=40, measured_on="validation"), "base_lr", "ratio")
    best, other = cells[1e-2, 1.0], cells[1e-3, 1.0]
    gap = difference(best, other)
    assert gap.mean == pytest.approx(0.1)
    assert gap.half < 1e-6 < estimate(best).half
    assert difference(best, best).is_tie
    with pytest.raises(DifflrError, match="twice"):
        difference(best + best, other)
    test_runs = plateau.where(train_size=40, measured_on="test", base_lr=1e-3, ratio=1.0)
    with pytest.raises(DifflrError, match="no seed in common"):
        difference(best, test_runs)


def test_a_tie_is_called_a_tie():
    """An interval that holds 0 is a tie; one seed gives no verdict; nothing measured is said so."""
    assert verdict(Estimate(0.004, 0.009)) == "tie (+0.4 points ± 0.9)"
    assert verdict(Estimate(-0.03, 0.01)) == "-3.0 points ± 1.0"
    assert verdict(Estimate(0.03, math.nan)).endswith("no verdict")
    assert said(Estimate(0.661, 0.012)) == "66.1% ± 1.2"
    assert said(estimate([])) == "not measured"


def test_the_heat_map_shows_the_means(plateau):
    """Each number in the picture is the mean of its cell, at its LR and ratio."""
    axes = Figure().add_subplot()
    rates, ratios, means = draw_heat(axes, plateau, 40)
    assert rates == list(made_up.RATES)
    assert ratios == list(made_up.RATIOS)
    shown = {tuple(map(round, text.get_position())): text.get_text() for text in axes.texts}
    for x, lr in enumerate(rates):
        for y, ratio in enumerate(ratios):
            runs = plateau.where(base_lr=lr, ratio=ratio, train_size=40, measured_on="validation")
            mean = 100 * sum(run.accuracy for run in runs) / len(runs)
            assert means[y, x] == pytest.approx(mean)
            assert shown[x, y] == f"{mean:.0f}"
    with pytest.raises(DifflrError, match="no runs"):
        draw_heat(axes, plateau, 77)


def groups(recording):
    """Return two named groups of runs, as ``plot_movement`` takes them."""
    runs = recording.where(train_size=40, measured_on="validation", base_lr=1e-2)
    return {f"ratio {ratio:g}": own for (ratio,), own in grouped(runs, "ratio").items()}


PICTURES = {
    "heat": ("plateau", lambda r: plot_heat(r, 40), lambda r: describe_heat(r, 40)),
    "held": (
        "plateau",
        lambda r: plot_heat(r, 40, "source_accuracy"),
        lambda r: describe_heat(r, 40, "source_accuracy"),
    ),
    "plateau": (
        "plateau",
        lambda r: plot_plateau(r, 80, (1, 100)),
        lambda r: describe_plateau(r, 80, (1, 100)),
    ),
    "recipes": ("shifts", plot_recipes, describe_recipes),
    "which": ("shifts", plot_which_splits, describe_which_splits),
    "movement": (
        "plateau",
        lambda r: plot_movement(r, groups(r)),
        lambda r: describe_movement(r, groups(r)),
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_drawn_without_pyplot_and_said_in_words(name, request):
    """Each picture renders, is not blank, uses type of 10 points or more, and has a text."""
    import sys

    recording, plot, describe = PICTURES[name]
    recording = request.getfixturevalue(recording)
    figure = plot(recording)
    buffer = io.BytesIO()
    figure.savefig(buffer)
    assert len(np.unique(np.asarray(Image.open(buffer).convert("L")))) > 20
    for axes in figure.axes:
        for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
            assert not label.get_text() or label.get_size() >= 11
    text = describe(recording)
    assert len(text) > 60
    assert "nan" not in text
    assert text.endswith(".")
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_texts_hold_the_numbers_of_the_recording(plateau, shifts):
    """Best point, width of the plateau and a recipe's accuracy stand in the words."""
    text = describe_heat(plateau, 40)
    assert "Best: 70.4% ± 1.0 at base LR 0.01" in text
    assert "at least 1.5 decades" in describe_plateau(plateau, 40, (100,))
    assert "only first 60.4%" in describe_which_splits(shifts)
    assert "for 7e+11 flops" in describe_recipes(shifts)


def test_colours_differ_for_everybody():
    """Neighbouring colours differ in lightness or in blue, which colour-blind eyes keep."""
    rgb = [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in OKABE_ITO]
    for i, one in enumerate(rgb):
        for other in rgb[:i]:
            light = [0.3 * r + 0.59 * g + 0.11 * b for r, g, b in (one, other)]
            assert max(abs(light[0] - light[1]), abs(one[2] - other[2])) > 0.08


def test_the_examples_in_the_docstrings_are_true():
    """What the docstrings of the analysis show is what it prints."""
    import doctest

    import difflr.evidence

    failed, tried = doctest.testmod(difflr.evidence)
    assert tried
    assert not failed


def test_the_gallery_draws_every_study(plateau, shifts, tmp_path):
    """One command writes the pictures that suit each study, with a text for each."""
    from dataclasses import replace

    from difflr.gallery import draw_all

    for name, recording, expected in (
        ("plateau", plateau, {"plateau-40.png", "plateau-source-accuracy-80.png"}),
        ("recipes", shifts, {"recipes-flops.png", "recipes-seconds.png"}),
        ("which_splits", shifts, {"which-splits.png"}),
        ("frozen_bn", shifts, {"frozen-bn-noise.png"}),
    ):
        texts = draw_all(replace(recording, study=name), tmp_path / name)
        assert expected <= set(texts)
        assert {file.name for file in (tmp_path / name).iterdir()} == set(texts)
        assert all(len(text) > 50 for text in texts.values())
    (tmp_path / "file").write_text("")
    with pytest.raises(DifflrError, match="--out"):
        draw_all(plateau, tmp_path / "file" / "x")
