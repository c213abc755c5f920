"""The picture of a range test shows every loss that says something, and nothing before there is one."""

import math

from difflr.rangetest.figure import blank_figure, range_figure


def drawn(losses, smoothed):
    """Return the limits of the loss axis for a test with these losses."""
    multipliers = tuple(10.0**i for i in range(len(losses)))
    return range_figure(multipliers, losses, smoothed, multipliers[2], 1e-3).axes[0].get_ylim()


def test_losses_below_the_smoothed_line_are_seen():
    """The line lags behind the losses: the lowest of them still lies inside the picture."""
    bottom, top = drawn((2.5, 2.4, 1.5, 0.9), (2.5, 2.45, 2.1, 1.6))
    assert bottom < 0.9
    assert top > 2.5


def test_explosions_do_not_squeeze_the_picture():
    """A loss far above, far below or not finite leaves the fall that matters in view."""
    smoothed = (2.5, 2.4, 2.0, 2.2)
    for wild in (1e6, -1e6, math.inf, math.nan):
        bottom, top = drawn((2.5, 2.4, 1.9, wild), smoothed)
        assert top - bottom < 2


def test_a_test_not_done_shows_no_numbers():
    """The empty picture says so, and its axes have names and no ticks that would mean something."""
    axes = blank_figure().axes[0]
    assert [text.get_text() for text in axes.texts] == ["not tested yet"]
    assert axes.get_xlabel()
    assert not any(
        tick.label1.get_visible() or tick.tick1line.get_visible()
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
    )
