"""What is said and drawn of recorded runs: known numbers give known answers."""

import io
import math
from dataclasses import replace

import made_up
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from difflr.errors import DifflrError
from difflr.evidence.equal_cost import at_cost, equal_cost
from difflr.evidence.forgetting import describe_forgetting, plot_forgetting
from difflr.evidence.gains import describe_gains, gains, plot_gains
from difflr.evidence.gallery import draw_all
from difflr.evidence.grids import grids
from difflr.evidence.outcomes import (
    describe_movement,
    describe_which_splits,
    plot_movement,
    plot_which_splits,
)
from difflr.evidence.plateau import (
    describe_heat,
    describe_plateau,
    draw_heat,
    plot_heat,
    plot_plateau,
)
from difflr.evidence.quotes import quoted
from difflr.evidence.recipes import describe_recipes, plot_recipes
from difflr.evidence.summaries import (
    by_rate,
    describe_difference,
    difference,
    estimate,
    format_estimate,
    grouped,
    plateau_width,
    when_off,
    when_off_difference,
    width_difference,
)
from difflr.figures.style import OKABE_ITO
from difflr.runs.statistics import Estimate
from difflr.studies.recordings import load_recording


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


def test_a_base_lr_off_the_best_costs_what_it_cost(plateau):
    """Ten times too high or too low is a paired difference to the best; off the grid is refused."""
    runs = plateau.where(train_size=40, measured_on="validation", ratio=1.0)
    for factor in (0.1, 10):
        cost = when_off(runs, factor)  # best at 1e-2, and 0.1 less a decade away
        assert cost.mean == pytest.approx(-0.1)
        assert cost.half < 1e-6
    assert when_off(runs, 1) == Estimate(0.0, 0.0, 3)
    assert when_off(runs, 0.011).mean == pytest.approx(-0.4), "half-decades are written roughly"
    with pytest.raises(DifflrError, match="was not tried"):
        when_off(runs, 100)


def test_widths_and_costs_are_compared_seed_by_seed(plateau):
    """Where seeds differ by their level alone, the differences are those of the means, without spread."""
    ours, rival = (
        plateau.where(measured_on="validation", train_size=40, ratio=ratio)
        for ratio in (100.0, 1.0)
    )
    gap = width_difference(ours, rival, 0.05)
    widths = [plateau_width(by_rate(side), 0.05).decades for side in (ours, rival)]
    assert gap.mean == pytest.approx(widths[0] - widths[1])
    assert gap.half == pytest.approx(0, abs=1e-9)
    cost = when_off_difference(ours, rival, 0.1)
    assert cost.mean == pytest.approx(when_off(ours, 0.1).mean - when_off(rival, 0.1).mean)
    assert str(width_difference(ours, ours)) == "cut off: +0.00 ± 0.00"
    with pytest.raises(DifflrError):
        width_difference(ours, [run for run in rival if run.seed > 7])


@pytest.mark.parametrize(
    ("size", "five", "two", "too_high"),
    [
        (500, (0.62, 0.28), (0.41, 0.62), (0.134, 0.046)),
        (1000, (0.41, 0.13), (0.58, 0.24), (0.006, 0.018)),
        (5000, (0.61, 0.20), (0.27, 0.53), (0.029, 0.026)),
    ],
)
def test_what_is_said_of_the_recorded_plateaus_is_so(size, five, two, too_high):
    """Within five points ratio 100 is wider at every size; too high is cheap at 500 pictures only."""
    sides = [
        load_recording("plateau").where(measured_on="validation", train_size=size, ratio=ratio)
        for ratio in (100.0, 1.0)
    ]
    for within, (mean, half) in ((0.05, five), (0.02, two)):
        gap = width_difference(*sides, within)
        assert (gap.mean, gap.half) == pytest.approx((mean, half), abs=0.006)
    gap = when_off_difference(*sides, 10)
    assert (gap.mean, gap.half) == pytest.approx(too_high, abs=6e-4)


def test_curves_can_be_drawn_over_the_rate_of_any_split(plateau):
    """The same accuracies stand over the base LR, the geometric mean, or the rate of the first split."""
    last, middle, first = plot_plateau(
        plateau, 40, (100,), against=("last", "middle", "first")
    ).axes
    for axes, factor in ((last, 1), (middle, 0.1), (first, 0.01)):
        curve = axes.get_lines()[0]
        assert curve.get_xdata() == pytest.approx([factor * lr for lr in made_up.RATES])
        assert list(curve.get_ydata()) == list(last.get_lines()[0].get_ydata())


def test_forgetting_is_divided_into_what_comes_back_and_what_does_not(plateau):
    """Kept, back with the old statistics and not back are stacked up to the accuracy of before."""
    (axes,) = plot_forgetting(plateau, 40, (1,)).axes
    kept, back, lost = axes.containers
    for i, lr in enumerate(made_up.RATES):
        runs = plateau.where(train_size=40, measured_on="validation", ratio=1.0, base_lr=lr)
        known, old = (estimate(runs, m).mean for m in ("source_accuracy", "source_old_bn"))
        assert kept[i].get_height() == pytest.approx(100 * known)
        assert back[i].get_height() == pytest.approx(100 * (old - known), abs=1e-6)
        assert lost[i].get_y() + lost[i].get_height() == pytest.approx(90)
    assert "before 90%" in describe_forgetting(plateau, 40, (1,))


def test_the_time_is_that_of_the_clock_only_where_a_gpu_worked(shifts, tmp_path):
    """A processor's cost is the time that it computed; a GPU's work shows on the clock alone."""
    on_gpu = replace(shifts, study="recipes", sessions=[{"gpu": "made up"}])
    assert "recipes-seconds.png" in draw_all(on_gpu, tmp_path)


def test_a_difference_is_said_as_far_as_it_is_shown():
    """0 inside is not told apart; shown to be small is a tie; one seed gives no verdict."""
    apart = describe_difference(Estimate(0.004, 0.009))
    assert apart == "not told apart: between -0.5 and +1.3 points"
    assert describe_difference(Estimate(0.001, 0.005)) == "tie (+0.1 points ± 0.5)"
    assert describe_difference(Estimate(-0.03, 0.01)) == "-3.0 points ± 1.0"
    assert describe_difference(Estimate(0.03, math.nan)).endswith("no verdict")
    assert format_estimate(Estimate(0.661, 0.012)) == "66.1% ± 1.2"
    assert format_estimate(estimate([])) == "not measured"


def test_the_heat_map_shows_the_means(plateau):
    """Each number in the picture is the mean of its cell, at its LR and ratio."""
    axes = Figure().add_subplot()
    grid = next(iter(grids(plateau)[1].values()))
    rates, ratios, means = draw_heat(axes, grid)
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
        plot_heat(plateau, 77)


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
    "two axes": (
        "plateau",
        lambda r: plot_plateau(r, 80, (0.1, 1, 100), against=("last", "middle")),
        lambda r: describe_plateau(r, 80, (0.1, 1, 100)),
    ),
    "forgetting": (
        "plateau",
        lambda r: plot_forgetting(r, 40, (1, 100)),
        lambda r: describe_forgetting(r, 40, (1, 100)),
    ),
    "recipes": ("shifts", plot_recipes, describe_recipes),
    "recipes by time": (
        "shifts",
        lambda r: plot_recipes(r, "cpu_seconds"),
        lambda r: describe_recipes(r, "cpu_seconds"),
    ),
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
    assert "training FLOPs" in describe_recipes(shifts)
    assert "head_only, 2 epochs: 67.7% ± 0.4 for 7e+11" in describe_recipes(shifts)


def rivalled(recording):
    """Return the recording with the falling recipe's runs as those of another package."""
    others = [
        replace(run, plan=None, flops=None, cell=replace(run.cell, recipe="fastai.fine_tune"))
        for run in recording.where(recipe="falling")
    ]
    own = [run for run in recording.runs if run.cell.recipe != "falling"]
    return replace(recording, study="recipes", runs=(*own, *others))


def test_other_packages_have_a_panel_of_their_own(shifts):
    """Their runs stand beside difflr's by processor seconds, and are left out by FLOPs, which they lack."""
    recording = rivalled(shifts)
    left, right = plot_recipes(recording, "cpu_seconds").axes
    marks = {
        each.get_label(): each.lines[0].get_marker()
        for axes in (left, right)
        for each in axes.containers
    }
    assert marks["uniform"] == marks["difflr's uniform"] != marks["difflr's differential"]
    words = describe_recipes(recording, "cpu_seconds")
    assert "By other packages: fastai.fine_tune, 2 epochs:" in words
    assert len(plot_recipes(recording, "flops").axes) == 1
    assert "fastai" not in describe_recipes(recording, "flops")


def at_lengths(shifts, recipe, accuracies):
    """Return test runs of a recipe at 2 and 4 epochs with these accuracies for seed 0 and 1."""
    runs = shifts.where(recipe=recipe, shift="none", measured_on="test")
    return [
        replace(run, seed=seed, accuracy=accuracies[epochs][seed], cpu_seconds=cost)
        for epochs, cost in ((2, 4.0), (4, 16.0))
        for seed in (0, 1)
        for run in [next(run for run in runs if run.cell.epochs == epochs)]
    ]


def test_accuracy_at_equal_cost_is_read_between_the_lengths(shifts):
    """Halfway in the logarithm of the cost is halfway in accuracy, seed by seed; then it is paired."""
    runs = at_lengths(shifts, "uniform", {2: (0.5, 0.6), 4: (0.6, 0.8)})
    assert at_cost(runs, 8.0) == pytest.approx({0: 0.55, 1: 0.7})
    assert at_cost(runs, 4.0) == {0: 0.5, 1: 0.6}
    assert at_cost(runs, 16.0) == {0: 0.6, 1: 0.8}
    rival = at_lengths(shifts, "falling", {2: (0.5, 0.5), 4: (0.5, 0.6)})
    rival = [replace(run, cpu_seconds=8.0) for run in rival if run.cell.epochs == 2]
    value = equal_cost(runs, rival)
    assert value.mean == pytest.approx((0.05 + 0.2) / 2)
    assert value.half == pytest.approx(12.706 * 0.075, rel=1e-3)


def test_a_budget_beyond_the_longest_runs_buys_nothing_more(shifts):
    """What a recipe could do with compute that it was not given is not guessed."""
    runs = at_lengths(shifts, "uniform", {2: (0.5, 0.6), 4: (0.6, 0.8)})
    assert at_cost(runs, 1000.0) == {0: 0.6, 1: 0.8}


def test_a_budget_below_the_shortest_runs_is_refused(shifts):
    """The error names both; so does that for an unknown cost and for seeds that do not meet."""
    runs = at_lengths(shifts, "uniform", {2: (0.5, 0.6), 4: (0.6, 0.8)})
    with pytest.raises(DifflrError, match="cost 4, the budget is 3"):
        at_cost(runs, 3.0)
    with pytest.raises(DifflrError, match="cpu_seconds"):
        at_cost(runs, 8.0, "money")
    with pytest.raises(DifflrError, match="no seed in common"):
        equal_cost(runs, [replace(run, seed=7) for run in runs[:1]])


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

    import difflr.runs.statistics

    failed, tried = doctest.testmod(difflr.runs.statistics, optionflags=doctest.ELLIPSIS)
    assert tried
    assert not failed


def at_six_epochs(name):
    """Return the part of a recording with 500 pictures and six epochs, not augmented."""
    whole = load_recording(name)
    return replace(whole, runs=whole.where(train_size=500, epochs=6, augment=False))


def test_gains_are_those_of_the_tables(tmp_path):
    """A dot where the table says, in the order of the argument, and the same in words."""
    peak = at_six_epochs("peak")
    found = gains(peak)[""][""]
    recipes = ("two_rates", "differential ratio=10", "differential ratio=100")
    assert [*found] == ["head ×10, body even", "graded, ratio 10", "graded, ratio 100"]
    for label, tags in zip(found, recipes, strict=True):
        at = "train_size=500 epochs=6 augment=False"
        quote = quoted(f"peak tuned {at} recipe={tags} vs {at} recipe=uniform", verdict=False)
        assert format_estimate(found[label], unit="", sign=True) == quote
    axes = plot_gains(gains(peak)).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [*found]
    (dots,) = (container[0].get_xydata() for container in axes.containers)
    assert [tuple(dot) for dot in dots] == [(100 * g.mean, i) for i, g in enumerate(found.values())]
    assert "head ×10, body even tie (+0.4 points ± 0.5)" in describe_gains(gains(peak))
    assert "peak-gains.png" in draw_all(peak, tmp_path)


def test_gains_stand_under_their_conditions_and_at_the_best_rate():
    """A panel per optimizer; a rate reported before a better one was found does not count."""
    peak = at_six_epochs("peak")
    sgd = [replace(run, cell=replace(run.cell, optimizer="SGD")) for run in peak.runs]
    uniform = [run for run in sgd if run.cell.recipe == "uniform"]
    early = [
        replace(run, cell=replace(run.cell, options={"lr": 1e-3}), accuracy=0.1)
        for run in uniform
        if run.measured_on == "test"
    ]
    both = gains(replace(peak, runs=[*peak.runs, *sgd, *early]))
    assert [*both] == ["AdamW", "SGD"]
    assert both["AdamW"] == both["SGD"] == gains(peak)[""]
    without = [run for run in sgd if run.cell.recipe != "uniform"]
    assert [*gains(replace(peak, runs=[*peak.runs, *without]))] == ["AdamW"]
    assert len(plot_gains(both).axes) == 2


def test_augmented_runs_stand_beside_the_others():
    """One panel, a line per recipe, two colours with their names, and both in words."""
    peak = load_recording("peak")
    peak = replace(peak, runs=peak.where(train_size=500, epochs=3))
    ((without, augmented),) = (found.values() for found in gains(peak).values())
    figure = plot_gains(gains(peak))
    (axes,) = figure.axes
    for container, own, shift in zip(axes.containers, (without, augmented), (-1, 1), strict=True):
        at = [(100 * g.mean, i + 0.13 * shift) for i, g in enumerate(own.values())]
        assert np.allclose(container[0].get_xydata(), at)
    key = [text.get_text() for text in figure.legends[0].get_texts()]
    assert key == ["not augmented", "augmented"] == [*gains(peak)[""]]
    words = describe_gains(gains(peak))
    assert "; augmented: head ×10, body even +2.0 points ± 0.8" in words


def test_many_panels_stand_in_lines():
    """Three at most beside each other, every one with its numbers below and every line with its names."""
    found = gains(at_six_epochs("peak"))[""]
    figure = plot_gains({str(i): found for i in range(5)})
    figure.draw_without_rendering()
    places = [axes.get_position() for axes in figure.axes]
    assert [axes.get_title() for axes in figure.axes] == ["0", "1", "2", "3", "4"]
    assert len({round(place.y0, 3) for place in places}) == 2
    assert len({round(place.x0, 3) for place in places}) == 3
    for axes in figure.axes:
        assert any(label.get_visible() and label.get_text() for label in axes.get_xticklabels())
    assert [tick.get_text() for tick in figure.axes[3].get_yticklabels()] == [*found[""]]


def test_the_gallery_draws_every_study(plateau, shifts, tmp_path):
    """One command writes the pictures that suit each study, with a text for each."""
    for name, recording, expected in (
        (
            "plateau",
            plateau,
            {"plateau-40.png", "plateau-source-accuracy-80.png", "forgetting-40.png"},
        ),
        ("recipes", shifts, {"recipes-flops.png", "recipes-cpu-seconds.png"}),
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


def test_movement_is_drawn_for_each_condition_and_rate_alone(tmp_path):
    """No line is the mean over decays, base LRs, optimizers or sizes, and its name says of what it is."""
    vit = load_recording("vit")
    text = draw_all(replace(vit, runs=vit.where(measured_on="test")), tmp_path)["vit-movement.png"]
    assert text.startswith("500 training pictures: base LR 1e-2, decay 0.5: weights moved by stem ")
    assert text.count("weights moved by") == len(
        {run.cell.key for run in vit.where(measured_on="test")}
    )
    sgd = [replace(run, cell=replace(run.cell, optimizer="SGD")) for run in vit.runs[:1]]
    texts = draw_all(replace(vit, runs=[*vit.runs[:1], *sgd]), tmp_path)
    moved = {name for name in texts if "movement" in name}
    assert moved == {f"vit-movement-500-training-pictures-{x}.png" for x in ("AdamW", "SGD")}


def test_groups_of_bars_stand_in_the_order_of_the_argument(shifts):
    """New labels come first, then the input shifts; first and last splits stand side by side."""
    axes = plot_which_splits(shifts).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["new labels", "noise"]
    bars = [bars.get_label() for bars in axes.containers if hasattr(bars, "patches")]
    assert bars == ["only first", "only last", "rising", "uniform", "falling"]
    text = describe_which_splits(shifts)
    assert text.index("new labels") < text.index("noise")
