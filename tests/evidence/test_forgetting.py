"""What is kept of the source task at equal accuracy, on curves that are known."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import plateau

from difflr.errors import DifflrError
from difflr.evidence.forgetting import kept_at_equal_accuracy
from difflr.runs.statistics import paired

RATES = (1e-4, 1e-3, 1e-2, 1e-1)


@pytest.fixture
def side(tmp_path):
    """A function from accuracies and what is kept, by base LR, to the runs of one recipe."""
    patterns = [
        run
        for run in plateau(tmp_path).where(measured_on="validation", train_size=40, ratio=1.0)
        if run.seed in (0, 1, 2)
    ]

    def runs(accuracies, kept, *, recalibrated=True, shift=0.0):
        return [
            replace(
                run,
                accuracy=accuracies[place] + 0.001 * run.seed,
                source_accuracy=kept[place] + shift * run.seed if not recalibrated else 0.0,
                source_recalibrated=kept[place] + shift * run.seed if recalibrated else None,
            )
            for run in patterns
            for place, lr in enumerate(RATES[: len(accuracies)])
            if run.tags["base_lr"] == lr
        ]

    return runs


def test_both_are_read_where_they_are_a_point_below_the_lower_best(side):
    """Between two rates, by the mean accuracy over seeds; the best rates would say something else."""
    uniform = side([0.40, 0.59, 0.61, 0.50], [0.40, 0.30, 0.20, 0.10])
    graded = side([0.30, 0.50, 0.60, 0.58], [0.42, 0.38, 0.34, 0.25])
    # Both reach 60%, so 59%: uniform does at its second rate, graded nine tenths on the way to its third.
    found = kept_at_equal_accuracy(graded, uniform)
    assert found.mean == pytest.approx(0.38 - 0.9 * 0.04 - 0.30)
    assert found.n == 3
    assert kept_at_equal_accuracy(uniform, graded).mean == pytest.approx(-found.mean)


def test_seeds_are_paired(side):
    """What a seed keeps more on both sides cancels; on one side it is the interval."""
    uniform = ([0.40, 0.61, 0.50], [0.40, 0.30, 0.20])
    graded = ([0.40, 0.61, 0.50], [0.45, 0.35, 0.20])
    same = kept_at_equal_accuracy(side(*graded, shift=0.02), side(*uniform, shift=0.02))
    assert (same.mean, same.half) == (pytest.approx(0.05), pytest.approx(0, abs=1e-9))
    assert kept_at_equal_accuracy(side(*graded, shift=0.02), side(*uniform)).half > 0.04


def test_the_interval_holds_the_truth_as_often_as_it_says(side):
    """Of simulated studies of three seeds about 95% do, though the curves are noisy."""
    rng, held, spread_of_kept_alone = np.random.default_rng(0), 0, 0
    sides = [
        side([0.50, 0.59, 0.61, 0.50], [0.40, 0.32, 0.20, 0.10]),
        side([0.40, 0.56, 0.62, 0.58], [0.42, 0.38, 0.34, 0.25]),
    ]
    truth = kept_at_equal_accuracy(*sides).mean
    for _ in range(300):
        easy = rng.normal(0, 0.01, 3)  # shared by both sides: the pictures that a seed draws

        def noisy(run, easy=easy):
            own = rng.normal(0, 0.01, 2) + easy[run.seed]
            anew = run.source_recalibrated + own[1]
            return replace(run, accuracy=run.accuracy + own[0], source_recalibrated=anew)

        seen = [[noisy(run) for run in runs] for runs in sides]
        value = kept_at_equal_accuracy(*seen)
        held += abs(value.mean - truth) <= value.half
        kept = [
            {r.seed: r.source_recalibrated for r in runs if r.tags["base_lr"] == RATES[1]}
            for runs in seen
        ]
        spread_of_kept_alone += abs(value.mean - truth) <= paired(*kept).half
    assert 0.92 < held / 300 < 0.99
    assert spread_of_kept_alone < 0.9 * held, "without the curves' noise it is too narrow"


def test_a_curve_that_dips_is_read_where_it_first_gets_there(side):
    """From the lowest rate upwards, where most is kept."""
    uniform = side([0.40, 0.60, 0.45, 0.61], [0.40, 0.30, 0.20, 0.10])
    graded = side([0.40, 0.60, 0.59, 0.58], [0.40, 0.30, 0.20, 0.10])
    assert kept_at_equal_accuracy(graded, uniform).mean == pytest.approx(0)


def test_without_batchnorm_the_networks_own_accuracy_counts(side):
    """A transformer has no statistics to estimate anew."""
    uniform = side([0.40, 0.60], [0.40, 0.30], recalibrated=False)
    graded = side([0.40, 0.60], [0.50, 0.40], recalibrated=False)
    assert kept_at_equal_accuracy(graded, uniform).mean == pytest.approx(0.1)


def test_what_favours_ours_is_refused_and_what_does_not_is_taken(side):
    """A rival that was not tried low enough would seem to keep little; ours there keeps at least that."""
    high, whole = side([0.60, 0.59], [0.30, 0.20]), side([0.40, 0.60], [0.40, 0.30])
    with pytest.raises(DifflrError, match=r"lowest rate reaches 60.1%.*59.1%.*lower rates"):
        kept_at_equal_accuracy(whole, high)
    assert kept_at_equal_accuracy(high, whole).mean == pytest.approx(0.30 - (0.40 - 0.95 * 0.1))


def test_a_rate_that_not_all_seeds_tried_does_not_count(side):
    """As in the choice of the rate: two lucky seeds do not make a curve."""
    uniform = side([0.40, 0.60], [0.40, 0.30])
    graded = side([0.40, 0.60, 0.70], [0.50, 0.40, 0.0])
    lucky = [run for run in graded if run.tags["base_lr"] < 1e-2 or run.seed < 2]
    assert kept_at_equal_accuracy(lucky, uniform).mean == pytest.approx(0.1)


def test_runs_without_a_source_task_say_so(side):
    """Nothing is made up where nothing was measured."""
    uniform = side([0.40, 0.60], [0.40, 0.30])
    none = [replace(run, source_recalibrated=None, source_accuracy=None) for run in uniform]
    with pytest.raises(DifflrError, match="--source"):
        kept_at_equal_accuracy(uniform, none)
