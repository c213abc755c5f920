"""The widgets in a real browser: JupyterLab and headless Chromium, mouse and keyboard.

Screenshots are kept in the folder that DIFFLR_SCREENSHOTS names.
"""

import os
from dataclasses import replace
from pathlib import Path

import browsing
import pytest
from nbconvert import HTMLExporter

from difflr.figures.plan import PlanFigure
from difflr.figures.words import short
from difflr.lessons.splits import quiz
from difflr.milestones import MILESTONES_2020, from_milestones
from difflr.plan import Plan

#: Of small screens, and of Colab's output.
SIZES = [(1280, 720), (1024, 768), (900, 720)]
NAMES = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
MANY = """\
from difflr import make_plan
from difflr.widgets import PlanEditor
names = ["stem", *(f"blocks.{i}" for i in range(46)), "head"]
editor = PlanEditor(names, make_plan("layer_decay", 48, 6, decay=0.9))
editor"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """Open a notebook; skip where there is no browser, unless the continuous integration asks."""
    if missing := browsing.what_is_missing():
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(f"{missing}; under CI that is a failure.")
        pytest.skip(missing)
    folder = os.environ.get("DIFFLR_SCREENSHOTS")
    shots = Path(folder) if folder else tmp_path_factory.mktemp("screenshots")
    shots.mkdir(parents=True, exist_ok=True)
    with browsing.opened(shots) as notebook:
        yield notebook


@pytest.fixture(scope="module")
def live(notebook):
    """Run the first cell; return the notebook once the editor is there."""
    notebook.start(0)
    try:
        notebook.cell(0).locator("img.widget-image").wait_for()
    finally:
        notebook.shot("opened")
    return notebook


def source(live):
    """Return the address of the picture, which changes with the picture."""
    return live.cell(0).locator("img.widget-image").get_attribute("src")


def wait_for_new_picture(live, old):
    """Wait until the editor's picture is another one."""
    live.page.wait_for_function(
        "old => document.querySelector('img.widget-image').src !== old", arg=old
    )


def rates(live):
    """Return the selected phase's learning rates as the next cell sees them."""
    live.start(1)
    live.settle()
    text = live.wait_for_text(1, "LRS")
    return [float(x) for x in text[text.index("(") + 1 : text.index(")")].split(",")]


def handle(live, split):
    """Return the slider of a split: the first six sliders of the editor are theirs."""
    return live.cell(0).locator("input[type='range']").nth(split)


def handle_at(slider):
    """Return where the handle of a slider is on the page."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    share = slider.evaluate("slider => slider.value / slider.max")
    return box["x"] + 5 + share * (box["width"] - 10), box["y"] + box["height"] / 2


def drag(live, slider, by):
    """Drag a slider's handle by some pixels and wait for what the kernel makes of it."""
    x, y = handle_at(slider)
    live.page.mouse.move(x, y)
    live.page.mouse.down()
    for i in range(1, 6):
        live.page.mouse.move(x + by * i / 5, y)
    live.page.mouse.up()
    live.rest(0)


def unfold(live, title):
    """Open one of the editor's folds by keyboard."""
    button = live.cell(0).locator(f"button:has-text('▸ {title}')")
    if button.count():
        button.press("Enter")
        live.cell(0).locator(f"button:has-text('▾ {title}')").wait_for()


def check_view(notebook, width, height, name):
    """Fail unless a fresh editor's picture, numbers and verdict are in view, and axe finds nothing."""
    usual, cell = notebook.page.viewport_size, notebook.cell(0)
    notebook.page.set_viewport_size({"width": width, "height": height})
    try:
        notebook.page.wait_for_timeout(500)
        cell.locator(".jp-OutputArea").evaluate("area => area.scrollIntoView()")
        notebook.page.wait_for_timeout(500)
        notebook.shot(f"{name}-{width}")
        boxes = [cell.locator("input[type='text']").nth(i) for i in range(6)]
        status, picture = cell.locator("[role=status]").first, cell.locator("img.widget-image")
        top = notebook.page.locator(".jp-NotebookPanel-toolbar").bounding_box()
        for part in (picture, status, *boxes):
            place = part.bounding_box()
            assert place["y"] >= top["y"] + top["height"] - 1
            assert place["y"] + place["height"] <= height - 24  # of the status bar
            assert place["x"] + place["width"] <= width
        assert picture.bounding_box()["width"] > 400
        assert "Drag a bar, or a curve in the picture." in status.inner_text()
        assert not cell.get_by_label("Epochs").is_visible(), "the rest is a click away"
        assert notebook.axe(0) == []
    finally:
        notebook.page.set_viewport_size(usual)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_picture_sliders_and_verdict_are_in_view_at_once(live, width, height):
    """At the sizes of small screens nobody scrolls between a slider and the curve that it moves."""
    check_view(live, width, height, "editor")


def test_many_splits_fit_the_screen_and_can_be_opened(notebook):
    """48 splits have eight rows; one that is opened by keyboard shows its splits, each with its rate."""
    many = notebook.other([MANY, "print('LRS', editor.plan.phases[0].lrs)"])
    many.start(0)
    cell = many.cell(0)
    cell.locator("img.widget-image").wait_for()
    check_view(many, 1280, 720, "many")
    cell.locator("button:has-text('▸')").first.press("Enter")
    box = cell.get_by_label("Learning rate of blocks.3, as a number")
    box.wait_for()
    many.rest(0)
    old = source(many)
    box.fill("3e-4")
    box.press("Enter")
    wait_for_new_picture(many, old)
    many.rest(0)
    assert rates(many)[4] == 3e-4
    assert cell.get_by_label("Learning rate of blocks.0 to 6, as a number").input_value() == "3e-4"
    many.shot("many-opened")
    assert many.axe(0) == []
    many.check()
    many.page.close()


def test_who_opens_the_saved_notebook_sees_picture_and_words(live):
    """Live, only the widget is seen; saved and opened again without it, its picture and its words."""
    copies = live.cell(0).locator(".jp-OutputArea-child")
    assert [copies.nth(i).is_visible() for i in range(3)] == [True, False, False]
    reader = live.reopened("image/png")
    picture = reader.cell(0).locator(".jp-RenderedImage img")
    picture.wait_for()
    reader.wait_for_text(0, "Learning rates over 6 epochs in 6 phases for 6 splits")
    reader.shot("reopened")
    # The default template loses a picture's own text: the words after it are left.
    said = "Learning rates over 6 epochs in 6 phases for 6 splits"
    page, _ = HTMLExporter().from_filename(reader.path)
    assert "Error displaying widget" not in page
    assert page.index("<img") < page.index(said)
    page, _ = HTMLExporter(template_name="classic").from_filename(reader.path)
    assert f'<img alt="{said}' in page
    reader.page.close()


def test_looking_at_phases_changes_nothing(live):
    """Showing every phase leaves the plan as it was, though browsers move sliders to a notch; and
    no bar jumps, though what is said above them takes one line or two."""
    usual, places = live.page.viewport_size, []
    live.page.set_viewport_size({"width": 900, "height": 1300})
    for number in (2, 3, 4, 5, 6, 1):
        live.cell(0).locator(f"button:has-text('Phase {number}')").click()
        live.rest(0)
        phases, bar = live.cell(0).locator(".widget-toggle-buttons"), handle(live, 5)
        places.append(bar.bounding_box()["y"] - phases.bounding_box()["y"])
    live.page.set_viewport_size(usual)
    assert len(set(places)) == 1
    rates(live)
    assert "KEPT True" in live.wait_for_text(1, "KEPT")


def test_a_drag_and_the_arrow_keys_move_the_plan(live):
    """Mouse and keyboard on a slider change the picture and the plan that the next cell has."""
    live.shot("editor-before")
    before = rates(live)
    size = live.cell(0).locator("img.widget-image").bounding_box()
    old = source(live)
    x, y = handle_at(handle(live, 5))
    live.page.mouse.move(x, y)
    live.page.mouse.down()
    for i in range(1, 11):
        live.page.mouse.move(x + 4 * i, y)
    live.page.mouse.up()
    wait_for_new_picture(live, old)
    live.rest(0)
    dragged = rates(live)
    assert dragged[:5] == before[:5]
    assert dragged[5] > 2 * before[5]
    live.page.wait_for_timeout(1200)  # Undo takes changes within a second for one: not these two
    old = source(live)
    handle(live, 5).focus()
    for _ in range(3):
        live.page.keyboard.press("ArrowLeft")
    wait_for_new_picture(live, old)
    live.rest(0)
    assert before[5] < rates(live)[5] < dragged[5]
    after = live.cell(0).locator("img.widget-image").bounding_box()
    assert (after["width"], after["height"]) == (size["width"], size["height"])
    live.shot("editor-dragged")
    live.check()


def test_a_shape_stays_while_its_ratio_is_dragged(live):
    """Geometric, then Ratio twenty times: the page shows the shape, and numbers that the plan holds."""
    cell = live.cell(0)
    cell.locator("button:has-text('Phase 6')").click()
    live.rest(0)
    unfold(live, "More settings")
    shape = cell.get_by_label("Set all")
    shape.select_option("geometric")
    live.rest(0)
    ratio = cell.get_by_label("Ratio")
    for i in range(20):
        drag(live, ratio, 9 if i % 4 else -20)
        assert shape.input_value() == "geometric"
        lrs = rates(live)
        boxes = cell.locator("input[type='text']")
        assert [boxes.nth(n).input_value() for n in range(6)] == [short(lr) for lr in lrs]
        shown = float(ratio.get_attribute("aria-valuetext"))
        assert lrs[5] / lrs[0] == pytest.approx(shown, rel=0.01)
    live.shot("geometric")
    live.check()


def test_a_rate_can_be_typed(live):
    """A number is taken; what is none is refused, said why, and box and plan keep what holds."""
    live.cell(0).locator("button:has-text('Phase 1')").click()
    live.rest(0)
    box = live.cell(0).locator("input[type='text']").nth(5)
    held = 3e-4
    for typed, said in (
        ("3e-4", "Valid plan"),
        ("1,5", "with a point and not a comma"),
        ("abc", "expected a learning rate as a number above 0"),
        ("2.5E-4 ", "Valid plan"),
        ("1e", "Received '1e'"),
        ("", "Received ''"),
        ("-1", "untick it"),
        (" 3E-4 ", "Valid plan"),
        ("1e-400", "too small: float32 holds nothing below 1.18e-38"),
        ("0,0003", "with a point and not a comma"),
        ("inf", "Received 'inf'"),
        (".0004", "Valid plan"),
    ):
        box.fill(typed)
        box.press("Enter")
        text = live.wait_for_text(0, said)
        assert ("Not used" in text) == (said != "Valid plan")
        held = float(typed) if said == "Valid plan" else held
        live.page.wait_for_function(
            "([box, held]) => box.value === held", arg=[box.element_handle(), short(held)]
        )
        assert rates(live)[5] == held
    live.check()


@pytest.mark.parametrize("name", ["Undo", "Add phase", "Later", "Earlier", "Remove phase", "Reset"])
def test_every_button_works(live, name):
    """Each button, pressed by mouse, or by keyboard for the last one, changes the picture."""
    unfold(live, "More settings")
    live.rest(0)  # a redraw still to come would take the focus away, or be taken for this one
    old = source(live)
    button = live.cell(0).locator(f"button:has-text('{name}')").first
    if name == "Reset":
        button.press("Enter")
    else:
        button.click()
    wait_for_new_picture(live, old)
    live.check()


def middle_of(element):
    """Return the middle of an element that is in view."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def plan_with(lr):
    """Return the editor's first plan with another rate of the head in phase 1."""
    first, *rest = from_milestones(MILESTONES_2020).phases
    return Plan([replace(first, lrs=[0, 0, 0, 0, 0, lr]), *rest])


def test_a_finger_moves_bar_and_curve(live):
    """A tap and a swipe on a split's bar, and a swipe on its curve, set its learning rate."""
    live.cell(0).locator("button:has-text('Reset')").click()
    live.rest(0)
    seen = [rates(live)[5]]
    bar = handle(live, 5)
    x, y = middle_of(bar)
    live.page.touchscreen.tap(x, y)
    live.rest(0)
    seen.append(rates(live)[5])
    assert seen[1] == pytest.approx(10**-3.5, rel=0.2), "the bar goes from 1e-7 to 1"
    live.swipe(handle_at(bar), (x + 40, y))
    live.rest(0)
    seen.append(rates(live)[5])
    assert seen[2] > 2 * seen[1]
    picture = live.cell(0).locator("img.widget-image")
    box = picture.bounding_box()
    figure = PlanFigure(plan_with(seen[2]), NAMES, 50, dpi=100, compact=True)
    right, up = figure.lines[5].axes.transData.transform((0.3, seen[2])) / figure.size
    x, y = box["x"] + right * box["width"], box["y"] + (1 - up) * box["height"]
    live.swipe((x, y), (x, y + 0.1 * box["height"]))
    live.rest(0)
    assert rates(live)[5] < seen[2] / 2
    assert picture.bounding_box()["y"] == box["y"], "the page must not scroll meanwhile"
    live.check()


def test_two_views_of_an_editor_do_not_take_hold_of_one_another(live):
    """A drag in a second view moves what is under the pointer there, not what the first one held."""
    live.cell(0).locator("button:has-text('Reset')").click()
    live.rest(0)
    live.start(8)
    live.cell(8).locator("img.widget-image").wait_for()
    plan = from_milestones(MILESTONES_2020)
    for index, phase in ((0, 0), (8, 2)):
        figure = PlanFigure(plan, NAMES, 50, dpi=100, compact=True)
        picture = live.cell(index).locator("img.widget-image")
        picture.scroll_into_view_if_needed()
        box = picture.bounding_box()
        peak = phase + 0.3, plan.phases[phase].lrs[5]
        right, up = figure.lines[5].axes.transData.transform(peak) / figure.size
        x, y = box["x"] + right * box["width"], box["y"] + (1 - up) * box["height"]
        live.page.mouse.move(x, y)
        live.page.mouse.down()
        live.page.mouse.move(x, y + 0.05 * box["height"], steps=4)
        live.page.mouse.up()
        live.rest(0)
        lr = rates(live)[5]
        assert lr < peak[1] / 2
        plan = plan_with(lr)
    shown = live.cell(8).locator(".widget-toggle-buttons button.mod-active")
    assert shown.inner_text() == "Phase 3"
    live.check()


def test_screen_readers_find_a_name_and_a_value_everywhere(live):
    """axe finds nothing in the editor; a split's controls have names of their own, a slider speaks
    the learning rate, and the picture its text."""
    for title in (
        "More settings",
        "The plan as Python",
        "The plan as milestones",
        "The picture in",
    ):
        unfold(live, title)
    live.rest(0)
    assert live.axe(0) == []
    assert "Phase(" in live.cell(0).get_by_label("The plan as Python").input_value()
    cell = live.cell(0)
    cell.locator("button:has-text('Phase 6')").click()
    live.rest(0)
    lrs = rates(live)
    for name, lr in zip(NAMES, lrs, strict=True):
        slider = cell.get_by_role("slider", name=f"Learning rate of {name}", exact=True)
        assert float(slider.get_attribute("aria-valuetext")) == pytest.approx(lr, rel=0.07)
        box = cell.get_by_role("textbox", name=f"Learning rate of {name}, as a number")
        assert box.input_value() == short(lr)
        assert cell.get_by_role("checkbox", name=name, exact=True).is_checked()
    assert "for 6 splits, stem (shallow) to head (deep)" in cell.get_by_role("img").get_attribute(
        "alt"
    )


def test_stop_ends_a_training(live):
    """Stop, pressed while the cell trains, ends it after the step, and the next cell has the model."""
    live.start(2)
    live.cell(2).locator("button:has-text('Stop')").wait_for()
    live.page.wait_for_timeout(1500)
    live.shot("training")
    assert "STOPPED True True tensor(True)" in live.stop(2)
    assert live.axe(2) == []
    live.shot("stopped")
    live.check()


def see_the_others(notebook):
    """Run and use the explorer, the range panel and the replay, each with axe before and after."""
    found = {}
    for cell, press, said in (
        (5, "Look again", "The splits now"),
        (6, "Test the selected phase", "Suggested multiplier"),
        (7, "Look without predicting", "accuracy at base LR"),
    ):
        notebook.start(cell)
        picture = notebook.cell(cell).locator("img.widget-image")
        picture.wait_for()
        notebook.page.wait_for_function(
            "img => img.complete && img.naturalWidth > 0", arg=picture.element_handle()
        )
        notebook.settle()
        found[cell, "before"] = notebook.axe(cell)
        notebook.cell(cell).locator(f"button:has-text('{press}')").click()
        notebook.wait_for_text(cell, said)
        notebook.settle()
        found[cell, "after"] = notebook.axe(cell)
        picture.scroll_into_view_if_needed()
        notebook.shot(f"others-{cell}")
    return {where: rules for where, rules in found.items() if rules}


def test_axe_finds_nothing_in_the_other_widgets(live):
    """In explorer, range panel and replay, before and after their buttons are pressed."""
    assert see_the_others(live) == {}
    for name in ("Base LR", "Ratio"):
        assert live.cell(7).get_by_role("slider", name=name, exact=True).is_visible()
    live.check()


def choices(notebook, question):
    """Return the buttons of a question of the self-test."""
    before = sum(len(each.choices) for each in quiz.questions[:question])
    buttons = notebook.cell(4).locator("button.widget-button")
    return [buttons.nth(before + i) for i in range(len(quiz.questions[question].choices))]


def test_a_self_test_answers_mouse_and_keyboard(notebook):
    """A choice is marked and explained, by click or Space; first tries count, and nothing jumps."""
    questions = quiz.questions
    right = [each.answer for each in questions]
    wrong = (right[0] + 1) % len(questions[0].choices)
    notebook.start(4)
    notebook.wait_for_text(4, "0 of 5 answered")

    def apart():
        first, second = (choices(notebook, question)[0].bounding_box() for question in (0, 1))
        return second["y"] - first["y"]

    place = apart()
    choices(notebook, 0)[wrong].click()
    said = notebook.wait_for_text(4, "1 of 5 answered")
    assert f"✗ Not this one. {questions[0].why[wrong]}" in said
    assert questions[0].why[right[0]] not in said
    assert apart() == place
    assert choices(notebook, 0)[wrong].inner_text() == f"✗ {questions[0].choices[wrong]}"
    choices(notebook, 0)[right[0]].click()
    said = notebook.wait_for_text(4, f"✓ Right. {questions[0].why[right[0]]}")
    assert "1 of 5 answered" in said

    following = choices(notebook, 1)[right[1]]
    for _ in range(len(questions[0].choices) - right[0] + right[1]):
        notebook.page.keyboard.press("Tab")
    assert following.evaluate("button => button === document.activeElement")
    notebook.page.keyboard.press("Space")
    notebook.wait_for_text(4, f"✓ Right. {questions[1].why[right[1]]}")
    notebook.shot("self-test")

    for question in range(2, 5):
        choices(notebook, question)[right[question]].click()
    notebook.wait_for_text(4, "Finished: 4 of 5 right at the first try")
    notebook.shot("self-test-finished")
    notebook.check()


def test_who_wants_no_motion_gets_none(live):
    """Under prefers-reduced-motion nothing in a widget moves, whatever the page lays down for it."""
    area = live.cell(0).locator(live.OUTPUT).first
    area.locator("img.widget-image").evaluate("img => { img.style.transition = 'width 1s' }")
    found = {}
    for wish in ("no-preference", "reduce"):
        live.page.emulate_media(reduced_motion=wish)
        found[wish] = area.evaluate(
            """area => [...area.querySelectorAll("*")].filter(element => {
                const style = getComputedStyle(element);
                return style.animationName !== "none" || /[1-9]/.test(style.transitionDuration);
            }).map(element => element.tagName)"""
        )
    live.page.emulate_media(reduced_motion="no-preference")
    assert found == {"no-preference": ["IMG"], "reduce": []}


def test_the_dark_theme(notebook):
    """In the dark the picture is dark, and axe, which measures contrasts, finds nothing."""
    notebook.darken()
    notebook.start(0)
    picture = notebook.cell(0).locator("img.widget-image")
    picture.wait_for()
    notebook.rest(0)
    for width, height in SIZES:
        check_view(notebook, width, height, "dark")
    paper = notebook.page.evaluate(
        "getComputedStyle(document.querySelector('.difflr-inked')).filter"
    )
    assert "invert" in paper
    notebook.start(4)
    notebook.wait_for_text(4, "0 of 5 answered")
    choices(notebook, 0)[0].click()
    notebook.wait_for_text(4, "1 of 5 answered")
    assert notebook.axe(4) == []
    notebook.start(2)
    notebook.cell(2).locator("button:has-text('Stop')").click()
    notebook.cell(2).locator("button:has-text('Stopped')").wait_for(timeout=30_000)
    assert notebook.axe(2) == []
    assert see_the_others(notebook) == {}
