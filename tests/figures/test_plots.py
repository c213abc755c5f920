"""The picture of a plan shows the plan's own numbers."""

import io
import math
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from difflr.errors import DifflrError
from difflr.experiments.mistakes import plot_confusion
from difflr.figures.bars import describe_shares, plot_shares
from difflr.figures.logged import plot_logged
from difflr.figures.plan import PlanFigure, plot_plan
from difflr.figures.words import describe_plan, short
from difflr.plan import Phase, Plan
from difflr.recipes import RECIPES, make_plan
from difflr.widgets._livefigure import LiveFigure
from difflr.widgets.explorer import SplitFigure

NAMES = ("stem", "layer1", "layer2", "layer3", "layer4", "head")


@pytest.fixture
def plan():
    """Return a plan of six phases."""
    return make_plan("gradual", 6, 6)


def assert_drawn(figure, plan, steps_per_epoch):
    """Check every point of every line against the plan."""
    for split, line in enumerate(figure.lines):
        x, y = line.get_xdata(), line.get_ydata()
        steps = [round(value * steps_per_epoch) for value in x if not math.isnan(value)]
        assert steps == sorted(set(steps))
        assert {0, plan.epochs * steps_per_epoch - 1} <= set(steps)
        for epoch, lr in zip(x, y, strict=True):
            if not math.isnan(epoch):
                exact = plan.lrs(round(epoch * steps_per_epoch), steps_per_epoch)[split]
                assert lr == exact or (exact == 0 and math.isnan(lr))
    x, y = figure.momentum.get_data()
    if plan.moves_momentum:
        for epoch, momentum in zip(x, y, strict=True):
            if not math.isnan(epoch):
                step = round(epoch * steps_per_epoch)
                exact = plan.at(step, steps_per_epoch).momentum
                assert math.isnan(momentum) if exact is None else momentum == exact


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("steps_per_epoch", [1, 7, 313])
def test_lines_are_the_plans_numbers(name, steps_per_epoch):
    """Every drawn LR and momentum is what the plan says at that step; frozen splits have no line."""
    plan = make_plan(name, 6, 12)
    assert_drawn(PlanFigure(plan, NAMES, steps_per_epoch), plan, steps_per_epoch)


def test_peak_of_each_phase_is_drawn(plan):
    """The highest point of a split's line is its highest LR of all steps."""
    figure = PlanFigure(plan, NAMES, 50)
    every = [plan.lrs(step, 50) for step in range(300)]
    for split, line in enumerate(figure.lines):
        assert np.nanmax(line.get_ydata()) == max(lrs[split] for lrs in every)


def test_update_equals_a_new_figure(plan):
    """A figure that showed other plans before draws the same pixels as a new one."""
    figure = PlanFigure(make_plan("head_only", 6, 3), NAMES)
    figure.png()
    for other in ("uniform", "milestones_2020", "first_splits"):
        figure.update(make_plan(other, 6, 6))
        figure.png()
    figure.update(plan)
    assert_drawn(figure, plan, 50)
    assert figure.png() == PlanFigure(plan, NAMES).png()


def test_kept_background_is_not_seen(plan):
    """After a change of one LR the quick redraw equals a full one, numbers in cells included."""
    quick, full = PlanFigure(plan, NAMES), PlanFigure(plan, NAMES)
    quick.png()
    lrs = (*plan.phases[-1].lrs[:-1], 1.7e-3)
    changed = Plan([*plan.phases[:-1], Phase(0, 1, lrs)])
    quick.update(changed)
    full.update(changed)
    assert quick._layout == quick._background[0], "the quick way was not taken"
    one, two = (np.asarray(Image.open(io.BytesIO(f.png()))).astype(int) for f in (quick, full))
    # Where a cell is drawn over its old self, the rim is a pixel's blend apart.
    assert (abs(one - two).max(axis=2) > 40).sum() < 50


def test_png_changes_with_an_lr_and_with_the_marker(plan):
    """A new LR and the marker of the step change the picture; its size stays."""
    figure = PlanFigure(plan, NAMES)
    first = figure.png()
    figure.mark(120)
    second = figure.png()
    assert figure._cursors[0].get_xdata()[0] == 120 / 50
    figure.mark(None)
    assert figure.png() == first
    assert first != second
    figure.update(make_plan("uniform", 6, 40))
    assert Image.open(io.BytesIO(figure.png())).size == Image.open(io.BytesIO(first)).size


def test_strip_says_what_is_frozen(plan):
    """Each phase and split has one cell: hatched where frozen, with its peak LR where it trains."""
    figure = PlanFigure(plan, NAMES)
    trained = sum(sum(phase.trainable) for phase in plan.phases)
    assert len(figure._trained.get_paths()) == trained
    assert len(figure._frozen.get_paths()) == 36 - trained
    shown = [text.get_text() for text in figure._peaks if text.get_visible()]
    assert shown == [short(lr) for phase in plan.phases for lr in phase.lrs if lr]


@pytest.mark.parametrize("name", ["uniform", "head_only"])
def test_the_note_on_hatching_stands_where_something_is_frozen(name):
    """And nowhere else."""
    figure = plot_plan(make_plan(name, 3, 2), list("abc"))
    notes = [text.get_text() for text in figure.texts]
    assert ("hatched: frozen" in notes) == (name == "head_only")


@pytest.mark.parametrize(
    "draw",
    [
        lambda names: plot_plan(make_plan("uniform", 2, 2), names),
        lambda names: plot_logged({f"lr/{name}": [(0, 1e-3), (1, 1e-4)] for name in names}),
        lambda names: plot_shares(dict.fromkeys(names, 0.5)),
        lambda names: plot_confusion(np.eye(2, dtype=int), names),
        lambda names: SplitFigure(names).figure,
        lambda names: LiveFigure(names, 2).figure,
    ],
)
def test_names_are_no_formulas(draw):
    """A dollar is a dollar: matplotlib would take two of them for TeX, and fail where it is none."""
    names = [r"$\foo$", "$x$"]
    figure = draw(names)
    figure.canvas.draw()
    shown = {text.get_text() for text in figure.findobj(Text) if not text.get_parse_math()}
    assert set(names) <= shown


def test_shares_of_several_runs_are_a_mean_with_a_dot_each():
    """In the picture and in the words beside it; one number is a bar alone."""
    shares = {"none": 0.1, "some": [0.2, 0.4, 0.6]}
    (axes,) = plot_shares(shares).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([10, 40])
    (dots,) = axes.lines
    assert list(dots.get_xdata()) == pytest.approx([20, 40, 60])
    assert [text.get_text() for text in axes.texts] == ["10%", "40%"]
    assert describe_shares(shares) == "none 10%, some 40% (20% to 60%)"


def test_plot_plan_returns_a_figure_that_saves(plan, tmp_path):
    """``plot_plan`` gives a matplotlib figure with title and axes named, outside pyplot."""
    figure = plot_plan(plan)
    figure.savefig(tmp_path / "plan.png")
    assert (tmp_path / "plan.png").stat().st_size > 10_000
    labels = {axes.get_xlabel() for axes in figure.axes} | {a.get_ylabel() for a in figure.axes}
    assert {"epoch", "learning rate", "momentum"} <= labels
    code = (
        "import sys; from difflr.figures.plan import plot_plan; from difflr.recipes import uniform;"
        "plot_plan(uniform(3)); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_description_holds_every_number():
    """The alt text names phases, epochs, peaks and frozen splits, equal neighbours together."""
    plan = Plan([Phase(-1, 1, [0, 0, 1e-3]), Phase(0, 2, [1e-5, 1e-5, 2e-4])])
    text = describe_plan(plan, ["stem", "body", "head"])
    assert "3 epochs in 2 phases for 3 splits" in text
    assert "Phase 1, epoch 1, peaks after 30% of its steps: stem to body frozen, head 1e-3." in text
    assert "Phase 2, epochs 2 to 3" in text
    assert "stem to body 1e-5, head 2e-4" in text
    assert "Momentum is 0.85" in text


def test_wrong_number_of_names(plan):
    """Names that do not fit the plan are an error that gives both numbers."""
    with pytest.raises(DifflrError, match="2 names for a plan of 6 splits"):
        plot_plan(plan, ["a", "b"])
