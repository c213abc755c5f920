"""The grids of a recording: a point holds the runs of one cell, whatever the recording varies."""

from dataclasses import replace

import pytest

from difflr.evidence.grids import condition_words, grids, point_words, sides
from difflr.studies.recordings import list_recordings, load_recording


@pytest.mark.parametrize("name", list_recordings())
def test_no_point_holds_runs_of_two_cells(name):
    """Every run that chose or reported is in a grid once, beside those of the same cell only."""
    recording = load_recording(name)
    for measured_on in ("validation", "test"):
        rows, conditions = grids(recording, measured_on)
        points = [point for grid in conditions.values() for point in grid.items()]
        for (lr, _), runs in points:
            assert len({run.cell.key for run in runs}) == 1
            assert {run.cell.options["lr"] for run in runs} == {lr}
            assert len({run.seed for run in runs}) == len(runs)
        own = recording.where(measured_on=measured_on)
        assert sorted(map(id, own)) == sorted(id(run) for _, runs in points for run in runs)
        if own:
            assert rows == {"plateau": "ratio", "vit": "decay"}.get(recording.study, "recipe")


def test_points_and_conditions_in_words():
    """Recipes as the command line takes them, a second LR as a share of the first; what varies is said."""
    causes = load_recording("causes")
    causes = replace(causes, runs=causes.where(augment=False))
    rows, conditions = grids(causes)
    first, *_, last = conditions
    assert condition_words(causes, first) == "500 training pictures, BatchNorm kept, AdamW"
    assert condition_words(causes, last) == "500 training pictures, BatchNorm frozen, SGD"
    names = sides(conditions[first])[1]
    assert names[0] == "uniform"
    ratios = [float(name.split("=")[1]) for name in names if name.startswith("two_rates")]
    assert len(ratios) > 1
    assert ratios == sorted(ratios)
    assert {"lp_ft:tune_lr=0.1×lr", "two_rates:ratio=10", "wise_ft:alpha=0.5"} < {*names}
    assert point_words(rows, (1e-3, "uniform")) == "base LR 1e-3, uniform"
    assert point_words("decay", (3e-3, 0.75)) == "base LR 3e-3, decay 0.75"
    text = load_recording("text")
    words = [condition_words(text, condition) for condition in grids(text)[1]]
    assert words[0] == "100 training questions, 6 epochs"
    assert words[-1] == "4,000 training questions, 2 epochs"


def test_a_shape_of_its_own_is_a_row_of_its_own():
    """Gradual unfreezing at constant rates is not taken together with the other."""
    _, (grid,) = (
        found if isinstance(found, str) else [*found.values()]
        for found in grids(load_recording("gradual"))
    )
    assert sides(grid)[1] == [
        *("uniform", "gradual", "gradual:continues=True", "gradual:continues=True:shape=cosine"),
        *("gradual:shape=constant", "gradual:shape=cosine"),
    ]


def test_runs_without_a_base_rate_are_left_out():
    """A recipe with rates of its own has no place on the axis."""
    recording = load_recording("gradual")
    runs = [replace(run, cell=replace(run.cell, options={})) for run in recording.runs]
    assert grids(replace(recording, runs=runs)) == ("recipe", {})
