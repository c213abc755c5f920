"""The replay: what Python sets and presses is what picture and words show of the recorded runs."""

import json
import re

import made_up
import pytest

from difflr.errors import DifflrError
from difflr.evidence.summaries import estimate
from difflr.runs.statistics import format_estimate
from difflr.studies.cell import Cell
from difflr.studies.recordings import list_recordings, save_recording
from difflr.widgets import Replay
from difflr.widgets._panel import table_html


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A made-up study of base LR × ratio."""
    return made_up.plateau(tmp_path_factory.mktemp("replay"))


@pytest.fixture
def replay(recording):
    """A covered replay of it."""
    return Replay(recording)


def test_numbers_are_covered_until_a_prediction_is_marked(replay):
    """Neither words nor alt text hold an accuracy before; after the press they do, with the score."""
    replay.point = (1e-3, 1.0)
    covered = replay.png
    for text in (replay.alt, replay.message.value):
        assert "%" not in text.replace("100%", "")
        assert "Which point gives the best accuracy?" in text
    assert replay.table.value == ""
    replay.predict.click()
    assert replay.prediction == (1e-3, 1.0)
    assert replay.png != covered
    assert "accuracy 60.4% ± 1.0" in replay.alt
    assert "rank 7 of 12" in replay.score
    assert "-10.0 points" in replay.score
    assert replay.score in replay.alt
    assert replay.score in replay.message.value
    assert replay.score.count(". ") == 0, "one sentence"
    for name in ("This point, your prediction", "The best", "60.4% ± 1.0", *made_up.SPLITS):
        assert name in replay.table.value


def test_nothing_is_said_of_a_picture_before_it_is_there(replay):
    """When verdict and table change, the picture is that of the point they speak of."""
    replay.reveal()
    old, seen = replay.png, {}
    for name, text in {"message": replay.message, "table": replay.table}.items():
        text.observe(lambda _, name=name: seen.update({name: replay.png != old}), "value")
    replay.point = (1e-2, 0.1)
    assert seen == {"message": True, "table": True}


def test_a_click_on_the_grid_chooses_its_point(replay):
    """Where the picture is clicked, covered or not, is the point that is looked at then."""
    wide, tall = replay.figure.size
    for lr, ratio in ((1e-2, 0.1), (1e-3, 100.0), (1e-2, 1.0)):
        axes, rates, ratios = replay.figure._grid
        x, y = axes.transData.transform((rates.index(lr) + 0.3, ratios.index(ratio) - 0.3))
        replay.picture.pointed = {"drag": 1, "x": x / wide, "y": 1 - y / tall}
        assert replay.point == (lr, ratio)
    replay.picture.pointed = {"drag": 2, "x": 0.99, "y": 0.01}
    assert replay.point == (1e-2, 1.0), "beside the grid nothing is chosen"


def test_covered_points_show_their_learning_rates(replay):
    """Before the prediction the picture shows what it is about: another ratio, another picture."""
    seen = set()
    for ratio in made_up.RATIOS:
        replay.point = (1e-3, ratio)
        axes = replay.figure.figure.axes[-1]
        heights = [bar.get_height() for bar in axes.containers[0]]
        assert heights[-1] == pytest.approx(1e-3)
        assert heights[0] == pytest.approx(1e-3 / ratio)
        seen.add(replay.png)
    assert len(seen) == len(made_up.RATIOS)


def test_forgetting_is_said_with_and_without_the_old_statistics(recording):
    """Words name the source accuracy before, after, and with BatchNorm's old statistics put back."""
    replay = Replay(recording, covered=False)
    replay.point = (1e-3, 1.0)
    old = estimate(replay.runs, "source_old_bn").mean
    assert f"old statistics put back: {100 * old:.1f}%" in replay.alt
    assert "(before: 90.0%" in replay.alt


def test_every_split_that_moved_has_a_bar(recording):
    """The axis of the weights begins below nearly all that was recorded, for all points the same."""
    replay = Replay(recording, covered=False)
    replay.point = (1e-3, 1.0)
    panels = [a for a in replay.figure.figure.axes if a.get_title().startswith("weights moved")]
    low, high = panels[0].get_ylim()
    moved = [value for run in replay.runs for value in run.displacement]
    assert low < min(moved) < max(moved) < high


def test_the_best_point_and_a_tie_score_as_such(recording):
    """The best point is said to be it; one that is no worse is not told apart, or a tie."""
    replay = Replay(recording)
    replay.point = (1e-2, 0.1)
    replay.predict.click()
    assert replay.score.endswith("the best point.")
    replay.point = (1e-2, 1.0)
    replay.predict.click()
    assert "tie" in replay.score


def test_sliders_show_the_runs_of_their_point(recording):
    """Moving a slider changes point, picture, words and alt text to the mean over its runs."""
    replay = Replay(recording, covered=False)
    for lr in made_up.RATES:
        before = replay.png
        moved = replay.lr_control.value != lr
        replay.lr_control.value = lr
        assert (replay.png != before) == moved
        assert [run.seed for run in replay.runs] == [0, 1, 2]
        assert f"accuracy {100 * estimate(replay.runs).mean:.1f}%" in replay.alt
        assert (
            f"source task {100 * estimate(replay.runs, 'source_accuracy').mean:.1f}%" in replay.alt
        )
    assert all(f"{name} " in replay.alt for name in made_up.SPLITS)


def test_each_training_size_keeps_its_prediction(replay):
    """A prediction belongs to its training size and is there again on the way back."""
    replay.point = (1e-3, 100.0)
    replay.predict.click()
    score = replay.score
    replay.condition_controls["train_size"].value = 80
    assert replay.prediction is None
    assert replay.score == ""
    assert replay.point == (1e-3, 100.0), "the point stays where it was"
    replay.condition = {"train_size": 40}
    assert replay.prediction == (1e-3, 100.0)
    assert replay.score == score


def test_what_the_recording_does_not_have_is_refused(replay):
    """A point or a size outside the grid is refused and changes nothing."""
    before = replay.point, replay.png
    for point in ((0.5, 1.0), (1e-3, 7.0), (float("nan"), 1.0)):
        with pytest.raises(DifflrError, match="has"):
            replay.point = point
    for condition in ({"train_size": 12}, {"bn": "drifting"}, {"no such": 1}):
        with pytest.raises(DifflrError, match="no runs"):
            replay.condition = condition
    assert (replay.point, replay.png) == before


def test_a_grid_with_holes_says_where_it_has_no_runs(tmp_path):
    """A point between the cells of a coarse grid shows no numbers, and cannot be predicted."""
    cells = [
        Cell("differential", {"lr": lr, "ratio": r}, 40, 2) for lr, r in ((1e-3, 1), (1e-2, 10))
    ]
    replay = Replay(
        save_recording(made_up.journal(tmp_path / "j.jsonl", cells), tmp_path / "r.json.gz"),
        covered=False,
    )
    replay.point = (1e-3, 10)
    assert replay.runs == []
    assert "no runs there" in replay.alt
    replay.predict.click()
    assert replay.prediction is None
    replay.point = (1e-2, 10)
    assert "accuracy" in replay.alt


def test_phases_are_those_of_the_plan(tmp_path):
    """The phase slider offers the phases of the point's plan, by their epochs."""
    cells = [Cell("gradual", {"lr": lr}, 40, 6) for lr in (1e-3, 1e-2)]
    path = made_up.journal(tmp_path / "j.jsonl", cells, stages=("validation",))
    replay = Replay(save_recording(path, tmp_path / "r.json.gz"), covered=False)
    assert len(replay.phase_control.options) == 6
    before = replay.png
    replay.phase_control.value = 3
    assert replay.png != before
    assert replay.phase_control.label == "4: epochs 4 to 4"
    assert replay.row_control.layout.display == "none", "there is nothing to choose"
    replay.point = (1e-2, "gradual")
    assert replay.phase_control.value == 3, "the phase stays where the next plan has it too"


def test_controls_can_be_used_by_keyboard_and_nothing_jumps(replay):
    """All controls are focusable widgets with a description; the picture keeps its size."""
    controls = [
        replay.lr_control, replay.row_control, replay.phase_control,
        *replay.condition_controls.values(), replay.predict, replay.look,
    ]  # fmt: skip
    assert all(control.description for control in controls)
    assert all(button.tooltip for button in (replay.predict, replay.look))
    size = replay.picture.width, replay.picture.height
    assert size == ("960", "448")
    replay.look.click()
    assert (replay.picture.width, replay.picture.height) == size
    assert replay.static().alt == replay.alt
    json.dumps(replay.lr_control.options)


def test_a_study_without_rates_has_no_replay(tmp_path):
    """A recording without base LRs, or a name that is not there, is refused."""
    cell = Cell("uniform", {}, 40, 1)
    with pytest.raises(DifflrError, match="cannot be read"):
        Replay("no such recording")
    run = {**made_up.measured(Cell("uniform", {"lr": 1e-3}, 40, 1), 0, "validation")}
    from difflr.runs.journal import Journal

    with Journal(tmp_path / "j.jsonl", "recipes", {"splits": made_up.SPLITS}) as journal:
        journal.open_session({})
        journal.add({**run, "options": dict(cell.options)})
    with pytest.raises(DifflrError, match="no base learning rates"):
        Replay(save_recording(tmp_path / "j.jsonl", tmp_path / "r.json.gz"))


@pytest.mark.parametrize("name", list_recordings())
def test_every_recording_that_ships_opens(name):
    """In each condition words, picture and table are those of one cell; one control for all that varies."""
    replay = Replay(name, covered=False)
    for tag, control in replay.condition_controls.items():
        assert len({condition[tag] for condition in replay.conditions}) > 1
        assert control.description
    for condition in replay.conditions:
        replay.condition = condition
        assert {
            tag: c.value for tag, c in replay.condition_controls.items()
        }.items() <= condition.items()
        assert len({run.cell.key for run in replay.runs}) == 1
        tags = replay.runs[0].cell.tags
        assert {tag: tags[tag] for tag in condition} == condition
        assert f"accuracy {format_estimate(estimate(replay.runs))}" in replay.alt
        assert format_estimate(estimate(replay.runs)) in replay.table.value
        assert on_the_next_panel(replay.figure.figure) == []


def on_the_next_panel(figure):
    """Return the words of the grid's title and axes that reach into what stands beside the grid."""
    own, beside, *_ = figure.axes
    end = beside.get_tightbbox().x0
    texts = [own.title, own.xaxis.label, own.yaxis.label]
    return [text.get_text() for text in texts if text.get_window_extent().x1 > end]


def test_the_numbers_of_a_table_are_not_broken():
    """5.6e-3 stays in one line; words may go on in the next."""
    html = table_html(["split", "LR", "trains"], [["stem", "5.6e-3", "stem, layer1 to layer4"]])
    cells = re.findall(r'<td style="([^"]*)">([^<]*)', html)
    assert [text for style, text in cells if "nowrap" in style] == ["5.6e-3"]


def test_decays_are_points_of_their_own():
    """All layer decays at one base LR were averaged."""
    replay = Replay("vit", covered=False)
    means = {}
    for decay in (0.5, 0.75, 1.0):
        replay.point = (3e-3, decay)
        assert {run.cell.options["decay"] for run in replay.runs} == {decay}
        means[decay] = replay.alt.split("accuracy ")[1][:5]
        assert f"Base LR 3e-3, decay {decay:g}, 500 training pictures (3 seeds)" in replay.alt
    assert len({*means.values()}) == 3


def test_a_control_offers_what_was_run_and_takes_the_others_along():
    """What is chosen is kept; what was not run with it is not offered."""
    replay = Replay("peak", covered=False)
    replay.condition = {"train_size": 500, "epochs": 12, "augment": True}
    replay.condition_controls["train_size"].value = 5000
    assert replay.condition["epochs"] == 6
    assert [value for _, value in replay.condition_controls["epochs"].options] == [6]
    assert "5,000 training pictures, 6 epochs, not augmented" in replay.alt
    replay.condition_controls["train_size"].value = 500
    assert [value for _, value in replay.condition_controls["epochs"].options] == [3, 6, 12]


def test_what_another_package_trained_has_no_phases_and_no_curves():
    """Its schedule is its own, and the picture says so."""
    replay = Replay("recipes")
    replay.condition = {"epochs": 6, "bn": "trained"}
    replay.point = (3e-3, "fastai.fine_tune")
    said = [text.get_text() for axes in replay.figure.figure.axes for text in axes.texts]
    assert "a schedule of another package" in said
    assert replay.phase_control.layout.visibility == "hidden"
    replay.look.click()
    said = [text.get_text() for axes in replay.figure.figure.axes for text in axes.texts]
    assert said.count("not recorded") == 2
    replay.point = (2e-3, "fastai.fine_tune")
    assert "the grid has no runs there" in replay.alt
