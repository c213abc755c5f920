"""The editor, the picture and the words of a plan for more splits than rows fit on a screen."""

import pytest

from difflr.figures.plan import PlanFigure
from difflr.figures.words import describe_plan, short
from difflr.plan import Phase, Plan
from difflr.recipes import make_plan
from difflr.widgets import PlanEditor

NAMES = ("stem", *(f"blocks.{i}" for i in range(46)), "head")


@pytest.fixture
def editor():
    """Return an editor of 48 splits whose second row (blocks.0 to blocks.6) can be opened."""
    return PlanEditor(NAMES, make_plan("layer_decay", 48, 6, decay=0.9))


def seen(editor):
    """Return the names of the rows that are shown, from top to bottom."""
    return [line.children[1].description for line in editor.controls.splits.box.children]


def test_eight_rows_move_their_splits_in_proportion(editor):
    """A row's rate is its largest; setting it, typing it and undoing it move all of its splits."""
    assert len(seen(editor)) == 8
    assert [seen(editor)[i] for i in (0, 1, 7)] == ["stem", "blocks.0 to 6", "head"]
    before, row = editor.plan.phases[0].lrs, editor.controls.rows[1]
    assert row.box.value == short(max(before[1:8]))
    row.box.value = "1e-4"
    lrs = editor.plan.phases[0].lrs
    assert lrs[7] == 1e-4
    assert [a / b for a, b in zip(lrs[1:8], before[1:8], strict=True)] == pytest.approx(
        [1e-4 / before[7]] * 7, rel=1e-5
    )
    assert (lrs[0], lrs[8:]) == (before[0], before[8:])
    editor.undo.click()
    assert editor.plan.phases[0].lrs == before
    first = row.slider.index
    for index in (*range(first + 1, first + 9), *range(first + 7, first - 1, -1)):  # there and back
        row.slider.index = index
    assert editor.plan.phases[0].lrs[1:8] == pytest.approx(before[1:8], rel=0.06)  # of a notch
    shares = [lr / before[7] for lr in before[1:8]]
    now = editor.plan.phases[0].lrs
    assert [lr / now[7] for lr in now[1:8]] == pytest.approx(shares, rel=1e-4)


def test_a_row_is_opened_to_its_splits_and_closed(editor):
    """The splits stand below their row and are set one by one; one row at a time is open."""
    press = editor.controls.splits.openers
    press[1].click()
    plan = editor.plan
    assert seen(editor)[1:10] == ["blocks.0 to 6", *NAMES[1:8], "blocks.7 to 14"]
    rows = editor.controls.rows[8:15]
    assert [row.box.value for row in rows] == [short(lr) for lr in plan.phases[0].lrs[1:8]]
    rows[2].box.value = "3e-3"
    assert editor.plan.phases[0].lrs[3] == 3e-3
    assert editor.plan.phases[0].lrs[4:] == plan.phases[0].lrs[4:]
    assert editor.controls.rows[1].box.value == "3e-3", "now the largest of its row"
    rows[0].trains.value = False
    assert editor.plan.phases[0].trainable == (True, False, *[True] * 46)
    assert seen(editor)[1] == "blocks.0 to 6 (6 of 7)"
    assert "stem, blocks.1 to head" in editor.now.value
    plan = editor.plan
    press[2].click()
    assert seen(editor)[1:4] == ["blocks.0 to 6 (6 of 7)", "blocks.7 to 14", "blocks.7"]
    press[2].click()
    assert len(seen(editor)) == 8
    assert editor.plan == plan, "looking changes nothing"


def test_a_row_is_frozen_and_woken_as_one(editor):
    """Its box says what any of its splits does."""
    row = editor.controls.rows[6]
    row.trains.value = False
    assert editor.plan.phases[0].trainable == tuple(not 39 <= i < 47 for i in range(48))
    assert row.box.value == "frozen"
    row.trains.value = True
    assert all(editor.plan.phases[0].trainable)


def test_the_picture_has_eight_rows_with_the_largest_rates(editor):
    """Labels, numbers and the height are those of eight; a changed number is drawn as if anew."""
    strip = editor.figure.figure.axes[1]
    labels = [label.get_text() for label in strip.get_yticklabels()]
    assert labels == seen(editor)
    numbers = [text.get_text() for text in strip.texts if text.get_visible()]
    assert numbers == [row.box.value for row in editor.controls.rows[:8]]
    assert editor.figure.size[1] < 510
    editor.controls.rows[3].slider.index += 3
    fresh = PlanFigure(editor.plan, NAMES, editor.figure.steps_per_epoch, dpi=100, compact=True)
    assert [text.get_text() for text in strip.texts] == [
        text.get_text() for text in fresh.figure.axes[1].texts
    ]


def test_words_and_text_stay_short():
    """Neighbours are said together, with the range of their rates and whether some are frozen."""
    lrs = [0.0] * 20 + [1e-5 * (i + 1) for i in range(28)]
    plan = Plan([Phase(20, 2, lrs)])
    words = describe_plan(plan, NAMES)
    assert "stem frozen, blocks.0 to blocks.6 frozen," in words
    assert "blocks.15 to blocks.22 partly 1e-5 to 4e-5, blocks.23 to blocks.29 5e-5" in words
    head, line = str(plan).splitlines()
    assert len(head) == len(line) < 180
    assert "partly 1e-05 to 4e-05" in line
    uniform = describe_plan(Plan([Phase(0, 2, [1e-3] * 48)]), NAMES)
    assert "stem to head 1e-3." in uniform, "what is the same everywhere is said once"
