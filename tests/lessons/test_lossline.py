"""One line shows the loss of a training as it runs."""

from types import SimpleNamespace

import torch

from difflr.lessons import lossline
from difflr.lessons.lossline import LossLine


def trained(line, *epochs):
    """Give the losses of some epochs to the callback, as a Trainer does."""
    line.on_train_start(None, None)
    for losses in epochs:
        for loss in losses:
            line.on_train_batch_end(None, None, {"loss": torch.tensor(loss)}, None, 0)
        line.on_train_epoch_end(None, None)


def test_the_line_is_shown_anew_after_each_epoch(monkeypatch):
    """It holds the mean of each epoch, the highest as a full bar."""
    seen = []
    handle = SimpleNamespace(update=lambda line: seen.append(repr(line)))
    monkeypatch.setattr(lossline, "display", lambda *_, **__: handle)
    line = LossLine("uniform")
    trained(line, [3.0, 1.0], [1.0, 1.0])
    assert seen == ["         uniform █ loss 2.00", "         uniform █▅ loss 1.00"]
    trained(line, [0.5])
    assert line.losses == [0.5]  # a second training begins anew


def test_one_line_serves_many_trainings(monkeypatch):
    """The next one takes the place of the last, under the name that is set, and not a line of its own."""
    shown, seen = [], []
    handle = SimpleNamespace(update=lambda line: seen.append(repr(line)))
    monkeypatch.setattr(lossline, "display", lambda *_, **__: shown.append(1) or handle)
    line = LossLine("first")
    trained(line, [2.0])
    line.name = "second"
    trained(line, [1.0])
    assert shown == [1]
    assert seen[-2].split() == ["second", "no", "epoch", "yet"]
    assert seen[-1].split() == ["second", "█", "loss", "1.00"]


def test_losses_that_are_no_numbers_are_shown_and_stop_nothing(monkeypatch):
    """A training that diverges is told by its number."""
    monkeypatch.setattr(lossline, "display", lambda *_, **__: None)
    line = LossLine("x")
    trained(line, [1.0], [float("inf")], [float("nan")])
    assert repr(line).endswith("loss nan")
