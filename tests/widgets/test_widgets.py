"""The widgets' state: what Python sets and presses is what the plan, the texts and the lines say."""

import html
import io
import math
import os
import re
from types import SimpleNamespace

import ipywidgets
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from which_lightning import pl

from difflr.errors import DifflrError
from difflr.figures.words import describe_plan, short
from difflr.freezing import freeze_to
from difflr.groups import param_groups
from difflr.lightning.module import ParametersSplitsModule
from difflr.milestones import MILESTONES_2020, from_milestones, to_milestones
from difflr.plan import Phase, Plan
from difflr.rangetest.finder import RangeTest
from difflr.rangetest.gradients import suggest_lrs
from difflr.rates import Ratio, Ulmfit, expand_lrs
from difflr.recipes import RECIPES, make_plan
from difflr.schedule import PlanScheduler
from difflr.splits import split_model
from difflr.widgets import LiveView, PlanEditor, RangePanel, SplitExplorer
from difflr.widgets._draft import SHAPES, plan_code
from difflr.widgets._livefigure import LiveFigure

NAMES = ("stem", "layer1", "layer2", "layer3", "layer4", "head")


def network():
    """Three small splits with BatchNorm, the same at every call."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten()),
        nn.Linear(64, 3),
    )


@pytest.fixture
def splits():
    """Return the splits of a small network."""
    model = network()
    return split_model(model, {"stem": "0", "body": "1", "head": "2"})


@pytest.fixture
def editor():
    """Return an editor that shows the milestones of 2020."""
    return PlanEditor(NAMES, from_milestones(MILESTONES_2020))


def drawn_equals_scheduler(editor):
    """Check the lines' numbers against what the scheduler writes into an optimizer."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))]} for _ in editor.names]
    optimizer = torch.optim.SGD(groups, lr=1.0, momentum=0.9)
    steps = editor.figure.steps_per_epoch
    scheduler = PlanScheduler(optimizer, editor.plan, steps)
    written = []
    for _ in range(scheduler.total_steps):
        written.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    for split, line in enumerate(editor.figure.lines):
        for x, y in zip(*line.get_data(), strict=True):
            if not math.isnan(x):
                lr = written[round(x * steps)][split]
                assert y == lr or (lr == 0 and math.isnan(y))


def test_a_slider_changes_plan_lines_texts_and_picture(editor):
    """Setting a slider's value changes the plan, the drawn numbers, the box, the texts, the picture."""
    before = editor.picture.value
    editor.selected = 5
    editor.controls.rows[5].slider.value = 2e-3
    assert editor.plan.phases[5].lrs == (1e-6,) * 5 + (2e-3,)
    assert editor.plan.phases[:5] == from_milestones(MILESTONES_2020).phases[:5]
    assert editor.controls.rows[5].box.value == "2e-3"
    assert editor.picture.value != before
    assert "0.002" in editor.code.value
    assert "0.002" in editor.milestones.value
    assert editor.alt == describe_plan(editor.plan, NAMES)
    assert editor.alt in editor.words.value
    drawn_equals_scheduler(editor)


def controls_of(editor):
    """Yield every control of the editor that has a value."""
    controls = editor.controls
    yield from (controls.freeze_to, controls.epochs, controls.moves, controls.rise)
    yield from (controls.shape, controls.base, controls.ratio)
    for row in controls.rows:
        yield from row


def echo(control):
    """Report a control's state as a browser does that was told it: floats one step off."""
    value = "index" if hasattr(control, "index") else "value"
    shown = getattr(control, value)
    if isinstance(shown, float):
        shown = math.nextafter(shown, math.inf)
    control.set_state({value: shown})


def shown_is_the_plan(editor):
    """Check what the controls show against the plan that the next cell trains with."""
    phase, controls = editor.plan.phases[editor.selected], editor.controls
    assert controls.epochs.value == str(phase.epochs)
    assert controls.freeze_to.value == phase.trained[0]
    assert controls.rise.value == pytest.approx(phase.pct_start, abs=0.005)
    for row, lr, trains in zip(controls.rows, phase.lrs, phase.trainable, strict=True):
        assert row.trains.value == trains
        assert row.box.value == (short(lr) if trains else "frozen")
        assert row.box.disabled == row.slider.disabled == (not trains)
        if trains:  # a notch is a twentieth of a decade
            assert abs(math.log10(row.slider.value / lr)) <= 0.03
    if controls.shape.value in SHAPES:
        lrs = SHAPES[controls.shape.value](controls.base.value, controls.ratio.value, 6)
        wished = [lr for lr, trains in zip(lrs, phase.trainable, strict=True) if trains]
        assert [lr for lr in phase.lrs if lr] == pytest.approx(wished, rel=0.005)


def test_what_a_browser_reports_back_changes_nothing(editor):
    """A browser that reports what it was told leaves the plan, undo, and every control as they are."""
    for index in range(6):
        editor.selected = index
        before = editor.plan, editor.undo.disabled
        for control in controls_of(editor):
            echo(control)
        assert (editor.plan, editor.undo.disabled) == before
        shown_is_the_plan(editor)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_stays_until_a_rate_is_set_by_hand(editor, shape):
    """Largest LR and ratio can be dragged on and on: what is shown is what the plan holds."""
    editor.selected = 5
    controls = editor.controls
    controls.shape.value = shape
    controls.base.value = 1e-3
    for i in range(10):
        for slider in (controls.base, controls.ratio):
            slider.set_state({"index": slider.index + (1 if i < 6 else -2)})
            for control in controls_of(editor):
                echo(control)
            assert controls.shape.value == shape
            shown_is_the_plan(editor)
    controls.epochs.value = "3"
    editor.selected = 0
    assert controls.shape.value == "by hand"
    editor.selected = 5
    assert controls.shape.value == shape, "each phase remembers its own"
    controls.rows[2].box.value = "7e-4"
    assert controls.shape.value == "by hand"
    shown_is_the_plan(editor)
    editor.undo.click()
    assert controls.shape.value == shape
    shown_is_the_plan(editor)


@pytest.mark.parametrize("name", RECIPES)
def test_a_plan_set_from_code_moves_the_controls(editor, name):
    """``editor.plan = …`` is kept as it is, shown, drawn, and equal after a round trip as Python."""
    plan = make_plan(name, 6, 8)
    editor.plan = plan
    assert editor.plan == plan
    assert len(editor.phases.options) == len(plan.phases)
    for index, phase in enumerate(plan.phases):
        editor.selected = index
        assert editor.controls.epochs.value == str(phase.epochs)
        assert editor.controls.freeze_to.value == phase.freeze_to % 6
        rise = phase.shape.warmup if phase.shape else phase.pct_start
        assert editor.controls.rise.value == pytest.approx(rise)
        for row, lr, trains in zip(editor.controls.rows, phase.lrs, phase.trainable, strict=True):
            assert row.trains.value == trains
            assert row.box.disabled == (not trains and not plan.train_bn)
            assert row.box.value == (short(lr) if trains or plan.train_bn else "frozen")
    assert editor.plan == plan, "looking at a plan must not change it"
    scope = {}
    exec(editor.code.value, scope)
    assert scope["plan"] == plan
    if all(phase.shape is None for phase in plan.phases):
        exec(editor.milestones.value, scope)
        assert scope["milestones"] == to_milestones(plan)
    else:
        assert "one cycle per phase" in editor.milestones.value
    shape = plan.phases[-1].shape
    assert editor.controls.moves.value == (shape.kind if shape else "one cycle")
    drawn_equals_scheduler(editor)


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "steps"])
def test_how_the_rates_move_can_be_chosen(editor, kind):
    """Each shape with its warm-up ends in the plan, the Python and the curves; one undo goes back."""
    editor.selected = 5
    first = editor.plan
    editor.controls.moves.value = kind
    phase = editor.plan.phases[5]
    assert (phase.shape.kind, phase.shape.warmup) == (kind, 0.1)
    assert (phase.lrs, editor.plan.phases[:5]) == (first.phases[5].lrs, first.phases[:5])
    assert editor.controls.rise.value == 0.1
    drawn_equals_scheduler(editor)
    editor.undo.click()
    assert editor.plan == first
    editor.controls.moves.value = kind
    editor.controls.rise.value = 0.4
    assert editor.plan.phases[5].shape.warmup == 0.4
    scope = {}
    exec(editor.code.value, scope)
    assert scope["plan"] == editor.plan
    editor.controls.moves.value = "one cycle"
    assert editor.plan == first


def test_phases_that_continue_one_another_change_their_shape_together():
    """Choosing another one in either of them keeps the plan valid and the one run through both."""
    run = [
        Phase(-1, 2, [0, 1e-3], shape="cosine"),
        Phase(0, 2, [1e-4, 1e-3], shape="cosine", continues=True),
    ]
    editor = PlanEditor(["body", "head"], Plan([*run, Phase(0, 1, [1e-4, 1e-3])]))
    editor.selected = 1
    editor.controls.moves.value = "linear"
    editor.controls.rise.value = 0.2
    assert "Not used" not in editor.message.value
    shapes = [phase.shape for phase in editor.plan.phases]
    assert [(shape.kind, shape.warmup) for shape in shapes[:2]] == [("linear", 0.2)] * 2
    assert shapes[2] is None
    assert editor.plan.phases[1].continues


def place(editor, epoch, lr):
    """Return the place in the picture of a learning rate at an epoch, as a pointer reports it."""
    wide, tall = editor.figure.size
    x, y = editor.figure.lines[0].axes.transData.transform((epoch, lr))
    return x / wide, 1 - y / tall


def drag(editor, number, begin, *stops):
    """Drag on the picture from one (epoch, LR) over others."""
    x0, y0 = place(editor, *begin)
    for x, y in [place(editor, *stop) for stop in (begin, *stops)]:
        editor.picture.pointed = {"drag": number, "x0": x0, "y0": y0, "x": x, "y": y}


def test_a_curve_can_be_dragged(editor):
    """The curve under the pointer follows it, by the same factor; the drag is one change for undo."""
    first = editor.plan
    peak = first.phases[1].lrs[5]
    drag(editor, 1, (1.3, peak), (1.3, 2 * peak), (1.4, 10 * peak))
    assert editor.selected == 1
    assert editor.plan.phases[1].lrs[:5] == first.phases[1].lrs[:5]
    assert editor.plan.phases[1].lrs[5] == pytest.approx(10 * peak, rel=0.01)
    assert editor.controls.rows[5].box.value == short(editor.plan.phases[1].lrs[5])
    shown_is_the_plan(editor)
    editor.undo.click()
    assert editor.plan == first
    drag(editor, 2, (1.3, peak), (1.3, 1e9))
    assert editor.plan.phases[1].lrs[5] == 1.0, "not further than the slider goes"


def test_a_click_on_the_picture_chooses_a_phase(editor):
    """And changes nothing; beside the axes it does nothing at all."""
    first = editor.plan
    for index in (4, 0, 5):
        drag(editor, index, (index + 0.5, 1e-3))
        assert editor.selected == index
    drag(editor, 9, (-1, 1e-3), (-1, 1e-2))
    assert (editor.selected, editor.plan) == (5, first)


def test_the_border_between_phases_can_be_dragged():
    """Epochs go from one phase to its neighbour, which keeps one at least."""
    editor = PlanEditor(NAMES, make_plan("gradual", 6, 12))
    first = editor.plan
    border = first.starts[1]
    drag(editor, 1, (border, 1e-3), (border + 1, 1e-3))
    assert [phase.epochs for phase in editor.plan.phases] == [3, 1, 2, 2, 2, 2]
    assert editor.plan.epochs == 12
    drawn_equals_scheduler(editor)
    editor.undo.click()
    assert editor.plan == first
    drag(editor, 2, (border, 1e-3), (0, 1e-3))
    assert [phase.epochs for phase in editor.plan.phases] == [1, 3, 2, 2, 2, 2]


def test_the_milestones_of_2020_come_back_unchanged(editor):
    """The dictionary that the editor shows for the 2020 recipe is that recipe's own."""
    scope = {}
    exec(editor.milestones.value, scope)
    assert scope["milestones"] == MILESTONES_2020


def test_phase_controls(editor):
    """freeze_to by name, epochs and pct_start end in the plan; a thawed split has a rate to use."""
    editor.selected = 0
    editor.controls.freeze_to.value = NAMES.index("layer4")
    editor.controls.epochs.value = "3"
    editor.controls.rise.value = 0.5
    assert editor.plan.phases[0] == Phase(-2, 3, [0, 0, 0, 0, 1e-3, 1e-3], pct_start=0.5)
    assert editor.plan.epochs == 8
    drawn_equals_scheduler(editor)


def test_a_frozen_split_remembers_its_rate(editor):
    """Freezing and thawing a split brings back the LR that it had."""
    editor.selected = 5
    editor.controls.rows[0].box.value = "3e-5"
    editor.controls.freeze_to.value = 2
    assert editor.plan.phases[5].lrs[:2] == (0.0, 0.0)
    editor.controls.freeze_to.value = 0
    assert editor.plan.phases[5].lrs[0] == 3e-5


def test_single_splits_can_be_frozen(editor):
    """Unticking deep splits makes a plan that trains the first ones only."""
    editor.plan = make_plan("uniform", 6, 4, lr=1e-3)
    for row in editor.controls.rows[1:]:
        row.trains.value = False
    assert editor.plan.phases[0].trainable == (True,) + (False,) * 5
    assert editor.plan == make_plan("first_splits", 6, 4)
    editor.controls.rows[0].trains.value = False
    assert "Not used" in editor.message.value
    assert editor.controls.rows[0].trains.value, "the box shows what holds"
    assert editor.plan == make_plan("first_splits", 6, 4)


def test_train_from_says_what_trains_first(editor):
    """Unticking the first splits moves it, ticking one moves it back, and choosing one trains it."""
    editor.plan = make_plan("uniform", 6, 4, lr=1e-3)
    controls = editor.controls
    for row in controls.rows[:3]:
        row.trains.value = False
    assert editor.plan.phases[0].trainable == (False,) * 3 + (True,) * 3
    assert controls.freeze_to.value == 3
    assert "trains <b>only layer3 to head</b>; tick more" in editor.now.value
    controls.rows[1].trains.value = True
    assert editor.plan.phases[0].trainable == (False, True, False, True, True, True)
    assert controls.freeze_to.value == 1
    controls.freeze_to.value = 2
    assert editor.plan.phases[0].trainable == (False,) * 2 + (True,) * 4
    shown_is_the_plan(editor)


def test_a_phase_with_frozen_rows_says_so(editor):
    """The first phase of a gradual plan names what trains and what does not; no dead row is left."""
    editor.plan = make_plan("gradual", 6, 6)
    assert "epoch 1, trains <b>only head</b>; tick more to train them." in editor.now.value
    assert not any(row.trains.disabled for row in editor.controls.rows)
    assert [row.slider.layout.visibility for row in editor.controls.rows] == ["hidden"] * 5 + [
        "visible"
    ]
    editor.selected = 5
    assert "trains <b>all splits</b>." in editor.now.value


def test_only_good_news_bears_a_tick(editor, splits):
    """Neutral states are neither good nor bad."""
    assert "✓ Valid plan: 6 phases" in editor.message.value
    editor.undo.click()
    editor.plan = make_plan("uniform", 6)
    panel = RangePanel(PlanEditor(splits, input_shape=None), splits, None, [])
    for message in (editor.message, panel.message, SplitExplorer(splits, None, None).message):
        assert "✓" not in message.value
        assert "✗" not in message.value


def test_one_phase_has_a_name_on_its_button_too():
    """The button says "Phase 1" from the beginning, and after a second one came and went."""
    editor = PlanEditor(NAMES, make_plan("uniform", 6, 4))
    assert editor.phases.options == ("Phase 1",)
    editor.add.click()
    assert editor.phases.options == ("Phase 1", "Phase 2")
    editor.remove.click()
    assert editor.phases.options == ("Phase 1",)


def test_the_largest_lr_is_that_of_the_phase(editor):
    """By hand its slider is hidden and follows the rates; a shape starts from there, on a notch."""
    controls = editor.controls
    for index in (0, 5):
        editor.selected = index
        assert controls.base.value == max(editor.plan.phases[index].lrs)
        assert controls.base.layout.visibility == "hidden"
    controls.rows[2].box.value = "3e-3"
    assert controls.base.disabled
    controls.shape.value = "uniform"
    assert controls.base.value == 3.16e-3
    assert not controls.base.disabled
    assert controls.base.layout.visibility == "visible"
    assert editor.plan.phases[5].lrs == (3.16e-3,) * 6
    editor.undo.click()
    assert controls.base.disabled
    assert controls.rows[2].box.value == "3e-3"


def test_choosing_a_shape_is_one_change():
    """It puts the largest rate on a notch and sets all splits: one undo takes both back."""
    first = make_plan("uniform", 6, 4, lr=3e-3)  # between two notches
    editor = PlanEditor(NAMES, first)
    editor.controls.shape.value = "geometric"
    assert editor.plan.phases[0].lrs[-1] == 3.16e-3
    editor.undo.click()
    assert editor.plan == first
    assert editor.undo.disabled


def test_shapes_set_all_splits(editor):
    """The one control for all splits: uniform, geometric, ULMFiT, falling, from base LR and ratio."""
    editor.selected = 5
    controls = editor.controls
    controls.shape.value = "uniform"
    controls.base.value = 1e-2
    assert editor.plan.phases[5].lrs == (1e-2,) * 6
    controls.shape.value = "geometric"
    controls.ratio.value = 10.0
    rising = expand_lrs(Ratio(1e-2, 10), 6)
    assert editor.plan.phases[5].lrs == pytest.approx(rising, rel=0.005)
    controls.shape.value = "falling with depth"
    assert editor.plan.phases[5].lrs == pytest.approx(rising[::-1], rel=0.005)
    controls.shape.value = "ULMFiT 2.6"
    assert editor.plan.phases[5].lrs == pytest.approx(expand_lrs(Ulmfit(1e-2), 6), rel=0.005)
    assert controls.ratio.disabled
    controls.rows[0].box.value = "1.5e-5"
    assert controls.shape.value == "by hand"
    assert editor.plan.phases[5].lrs[0] == 1.5e-5


def test_phases_are_added_removed_and_reordered(editor):
    """The buttons do to the plan what they say, and are off where they would do nothing."""
    first, second, *rest = from_milestones(MILESTONES_2020).phases
    assert editor.earlier.disabled
    editor.add.click()
    added = editor.plan.phases[1]
    assert editor.plan.phases == (first, added, second, *rest)
    assert editor.selected == 1
    editor.later.click()
    assert editor.plan.phases == (first, second, added, *rest)
    assert editor.selected == 2
    editor.earlier.click()
    editor.remove.click()
    assert editor.plan.phases == (first, second, *rest)
    for _ in range(5):
        editor.remove.click()
    assert len(editor.plan.phases) == 1
    assert editor.remove.disabled
    editor.remove.click()
    assert "Not used" in editor.message.value


def test_an_added_phase_goes_on_from_the_one_before(editor):
    """It trains one split more; where all train already, all at half the rates. So order matters."""
    first = editor.plan.phases[0]
    editor.add.click()
    added = editor.plan.phases[1]
    assert (first.trained, added.trained) == ((5,), (4, 5))
    assert added.lrs[5] == first.lrs[5]
    editor.plan = make_plan("differential", 6, 4)
    editor.add.click()
    whole, half = editor.plan.phases
    assert half.trained == whole.trained
    assert half.lrs == pytest.approx([lr / 2 for lr in whole.lrs], rel=0.005)
    before = editor.png
    editor.earlier.click()
    assert editor.plan.phases == (half, whole)
    assert editor.png != before


def test_undo_and_reset(editor, monkeypatch):
    """Undo takes changes back one by one, a drag as one; reset goes to the first plan and is undone too."""
    clock = SimpleNamespace(monotonic=lambda: 0.0)  # so that a slow machine's drag is one, too
    monkeypatch.setattr("difflr.widgets.editor.time", clock)
    first = editor.plan
    editor.selected = 5
    assert editor.undo.disabled
    for lr in (1e-5, 1e-4, 1e-3):  # one drag
        editor.controls.rows[5].slider.value = lr
    editor.controls.epochs.value = "4"
    editor.undo.click()
    assert editor.plan.phases[5].epochs == 1
    assert editor.plan.phases[5].lrs[5] == 1e-3
    editor.undo.click()
    assert editor.plan == first
    assert editor.undo.disabled
    editor.add.click()
    changed = editor.plan
    editor.reset.click()
    assert editor.plan == first
    editor.undo.click()
    assert editor.plan == changed


@pytest.mark.parametrize(
    "bad",
    ["0", "-1", "-1e-400", "nan", "inf", "1,5", "abc", "1e", "", "1_5", "1e999", "1e-3x", "0x1"],
)
def test_bad_numbers_are_explained_in_place(editor, bad):
    """What is no learning rate is said to be none, with what to write; the box shows what holds."""
    plan, picture = editor.plan, editor.picture.value
    editor.selected = 5
    box = editor.controls.rows[2].box
    held = box.value
    box.set_state({"value": bad})
    assert "Not used" in editor.message.value
    assert "✓" not in editor.message.value
    assert box.value == held
    assert editor.plan == plan
    assert editor.picture.value == picture
    box.set_state({"value": "0.1e-4"})
    assert box.value == "1e-5"
    assert "Not used" not in editor.message.value
    assert editor.plan.phases[5].lrs[2] == 1e-5


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("1e-400", "too small"),
        ("5e-324", "too small"),  # a float, yet nothing that weights or a logarithmic picture hold
        ("1e-39", "too small"),
        ("1e39", "too large"),
        ("1e999", "too large"),
        ("0e5", "a number above 0"),
    ],
)
def test_what_float32_cannot_hold_is_said_to_be_too_small_or_too_large(editor, typed, said):
    """Rather than to be no number above 0, or an error in the picture that nobody sees."""
    plan = editor.plan
    editor.selected = 5
    editor.controls.rows[2].box.set_state({"value": typed})
    assert said in editor.message.value
    assert f"Received a learning rate of {typed}" in editor.message.value
    assert editor.plan == plan


@pytest.mark.parametrize("typed", ["2.5", "1e3", "-5", "0", "1001", "three", "", "3,0", "99999"])
def test_what_is_no_number_of_epochs_is_refused(editor, typed):
    """It is neither rounded nor shortened to one: plan and box stay, and the message says why."""
    plan, box = editor.plan, editor.controls.epochs
    box.set_state({"value": typed})
    assert f"Received {typed!r}" in html.unescape(editor.message.value)
    assert (editor.plan, box.value) == (plan, "1")
    box.set_state({"value": " 12 "})
    assert (editor.plan.phases[0].epochs, box.value) == (12, "12")
    assert "Not used" not in editor.message.value


def test_plan_of_another_model_is_refused(editor):
    """A plan for another number of splits raises and changes nothing."""
    plan = editor.plan
    with pytest.raises(DifflrError, match="4 learning rates"):
        editor.plan = make_plan("uniform", 4)
    assert editor.plan == plan
    with pytest.raises(DifflrError):
        PlanEditor(NAMES, make_plan("uniform", 4))


@pytest.mark.parametrize("wrong", ["gradual", MILESTONES_2020, {}, 3])
def test_what_is_no_plan_is_refused(editor, wrong):
    """The name of a recipe or a milestones dictionary: what was expected is said, and what makes one."""
    with pytest.raises(DifflrError, match=r"expected a plan.*make_plan"):
        PlanEditor(NAMES, wrong)
    with pytest.raises(DifflrError, match=r"expected a plan.*make_plan"):
        editor.plan = wrong
    assert editor.plan == from_milestones(MILESTONES_2020)


@pytest.mark.parametrize("wrong", [[1, 2], "stem", [None], [torch.zeros(2)]])
def test_what_are_no_splits_is_refused(wrong):
    """Neither names, nor a model, nor its splits: what was received is said, and what makes some."""
    with pytest.raises(DifflrError, match=r"expected a model.*split_model"):
        PlanEditor(wrong)


@pytest.mark.parametrize("wrong", [[1e-3], [1e-3] * 9, [math.nan] * 6, ["a"] * 6])
def test_rates_that_fit_no_splits_are_refused(editor, wrong):
    """From code: too few, too many, or no rates at all; the plan is as it was."""
    with pytest.raises(DifflrError) as error:
        editor.set_lrs(wrong)
    assert error.value.remedy
    assert editor.plan == from_milestones(MILESTONES_2020)


def test_parameters_and_cost(splits):
    """The table says what trains in each phase, how many parameters that is, and what a step costs."""
    editor = PlanEditor(splits, make_plan("gradual", splits, 3), input_shape=(3, 8, 8))
    assert "195 (" in editor.table.value  # the head: 64 * 3 + 3
    assert "100%" in editor.table.value
    before = editor.table.value
    editor.controls.freeze_to.value = 0
    assert editor.table.value != before
    unknown = PlanEditor(splits, input_shape=(7, 8, 8))
    assert "No costs" in unknown.message.value


def test_code_of_unusual_plans():
    """Options of plan and phase that differ from the defaults are in the Python."""
    plan = Plan(
        [Phase(0, 2, [1e-3, 1e-4], 1 / 3, 10, 1e5), Phase(0, 1, [1e-3, 0], frozen=(1,))],
        anneal="linear",
        max_momentum=0.9,
        train_bn=True,
    )  # fmt: skip
    scope = {}
    exec(plan_code(plan), scope)
    assert scope["plan"] == plan


def test_static_picture_has_its_text(editor, splits):
    """Every widget displays its picture and its words in outputs of their own, for viewers without
    widgets, and the widget keeps the picture's shape."""
    optimizer = torch.optim.AdamW(param_groups(splits, 1e-3))
    small = PlanEditor(splits, input_shape=None)
    for panel in (
        editor,
        SplitExplorer(splits, input_shape=(3, 8, 8)),
        RangePanel(small, splits, optimizer, []),
    ):
        (view, _), (picture, metadata), (words, _) = panel._outputs()
        assert view["application/vnd.jupyter.widget-view+json"]["model_id"]
        assert "image/png" not in view, "a front end shows nothing else of an output with a view"
        assert metadata["image/png"]["alt"] == panel.alt != ""
        assert words["text/plain"].split() == panel.alt.split()
        static, _ = panel.static()._repr_mimebundle_()
        assert static["image/png"] == picture["image/png"]
        width, height = Image.open(io.BytesIO(panel.png)).size
        assert (panel.picture.width, panel.picture.height) == (f"{width}", f"{height}")


def use(panel):
    """Change what a panel shows."""
    if isinstance(panel, PlanEditor):
        panel.add.click()
    elif isinstance(panel, SplitExplorer):
        panel.freeze_to.value = 2
    else:
        panel.show(RangeTest((1.0,), (1.0,), (1.0,), (1.0,), False, None))


def panels(splits):
    """Return an editor, an explorer and a range panel."""
    small = PlanEditor(splits, input_shape=None)
    explorer = SplitExplorer(splits, input_shape=(3, 8, 8))
    return small, explorer, RangePanel(small, splits, None, [])


@pytest.mark.parametrize("which", range(3))
def test_nothing_is_said_of_a_picture_before_it_is_there(splits, which):
    """When the verdict changes, or the table, the picture is drawn already: nobody sees an old one
    below a new verdict."""
    panel = panels(splits)[which]
    old, seen = panel.png, {}
    for name in ("message", "table", "now"):
        if text := getattr(panel, name, None):
            text.observe(lambda _, name=name: seen.update({name: panel.png != old}), "value")
    use(panel)
    assert "message" in seen
    assert all(seen.values()), seen


def test_a_widget_shown_twice_keeps_both_copies_new(editor, monkeypatch):
    """Displayed in two cells, its copies have the same names, by which a front end renews all."""
    names = []
    monkeypatch.setattr(
        "IPython.display.display", lambda *_, display_id=None, **__: names.append(display_id)
    )
    editor._ipython_display_()
    editor._ipython_display_()
    _, picture, words = names[:3]
    assert picture != words
    assert names[3:] == names[:3]


class Handle:
    """An output of a cell that can be renewed."""

    def update(self, data, **_):
        self.data = data


def test_the_copy_in_the_notebook_is_of_what_is_shown(splits):
    """Whatever changes a widget renews the picture and the words that a saved notebook keeps."""
    for panel in panels(splits):
        panel._shown = handles = [Handle(), Handle()]
        use(panel)
        kept = [data for data, _ in panel._outputs()[1:]]
        assert [handle.data for handle in handles] == kept


@pytest.mark.skipif(
    "DIFFLR_WIDGETS" not in os.environ, reason="set by tests/support/old_widgets.sh"
)
def test_the_old_environment_is_the_old_one():
    """Under ``tests/support/old_widgets.sh`` these tests see the ipywidgets that they were called for."""
    assert ipywidgets.__version__.split(".")[0] == os.environ["DIFFLR_WIDGETS"]


def test_explorer_asks_and_acts(splits):
    """The slider only asks; the button freezes; the tables show model and optimizer as they are."""
    optimizer = torch.optim.AdamW(param_groups(splits, 1e-3))
    explorer = SplitExplorer(splits, optimizer, (3, 8, 8))
    explorer.freeze_to.value = 2
    assert "195 of" in explorer.message.value
    assert "statistics in stem, body" in explorer.message.value
    widths = [bar.get_width() for bar in explorer.figure.bars[2]]
    assert widths == list(explorer.costs.backward([2]))
    assert [bar.get_width() for bar in explorer.figure.bars[0]] == [s.numel for s in splits]
    assert all(p.requires_grad for p in splits.model.parameters())
    explorer.apply.click()
    assert [p.requires_grad for p in splits.model.parameters()] == [False] * 8 + [True] * 2
    assert "eval" in explorer.table.value
    for group in optimizer.param_groups:
        group["lr"] = 0.00625
    freeze_to(splits, 0)
    explorer.renew.click()
    assert "6.25e-3" in explorer.groups.value
    assert "frozen" not in explorer.table.value


def test_range_panel_puts_the_suggestion_into_the_editor(splits):
    """Test, then use: the selected phase is multiplied once, the others stay, undo takes it back."""
    torch.manual_seed(1)
    labels = torch.randint(0, 3, (64,))
    batches = [(torch.randn(3, 3, 8, 8)[labels], labels)]
    optimizer = torch.optim.AdamW(param_groups(splits))
    editor = PlanEditor(splits, make_plan("gradual", splits, 3), input_shape=None)
    before = editor.plan
    panel = RangePanel(editor, splits, optimizer, batches, steps=40)
    assert panel.use.disabled
    editor.selected = 2
    panel.test.click()
    assert panel.result.suggestion
    assert panel.alt == panel.result.describe()
    panel.use.click()
    suggested = panel.result.suggested_lrs
    assert editor.plan.phases[2].lrs == pytest.approx(suggested, rel=0.005)
    assert editor.plan.phases[:2] == before.phases[:2]
    assert panel.use.disabled
    editor.undo.click()
    assert editor.plan == before
    panel.show(RangeTest((1.0,), (1.0,), (1.0,), (1.0,), False, None))
    assert panel.use.disabled


def test_a_suggestion_is_for_the_phase_that_was_tested(splits):
    """Who looks at another phase meanwhile does not multiply that one; who changed it is told."""
    editor = PlanEditor(splits, make_plan("gradual", splits, 3), input_shape=None)
    panel = RangePanel(editor, splits, None, [])
    before, result = editor.plan.phases, RangeTest((4.0,), (1.0,), (1.0,), (1.0,), False, 4.0)
    editor.selected = 2
    panel.show(result)
    editor.selected = 0
    panel.use.click()
    assert editor.selected == 2
    assert editor.plan.phases[:2] == before[:2]
    assert editor.plan.phases[2].lrs[2] == pytest.approx(4 * before[2].lrs[2], rel=0.005)
    panel.show(result)
    editor.controls.rows[2].box.value = "2e-2"
    held = editor.plan
    panel.use.click()
    assert "test it again" in panel.message.value
    assert editor.plan == held


def test_range_panel_shares_a_rate_out_by_gradients(splits):
    """A phase keeps its largest rate, what trains is graded as suggested, undo takes it back."""
    torch.manual_seed(1)
    labels = torch.randint(0, 3, (64,))
    batches = [(torch.randn(3, 3, 8, 8)[labels], labels)]
    optimizer = torch.optim.AdamW(param_groups(splits))
    editor = PlanEditor(splits, make_plan("gradual", splits, 3), input_shape=None)
    before = editor.plan
    panel = RangePanel(editor, splits, optimizer, batches)
    editor.selected = 1  # the first split is frozen in it
    panel.share.click()
    norms = suggest_lrs(splits, batches, 1.0).relative_norms
    lrs = editor.plan.phases[1].lrs
    assert lrs[0] == 0
    assert max(lrs) == max(before.phases[1].lrs)
    assert lrs[1] / lrs[2] == pytest.approx(norms[1] / norms[2], rel=0.01)
    assert editor.plan.phases[0] == before.phases[0]
    assert "‖g‖/‖w‖" in panel.message.value
    editor.undo.click()
    assert editor.plan == before


def test_an_error_of_the_users_loss_is_shown(splits):
    """What fails inside the test is named at once, with its traceback in the cell; then it goes on."""

    def loss(*_):
        raise ValueError("no such loss")

    optimizer = torch.optim.AdamW(param_groups(splits))
    batches = [(torch.randn(3, 3, 8, 8), torch.zeros(3, dtype=torch.long))]
    editor = PlanEditor(splits, input_shape=None)
    panel = RangePanel(editor, splits, optimizer, batches, loss=loss, steps=5)
    panel.test.click()
    assert "ValueError: no such loss" in panel.message.value
    (error,) = panel.details.outputs
    assert error["ename"] == "ValueError"
    assert any("raise ValueError" in line for line in error["traceback"])
    assert not panel.test.disabled
    panel._options.pop("loss")
    panel.test.click()
    assert panel.details.outputs == ()
    assert panel.result is not None


class Module(ParametersSplitsModule):
    """The smallest module that trains by a plan."""

    def __init__(self, plan):
        super().__init__()
        self.net = network()
        self.milestones = plan

    def model_splits(self):
        return {"stem": "net.0", "body": "net.1", "head": "net.2"}

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_acc", torch.tensor(0.25), on_epoch=True)
        return loss


def fit(callbacks, epochs=3, **options):
    """Train for six steps an epoch; return trainer and module."""
    data = TensorDataset(torch.randn(24, 3, 8, 8), torch.randint(0, 3, (24,)))
    module = Module(make_plan("gradual", 3, epochs))
    trainer = pl.Trainer(
        max_epochs=epochs,
        callbacks=callbacks,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module, DataLoader(data, 4))
    return trainer, module


class PressStop(pl.Callback):
    """Somebody who presses Stop during a step."""

    def __init__(self, view, step):
        self.view, self.step = view, step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            (self.view.stop_button.click if self.view.notebook else self.view.stop)()


def test_live_view_shows_what_happens():
    """At the end the view holds every loss, the accuracies, the step and the plan that was trained."""
    view = LiveView(notebook=True, every=0.0)
    trainer, module = fit([view])
    assert len(view.losses) == trainer.global_step == 18
    assert view.progress.value == view.progress.max == 18
    assert view.accuracies == [(1.0, 0.25), (2.0, 0.25), (3.0, 0.25)]
    assert view.figure.loss.get_ydata() == [loss for _, loss in view.losses]
    assert view.figure._cursor.get_xdata()[0] == 3.0
    assert describe_plan(module.plan, module.splits.names) in view.alt
    assert view.png[:4] == b"\x89PNG"
    assert "✓ Done" in view.text.value
    assert view.stop_button.description == "Done"
    assert "step 18 of 18" in view.alt


def test_the_live_picture_shows_what_there_is_and_what_matters():
    """No axis of accuracies before the first; the steps at a cycle's end do not squeeze the others."""
    figure = LiveFigure(["a", "b"], 2, make_plan("uniform", 2, 2), 4)
    figure.update([(0.25, 2.0)], [], [(0.25, (1e-2, 1e-4)), (0.5, (1e-9, 0.0))], 0.5)
    assert not figure._accuracy.get_visible()
    assert figure._loss.get_title("left") == "Loss at each step"
    low, high = figure._movement.get_ylim()
    assert 1e-8 <= low <= 1e-7
    assert high >= 1e-2
    figure.update([(0.25, 2.0)], [(1.0, 0.5)], [], 1.0)
    assert figure._accuracy.get_visible()
    assert "accuracy" in figure._loss.get_title("left")
    figure.update([(0.25, 2.0)], [(1.0, 1.0)], [], 1.0)
    picture = Image.open(io.BytesIO(figure.png())).convert("L")
    x, y = figure._accuracy.transData.transform((1.0, 1.0))
    assert picture.getpixel((round(x), picture.height - round(y) - 4)) < 64, "◆ of 100% is cut off"


class Reads(pl.Callback):
    """Somebody who reads the picture's text whenever the line above the picture changes."""

    def __init__(self, view):
        self.view, self.said = view, []

    def on_train_start(self, *_):
        self.view.text.observe(self.read, "value")

    def read(self, change):
        self.said.append((re.search(r"step \d+ of", change["new"])[0], self.view.alt))


def test_the_live_view_says_nothing_of_a_step_before_it_is_drawn():
    """The line above the picture changes when the picture has the same step."""
    view = LiveView(notebook=True, every=0.0)
    reads = Reads(view)
    fit([view, reads])
    assert len(reads.said) > 18
    for step, alt in reads.said:
        assert step in alt


class Weights(pl.Callback):
    """Somebody who measures each step by hand."""

    def __init__(self):
        self.ratios = []

    @staticmethod
    def flat(module):
        return [
            torch.cat([p.detach().flatten() for p in split.parameters.values()])
            for split in module.splits
        ]

    def on_train_batch_start(self, trainer, module, *_):
        self.old = self.flat(module)

    def on_train_batch_end(self, trainer, module, *_):
        pairs = zip(self.old, self.flat(module), strict=True)
        self.ratios.append([float((new - old).norm() / old.norm()) for old, new in pairs])


def test_live_view_measures_how_far_a_step_moves_each_split():
    """Movement is the length of the change over that of the weights; a frozen split has none."""
    view, by_hand = LiveView(notebook=True, every=0.0), Weights()
    fit([view, by_hand])
    assert len(view.movements) == 18
    for step, ((epoch, moved), ratios) in enumerate(
        zip(view.movements, by_hand.ratios, strict=True), 1
    ):
        assert epoch == pytest.approx(step / 6)
        for ours, theirs in zip(moved, ratios, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4) or (math.isnan(ours) and not theirs)
    assert [math.isnan(moved) for moved in view.movements[0][1]] == [True, True, False]
    drawn = [line.get_ydata() for line in view.figure.movement]
    for split in range(3):
        measured = [moved[split] for _, moved in view.movements]
        assert list(drawn[split]) == pytest.approx(measured, nan_ok=True)
    assert short(view.movements[-1][1][2]) in view.table.value
    assert f"head {short(view.movements[-1][1][2])}" in view.alt


class Plain(pl.LightningModule):
    """A module that knows nothing of splits or plans."""

    def __init__(self):
        super().__init__()
        self.net = network()

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-2)


def test_live_view_shows_any_module():
    """Without splits all weights are one curve; without a plan there are no learning rates drawn."""
    view = LiveView(notebook=True, every=0.0)
    data = TensorDataset(torch.randn(24, 3, 8, 8), torch.randint(0, 3, (24,)))
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=1, callbacks=[view], accelerator="cpu", **options)
    trainer.fit(Plain(), DataLoader(data, 4))
    assert len(view.movements) == 6
    assert all(value > 0 for _, (value,) in view.movements)
    assert "all weights" in view.alt


@pytest.mark.parametrize("notebook", [True, False])
@pytest.mark.parametrize(
    ("limit", "last"),
    [({"max_epochs": -1}, "epoch 2.50, step 15,"), ({"max_steps": 9}, "epoch 1.50, step 9 of 9,")],
)
def test_a_training_without_a_number_of_epochs(notebook, limit, last):
    """Until Stop is pressed, or for some steps: epochs are counted by the data, and all is in view."""
    lines = []
    view = LiveView(notebook=notebook, every=0.0, write=lines.append)
    data = TensorDataset(torch.randn(24, 3, 8, 8), torch.randint(0, 3, (24,)))
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(
        callbacks=[view, PressStop(view, 14)], accelerator="cpu", **limit, **options
    )
    trainer.fit(Plain(), DataLoader(data, 4))
    said = view.text.value if notebook else lines[-1] + view._line(trainer)
    assert last in said
    if notebook:
        assert view.figure.loss.axes.get_xlim()[1] >= view.losses[-1][0]
        assert ("max_steps" in limit) == (view.progress in view.widget.children[0].children)


@pytest.mark.parametrize("notebook", [True, False])
def test_stop_ends_after_the_step(notebook):
    """Stop ends training after the current step; the model can be used and trained on."""
    lines = []
    view = LiveView(notebook=notebook, every=0.0, write=lines.append)
    trainer, module = fit([view, PressStop(view, 4)])
    assert trainer.global_step == 5
    assert view.stopped
    module.eval()
    assert torch.isfinite(module.net(torch.randn(2, 3, 8, 8))).all()
    if notebook:
        assert view.stop_button.description == "Stopped"
    else:
        assert lines[-1] == "stopped after step 5"
    again, _ = fit([view])
    assert again.global_step == 18, "the view can be used again"


class Fails(pl.Callback):
    """A training that breaks off at step 4."""

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 4:
            raise ValueError("out of pictures")


def test_a_training_that_breaks_off_is_said_to_have_ended():
    """After an error nothing looks as if it still ran: button and text say what ended it and where."""
    view = LiveView(notebook=True, every=0.0)
    with pytest.raises(ValueError, match="out of pictures"):
        fit([view, Fails()])
    assert view.stop_button.description == "Ended"
    assert view.stop_button.disabled
    assert "✗ Ended by ValueError: epoch 0.67, step 4 of 18" in view.text.value
    fit([view])
    assert view.stop_button.description == "Done", "the view can be used again"


def test_live_view_counts_steps_of_the_optimizer():
    """With accumulated gradients the bar counts optimizer steps, and losses are not divided."""
    view = LiveView(notebook=True)
    fit([view], accumulate_grad_batches=2)
    assert view.progress.value == view.progress.max == 9
    assert view.losses[0][1] > 0.5


def test_live_view_prints_outside_a_notebook():
    """Without a notebook there is a line per epoch with step, loss, accuracy and LR of each split."""
    lines = []
    view = LiveView(write=lines.append)
    assert not view.notebook
    fit([view])
    assert len(lines) == 4
    assert "step 6 of 18" in lines[1]
    assert "accuracy 0.250" in lines[1]
    assert "stem" in lines[1]


def test_explorer_follows_a_trainer(splits):
    """As a callback the explorer shows the trainer's optimizer and what it freezes."""
    module = Module(make_plan("gradual", 3, 3))
    explorer = SplitExplorer(module.splits, input_shape=None)
    seen = []

    class Look(pl.Callback):
        def on_train_epoch_end(self, *_):
            seen.append((explorer.table.value.count("frozen"), explorer.groups.value))

    data = TensorDataset(torch.randn(24, 3, 8, 8), torch.randint(0, 3, (24,)))
    trainer = pl.Trainer(
        max_epochs=3,
        callbacks=[explorer.callback(every=0.0), Look()],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(data, 4))
    assert [frozen for frozen, _ in seen] == [2, 1, 0]
    assert "stem" in seen[0][1]
