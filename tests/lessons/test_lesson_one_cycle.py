"""Lesson 4: right answers of every kind are taken, and wrong ones get the hint that they need."""

import math
from typing import ClassVar

import numpy as np
import pytest
import torch
from answers import Answers
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from difflr import PlanScheduler, make_plan
from difflr import plan as onecycle
from difflr.lessons import one_cycle as lesson_4
from difflr.lessons.curves import BATCHES, EPOCHS, drive, plot_changes, plot_curves, rehearse
from difflr.lessons.one_cycle.cycles import cycle_lr


@pytest.mark.parametrize(
    "setting", [(10, 1.0, 0.3, 25.0, 1e4), (23, 2.0, 0.7, 2.0, 3.0), (50, 0.1, 0.25, 10.0, 100.0)]
)
def test_the_formula_of_the_lesson_is_that_of_torch(setting):
    """What 4.1 is measured by: OneCycleLR's learning rates, whether or not the peak is on a step."""
    total, high, pct_start, div, final = setting
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1, momentum=0.9)
    scheduler = OneCycleLR(
        optimizer,
        high,
        total,
        pct_start=pct_start,
        div_factor=div,
        final_div_factor=final,
    )
    found = [lrs[0] for lrs in drive(optimizer, scheduler, total)]
    assert found == pytest.approx([cycle_lr(step, *setting) for step in range(total)])


def between(start, end, share):
    """As in the lesson."""
    return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)


def in_two_calls(step, total_steps, max_lr, pct_start, div_factor, final_div_factor):
    """The solution."""
    first = max_lr / div_factor
    peak, end = pct_start * total_steps - 1, total_steps - 1
    if step <= peak:
        return between(first, max_lr, step / peak)
    return between(max_lr, first / final_div_factor, (step - peak) / (end - peak))


def with_difflr(step, total, high, pct_start, div, final):
    """difflr's own function, strict at the peak."""
    rises, way = onecycle.one_cycle(step, total, pct_start)
    first = high / div
    return way(first, high) if rises else way(high, first / final)


def with_torch(step, total, high, pct_start, div, final):
    """Run torch's own up to the step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1, momentum=0.9)
    options = {"pct_start": pct_start, "div_factor": div, "final_div_factor": final}
    scheduler = OneCycleLR(optimizer, high, total, **options)
    return drive(optimizer, scheduler, step + 1)[-1][0]


def with_tensors(step, total, high, pct_start, div, final):
    """A tensor for a number, and the sine of an angle."""
    peak = torch.tensor(pct_start * total - 1, dtype=torch.float64)
    first = high / div
    if step < peak:
        return first + (high - first) * torch.sin(math.pi / 2 * step / peak) ** 2
    share = (step - peak) / (total - 1 - peak)
    return first / final + (high - first / final) * torch.cos(math.pi / 2 * share) ** 2


def in_single(step, *setting):
    """The solution in single precision, as numpy or torch would give it."""
    step, *setting = (torch.tensor(float(x)) for x in (step, *setting))
    total, high, pct_start, div, final = setting
    first, peak, end = high / div, pct_start * total - 1, total - 1
    ends, share = (
        ((first, high), step / peak)
        if step <= peak
        else ((high, first / final), (step - peak) / (end - peak))
    )
    return ends[1] + (ends[0] - ends[1]) / 2 * (torch.cos(math.pi * share) + 1)


CURVES = {
    "single precision": in_single,
    "numpy's single precision": lambda *a: np.float32(in_two_calls(*a)),
    "an array of one": lambda *a: np.array([in_two_calls(*a)]),
    "the solution": in_two_calls,
    "difflr": with_difflr,
    "torch": with_torch,
    "tensors": with_tensors,
}


def slips(peak=1, end=1, final=1.0, bend=between, count=float):
    """The solution with a slip in one place."""

    def curve(step, total, high, pct_start, div, final_div):
        first, top = high / div, count(pct_start * total) - peak
        if step <= top:
            return bend(first, high, step / top)
        last = (high if final == "peak" else first) / final_div if final else 0.0
        return bend(high, last, (step - top) / (total - end - top))

    return curve


WRONG_CURVES = {
    "peak": (slips(peak=0), "peak comes one step late"),
    "end": (slips(end=0), "cycle ends one step late"),
    "both": (slips(peak=0, end=0), "Peak and end both"),
    "final": (slips(final="peak"), "You divide the peak"),
    "zero": (slips(final=0), "ends at 0"),
    "lines": (
        slips(bend=lambda start, end, share: start + (end - start) * share),
        "straight lines",
    ),
    "whole steps": (slips(count=int), "whole number"),
    "rounded steps": (slips(count=round), "whole number"),
    "rounded up": (slips(count=math.ceil), "whole number"),
    "nothing": (lambda step, *_: {}.get(step), "gives nothing back"),
    "text": (lambda *_: "0.1", "expected a number"),
}


def test_other_wrong_curves_are_told_where():
    """A curve that nobody foresaw is compared at its first wrong step; an empty one is unfinished."""
    verdict = lesson_4.check_curve(lambda step, total, *_: 0.04 if step else 1.0)
    assert "Not the curve" in verdict.message
    assert "step 0 has a learning rate of 1" in verdict.hints[0]
    ignores = lambda step, total, high, pct_start, *_: cycle_lr(  # noqa: E731
        step, total, high, pct_start, 25.0, 1e4
    )
    assert "div_factor=10" in lesson_4.check_curve(ignores).hints[0]
    assert lesson_4.check_curve(lambda *_: ...).state == "unfinished"


RIGHT = {"first": 0.01, "peak_step": 9, "last": 1e-4, "momentum_at_peak": 0.85}


def test_the_prediction_to_make_is_what_torch_does():
    """The four numbers of torch's own cycle are right; four dots are not begun."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1, momentum=0.9)
    cycle = OneCycleLR(
        optimizer, 0.1, total_steps=40, pct_start=0.25, div_factor=10, final_div_factor=100
    )
    rates, momenta = [], []
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step(), cycle.step()
    peak = rates.index(max(rates))
    in_truth = {"first": rates[0], "peak_step": peak, "last": rates[-1]}
    assert lesson_4.check_prediction(in_truth | {"momentum_at_peak": momenta[peak]}).done
    stub = dict.fromkeys(RIGHT, ...)
    assert lesson_4.check_prediction(stub).state == "unfinished"


RIGHTS = {
    "all four": RIGHT,
    "numpy": {name: np.float32(value) for name, value in RIGHT.items()},
    "torch": {name: torch.tensor(value) for name, value in RIGHT.items()},
    "a fraction": RIGHT | {"last": 0.1 / 10 / 100, "peak_step": 9.0},
}
WRONG_PREDICTIONS = {
    "default": (RIGHT | {"first": 0.004}, "the default"),
    "from 0": (RIGHT | {"first": 0.0}, "neither at 0"),
    "counted from 1": (RIGHT | {"peak_step": 10}, "from 1"),
    "in the middle": (RIGHT | {"peak_step": 20}, "`pct_start` of all steps"),
    "of the peak": (RIGHT | {"last": 1e-3}, "You divide the peak"),
    "to 0": (RIGHT | {"last": 0}, "not end at 0"),
    "momentum with the rate": (RIGHT | {"momentum_at_peak": 0.95}, "against it"),
    "half way": (RIGHT | {"momentum_at_peak": 0.9}, "two defaults"),
    "a word": (RIGHT | {"momentum_at_peak": "low"}, "expected a number"),
}


CYCLE = {
    "max_lr": [1e-4, 1e-3, 1e-2],
    "pct_start": 0.4,
    "div_factor": 10.0,
    "final_div_factor": 100,
}


CYCLES = {
    "the solution": CYCLE,
    "a tuple": CYCLE | {"max_lr": (1e-4, 1e-3, 1e-2), "total_steps": 100},
    "about as steep": CYCLE | {"pct_start": 0.41, "cycle_momentum": False},
    "lines": CYCLE | {"anneal_strategy": "linear", "epochs": 5, "steps_per_epoch": 20},
    "an array": CYCLE | {"max_lr": np.geomspace(1e-4, 1e-2, 3), "div_factor": np.float32(10)},
    "a tensor": CYCLE | {"max_lr": torch.tensor([1e-4, 1e-3, 1e-2])},
    "powers": CYCLE | {"max_lr": [1e-2 / 10**i for i in (2, 1, 0)]},
}
WRONG_CYCLES = {
    "one peak": (CYCLE | {"max_lr": 1e-2}, "same peak"),
    "backwards": (CYCLE | {"max_lr": [1e-2, 1e-3, 1e-4]}, "deep to shallow"),
    "two peaks": (CYCLE | {"max_lr": [1e-3, 1e-2]}, "does not take"),
    "too low": (CYCLE | {"max_lr": [1e-5, 1e-4, 1e-3]}, "head peaks at 0.001"),
    "not a tenth": (CYCLE | {"max_lr": [1e-3, 5e-3, 1e-2]}, "a tenth"),
    "early": (CYCLE | {"pct_start": 0.3}, "peak comes at step 29"),
    "a little early": (CYCLE | {"pct_start": 0.38}, "peak comes at step 37"),
    "a little late": (CYCLE | {"pct_start": 0.42}, "peak comes at step 41"),
    "percent": (CYCLE | {"pct_start": 40}, "does not take"),
    "default start": (CYCLE | {"div_factor": 25.0}, "begins at 0.0004"),
    "of the peak": (CYCLE | {"final_div_factor": 1000.0}, "divided the peak"),
    "default end": (CYCLE | {"final_div_factor": 1e4}, "ends at 1e-07"),
    "half the steps": (CYCLE | {"total_steps": 50}, "has 50 steps"),
    "no such option": (CYCLE | {"height": 3}, "does not take"),
    "rates alone": ([1e-4, 1e-3, 1e-2], "with `max_lr`"),
    "no height": ({"pct_start": 0.4}, "with `max_lr`"),
    "a number": (1e-2, "with `max_lr`"),
}


def optimizer_of(module):
    """As in the lesson."""
    return torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)


def per_step(module):
    """The solution."""
    optimizer = optimizer_of(module)
    cycle = OneCycleLR(optimizer, 0.1, total_steps=module.trainer.estimated_stepping_batches)
    return [optimizer], [{"scheduler": cycle, "interval": "step"}]


def every_second(module):
    """Step the scheduler with every second step."""
    optimizers, (cycle,) = per_step(module)
    return optimizers, [{**cycle, "frequency": 2}]


def as_a_dictionary(module):
    """Lightning's other form, counted by hand."""
    optimizer, trainer = optimizer_of(module), module.trainer
    trainer.fit_loop.setup_data()
    each = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
    cycle = OneCycleLR(optimizer, 0.1, epochs=trainer.max_epochs, steps_per_epoch=each)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def by_a_plan(module):
    """With difflr's scheduler."""
    optimizer = optimizer_of(module)
    steps = module.trainer.estimated_stepping_batches // module.trainer.max_epochs
    cycle = PlanScheduler(optimizer, make_plan("uniform", 1, EPOCHS, lr=0.1), steps)
    return [optimizer], [{"scheduler": cycle, "interval": "step"}]


def by_lambda(module):
    """With the curve by hand."""
    optimizer, steps = optimizer_of(module), module.trainer.estimated_stepping_batches
    cycle = LambdaLR(
        optimizer, lambda step: cycle_lr(min(step, steps - 1), steps, 1, 0.3, 25.0, 1e4)
    )
    return [optimizer], [{"scheduler": cycle, "interval": "step"}]


def counted_by_hand(module):
    """Batches over accumulated ones, rounded up, for every epoch."""
    per_epoch = math.ceil(len(module.train_dataloader()) / module.trainer.accumulate_grad_batches)
    return made_of(lambda m: per_epoch * m.trainer.max_epochs)(module)


CONFIGURES = {
    "counted by hand": counted_by_hand,
    "the solution": per_step,
    "a dictionary": as_a_dictionary,
    "a plan": by_a_plan,
    "a lambda": by_lambda,
}


def made_of(steps, interval="step", high=0.1):
    """Return a ``configure`` that counts as ``steps`` says."""

    def configure(module):
        optimizer = optimizer_of(module)
        cycle = OneCycleLR(optimizer, high, total_steps=steps(module))
        return [optimizer], [{"scheduler": cycle, "interval": interval}]

    return configure


def batches(module):
    """Batches in all epochs, as the planted bug counts them."""
    return module.trainer.max_epochs * len(module.train_dataloader())


def estimated(module):
    """As Lightning counts."""
    return module.trainer.estimated_stepping_batches


WRONG_CONFIGURES = {
    "the planted bug": (made_of(batches, "epoch"), "once per *epoch*"),
    "interval only": (made_of(batches), "You count batches"),
    "far too long": (made_of(lambda m: 1000), "made for 1000"),
    "begins high": (
        lambda m: [
            [o := optimizer_of(m)],
            [
                {
                    "interval": "step",
                    "scheduler": OneCycleLR(o, 0.1, total_steps=estimated(m), div_factor=1),
                }
            ],
        ],
        "begins at its peak",
    ),
    "a level schedule": (
        lambda m: [
            [o := optimizer_of(m)],
            [{"interval": "step", "scheduler": LambdaLR(o, lambda step: 1.0)}],
        ],
        "stays at 0.1",
    ),
    "counting only": (made_of(estimated, "epoch"), "once per *epoch*"),
    "rounded down": (
        made_of(lambda m: batches(m) // m.trainer.accumulate_grad_batches),
        "ends before the training",
    ),
    "one epoch": (made_of(lambda m: BATCHES), "ends before the training"),
    "another peak": (made_of(estimated, high=0.01), "peaks at 0.01"),
    "every second step": (every_second, "not stepped once in each"),
    "no scheduler": (optimizer_of, "no scheduler moves it"),
    "nothing": (lambda m: optimizer_of(m) and None, "gives nothing back"),
}


class TestAnswers(Answers):
    """Curves by hand, by difflr, by torch; any scheduler that steps with the optimizer."""

    lesson = lesson_4
    number = 4
    right: ClassVar = {
        "curve": CURVES,
        "prediction": RIGHTS,
        "cycle": CYCLES,
        "configure": CONFIGURES,
    }
    wrong: ClassVar = {
        "curve": WRONG_CURVES,
        "prediction": WRONG_PREDICTIONS,
        "cycle": WRONG_CYCLES,
        "configure": WRONG_CONFIGURES,
    }


def test_hints_come_one_by_one():
    """A further attempt with the same misconception shows the next hint."""
    lesson_4.lesson.reset()
    first, second = (lesson_4.check_configure(made_of(batches, "epoch")) for _ in range(2))
    assert (len(first.hints), first.more) == (1, 1)
    assert (len(second.hints), second.more) == (2, 0)
    assert "interval" in first.hints[0]
    assert '"interval": "step"' in second.hints[1]


def test_a_rehearsal_is_a_real_fit():
    """It notes one learning rate per optimizer step, with whatever options the Trainer takes."""
    assert len(rehearse(per_step)) == EPOCHS * BATCHES
    assert len(rehearse(per_step, accumulate_grad_batches=5)) == EPOCHS * 3
    assert len(rehearse(per_step, max_epochs=1)) == BATCHES


def test_curves_can_be_told_apart():
    """Each has a name, a colour and a line style of its own, and the numbers it was given."""
    figure = plot_curves({"one": [1, 2, 3], "two": [3, 2, 1], "three": [2, 2, 2]}, "T", log=True)
    (axes,) = figure.axes
    lines = axes.patches  # stairs: no ramp from one step's learning rate to the next
    assert [line.get_label() for line in lines] == ["one", "two", "three"]
    assert list(lines[1].get_data().values) == [3, 2, 1]
    assert len({line.get_edgecolor() for line in lines}) == 3
    assert len({line.get_linestyle() for line in lines}) == 3
    assert axes.get_yscale() == "log"


def test_each_change_has_a_panel_with_the_default_beside_it():
    """Curves that lie on one another in one picture are told apart in three."""
    figure = plot_changes([1, 2], {"a": [1, 3], "b": [2, 2]})
    assert [axes.get_title("left") for axes in figure.axes] == ["a", "b"]
    drawn = [[list(line.get_ydata()) for line in axes.get_lines()] for axes in figure.axes]
    assert drawn == [[[1, 2], [1, 3]], [[1, 2], [2, 2]]]


@pytest.mark.parametrize(("epochs", "ticks"), [(6, range(0, 61, 10)), (24, range(0, 241, 20))])
def test_ticks_stand_where_epochs_begin(epochs, ticks):
    """With ten steps per epoch each epoch has its tick; where they are many, every other one."""
    figure = plot_curves({"one": [1.0] * 10 * epochs}, "T", steps_per_epoch=10)
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    assert [t for t in figure.axes[0].get_xticks() if low <= t <= high] == [
        t for t in ticks if t <= high
    ]
