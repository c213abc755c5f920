"""Editor and live view in Notebook 6 with ipywidgets 7, as Colab has it: live, saved, and no anywidget.

``tests/support/old_widgets.sh`` makes the environment and runs this there.
"""

import math
import os
from dataclasses import replace
from pathlib import Path

import browsing
import pytest

from difflr.figures.plan import PlanFigure
from difflr.figures.words import short
from difflr.milestones import MILESTONES_2020, from_milestones
from difflr.plan import Plan

pytestmark = pytest.mark.skipif(
    "DIFFLR_WIDGETS" not in os.environ, reason="run by tests/support/old_widgets.sh"
)

NAMES = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
EDITOR = """\
from difflr import MILESTONES_2020, from_milestones
from difflr.widgets import PlanEditor
editor = PlanEditor(["stem", "layer1", "layer2", "layer3", "layer4", "head"],
                    from_milestones(MILESTONES_2020))
editor"""
WITHOUT = f"import sys\nsys.modules['anywidget'] = None  # as if it were not installed\n{EDITOR}"
PLAN = "print('LRS', editor.plan.phases[editor.selected].lrs)"
TRAINING = "import time, torch\n" + browsing.CELLS[2], browsing.CELLS[3]


@pytest.fixture(scope="module")
def classic(tmp_path_factory):
    """Open the editor in Notebook 6; skip where there is no browser, unless CI asks."""
    if missing := browsing.what_is_missing("notebook"):
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{missing}; under CI that is a failure.")
        pytest.skip(missing)
    folder = os.environ.get("DIFFLR_SCREENSHOTS")
    shots = Path(folder) if folder else tmp_path_factory.mktemp("screenshots")
    shots.mkdir(parents=True, exist_ok=True)
    with browsing.opened(shots, [EDITOR, PLAN, *TRAINING], browsing.Classic) as notebook:
        yield ready(notebook)


def ready(notebook):
    """Run the first cell and wait for the picture."""
    notebook.start(0)
    picture = notebook.cell(0).locator("img.widget-image")
    picture.wait_for()
    notebook.page.wait_for_function("img => img.naturalWidth > 0", arg=picture.element_handle())
    return notebook


def plan(notebook):
    """Return the selected phase's learning rates as the next cell sees them."""
    notebook.rest(0)
    notebook.start(1)
    notebook.cell(1).locator(notebook.PROMPT).filter(has_not_text="*").wait_for()
    text = notebook.wait_for_text(1, "LRS")
    return [float(x) for x in text[text.index("(") + 1 : text.index(")")].split(",")]


def plan_with(lr):
    """Return the editor's first plan with another rate of the head in phase 1."""
    first, *rest = from_milestones(MILESTONES_2020).phases
    return Plan([replace(first, lrs=[0, 0, 0, 0, 0, lr]), *rest])


def drag(notebook, start, by):
    """Draw the mouse from one place by some pixels to the right and down."""
    (x, y), mouse = start, notebook.page.mouse
    mouse.move(x, y)
    mouse.down()
    for i in range(1, 6):
        mouse.move(x + by[0] * i / 5, y + by[1] * i / 5)
    mouse.up()


def shown_is_the_plan(notebook):
    """Check the numbers beside the bars against the plan; return the plan's rates."""
    boxes, lrs = notebook.cell(0).locator("input[type='text']"), plan(notebook)
    shown = [boxes.nth(i).input_value() for i in range(6)]
    assert shown == [short(lr) if lr else "frozen" for lr in lrs]
    return lrs


def typed(notebook, text, said):
    """Type into the head's box and wait for what the editor says."""
    box = notebook.cell(0).locator("input[type='text']").nth(5)
    box.fill(text)
    box.press("Enter")
    notebook.wait_for_text(0, said)


def test_what_is_dragged_and_typed_is_shown_and_in_the_plan(classic):
    """A bar, a curve, numbers right and wrong: the page shows what the next cell has."""
    cell, page = classic.cell(0), classic.page
    copies = cell.locator(".output_area")
    assert [copies.nth(i).is_visible() for i in range(3)] == [True, False, False]
    assert shown_is_the_plan(classic) == [0, 0, 0, 0, 0, 1e-3]
    bar = cell.get_by_role("slider", name="Learning rate of head", exact=True).bounding_box()
    share = (math.log10(1e-3) + 7) / 7  # the bar goes from 1e-7 to 1
    handle = bar["x"] + 5 + share * (bar["width"] - 10), bar["y"] + bar["height"] / 2
    drag(classic, handle, (30, 0))
    dragged = shown_is_the_plan(classic)[5]
    assert dragged > 2e-3
    typed(classic, "1,5", "with a point and not a comma")
    assert shown_is_the_plan(classic)[5] == dragged
    typed(classic, "3e-4", "Valid plan")
    assert shown_is_the_plan(classic)[5] == 3e-4
    picture = cell.locator("img.widget-image").bounding_box()
    figure = PlanFigure(plan_with(3e-4), NAMES, 50, dpi=100, compact=True)
    right, up = figure.lines[5].axes.transData.transform((0.3, 3e-4)) / figure.size
    start = picture["x"] + right * picture["width"], picture["y"] + (1 - up) * picture["height"]
    drag(classic, start, (0, 0.1 * picture["height"]))
    assert shown_is_the_plan(classic)[5] < 1e-4
    classic.shot("notebook6")
    # Notebook 6 takes keys for commands: here they are the slider's.
    slider = cell.get_by_role("slider", name="Learning rate of head", exact=True)
    slider.focus()
    cells = page.locator("#notebook .cell").count()
    for key in ("x", "a", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert shown_is_the_plan(classic)[5] < 2e-4
    assert page.locator("#notebook .cell").count() == cells
    assert classic.axe(0) == []
    classic.check()


def test_a_shape_and_the_other_phases(classic):
    """Shapes and phases: no echo of the browser's undoes what was chosen."""
    cell = classic.cell(0)
    cell.locator("button:has-text('Phase 6')").click()
    assert shown_is_the_plan(classic) == [1e-6] * 6
    cell.locator("button:has-text('▸ More settings')").press("Enter")
    shape, ratio = cell.get_by_label("Set all"), cell.get_by_role("slider", name="Ratio")
    shape.select_option("geometric")
    classic.rest(0)
    for _ in range(5):
        ratio.press("ArrowRight")
    lrs = shown_is_the_plan(classic)
    assert shape.input_value() == "geometric"
    assert lrs[5] / lrs[0] == pytest.approx(float(ratio.get_attribute("aria-valuetext")), rel=0.01)
    cell.locator("button:has-text('Undo')").click()
    cell.locator("button:has-text('Add phase')").click()
    shown_is_the_plan(classic)
    classic.check()


def test_stop_ends_a_training(classic):
    """While the cell trains, the picture changes and Stop works; the next cell has the model."""
    cell = classic.cell(2)
    classic.start(2)
    picture = cell.locator("img.widget-image")
    picture.wait_for(timeout=240_000)  # torch and Lightning are imported first
    image = picture.element_handle()
    old = picture.get_attribute("src")
    classic.page.wait_for_function("([image, old]) => image.src !== old", arg=[image, old])
    areas = cell.locator(".output_area")
    shown = [areas.nth(i).is_visible() for i in range(areas.count())]
    assert shown[-3:] == [True, False, False], "the copies are for those who have no kernel"
    assert "STOPPED True True tensor(True)" in classic.stop(2)
    assert classic.axe(2) == []
    classic.shot("notebook6-stopped")
    classic.check()


def test_who_opens_the_saved_notebook_sees_pictures_and_words(classic):
    """Without a kernel that knows the widgets: of editor and live view the last picture and its text."""
    reader = classic.reopened("STOPPED True")
    for index, words in ((0, "Learning rates over"), (2, "Training: epoch")):
        picture = reader.cell(index).locator(".output_png img")
        picture.wait_for()
        assert picture.evaluate("img => img.naturalWidth") > 0
        reader.wait_for_text(index, words)
    reader.shot("notebook6-reopened")
    reader.check()
    reader.page.close()


def test_without_anywidget_the_editor_is_that_of_ipywidgets(classic):
    """Where anywidget is missing there are picture, sliders and numbers all the same."""
    notebook = ready(classic.other([WITHOUT, PLAN]))
    cell = notebook.cell(0)
    assert "in the picture" not in cell.inner_text(), "there a curve cannot be dragged"
    assert shown_is_the_plan(notebook) == [0, 0, 0, 0, 0, 1e-3]
    picture = cell.locator("img.widget-image")
    old = picture.get_attribute("src")
    cell.locator(".ui-slider-handle").nth(5).focus()
    for _ in range(3):
        notebook.page.keyboard.press("ArrowRight")
    assert shown_is_the_plan(notebook)[5] > 1e-3
    assert picture.get_attribute("src") != old
    typed(notebook, "3e-4", "Valid plan")
    assert shown_is_the_plan(notebook)[5] == 3e-4
    notebook.shot("notebook6-without")
    notebook.check()
    notebook.page.close()
