from pathlib import Path

import pytest
import torch
import torchvision
from nets import SPLITS
from torch import nn
from torch.optim import SGD, AdamW

import difflr
from difflr import Phase, Plan, PlanScheduler, Ratio, freeze_to, param_groups, report, split_model
from difflr.inspector import split_rows


def test_the_report_has_a_line_per_split_and_fits_a_screen():
    """Name, tensors, parameters, share, state, LR, weight decay, BN mode; 80 columns, a sum below."""
    splits = split_model(torchvision.models.resnet18())
    freeze_to(splits, 4)
    optimizer = AdamW(param_groups(splits, Ratio(1e-3), weight_decay=0.05))
    lines = report(splits, optimizer).splitlines()
    assert len(lines) == 8
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == [
        "split",
        "tensors",
        "parameters",
        "share",
        "state",
        "lr",
        "weight",
        "decay",
        "bn",
    ]
    assert lines[1].split() == [
        "stem",
        "3",
        "9,536",
        "0.1%",
        "frozen",
        "1e-05",
        "0.05",
        "/",
        "0",
        "eval",
    ]
    assert lines[5].split() == [
        "layer4",
        "15",
        "8,393,728",
        "71.8%",
        "trainable",
        "0.0004",
        "0.05",
        "/",
        "0",
        "train",
    ]
    assert lines[6].split() == [
        "head",
        "2",
        "513,000",
        "4.4%",
        "trainable",
        "0.001",
        "0.05",
        "/",
        "0",
        "-",
    ]
    assert lines[7].split() == ["all", "62", "11,689,512"]


def test_rows_are_read_off_the_model_and_the_optimizer_as_they_are(net):
    """Shares sum to 1; without an optimizer there are no rates to show."""
    rows = split_rows(split_model(net))
    assert [row.name for row in rows] == list(SPLITS)
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in net.parameters())
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert {(row.lr, row.weight_decay) for row in rows} == {(None, ())}


def test_the_rate_is_the_one_of_the_moment(net):
    """A scheduler that steps changes the next report."""
    plan = Plan([Phase(0, 1, [1e-3] * 6)])
    splits = split_model(net)
    optimizer = AdamW(param_groups(splits))
    scheduler = PlanScheduler(optimizer, plan, 10)
    for step in range(3):
        assert {row.lr for row in split_rows(splits, optimizer)} == {plan.lrs(step, 10)[0]}
        optimizer.step()
        scheduler.step()


def test_a_split_with_some_frozen_parameters_says_partly(net):
    """As with train_bn, where only BatchNorm trains."""
    splits = split_model(net)
    freeze_to(splits, -1, train_bn=True)
    assert [row.trainable for row in split_rows(splits)] == ["partly"] * 5 + ["trainable"]


def test_both_weight_decays_of_a_split_are_shown(net):
    """What param_groups spares has 0, and the report says so; one for all stands alone."""
    splits = split_model(net)
    for all_alike, found, shown in ((False, (0.01, 0.0), "0.01 / 0"), (True, (0.01,), "0.01")):
        optimizer = AdamW(param_groups(splits, 1e-3, decay_norm_bias=all_alike))
        assert [row.weight_decay for row in split_rows(splits, optimizer)] == [found] * 6
        line = report(splits, optimizer).splitlines()[1]
        assert line.split("0.001")[1].split("  train")[0].strip() == shown


@pytest.mark.parametrize("weight_decay", [{}, {"weight_decay": 0.1}])
def test_groups_of_ones_own_are_reported_too(net, weight_decay):
    """Without weight decay, with a tensor for an LR, or holding only some of the parameters."""
    splits = split_model(net)
    group = {"params": net.fc.parameters(), "lr": torch.tensor(0.5), **weight_decay}
    optimizer = SGD([group])
    rows = split_rows(splits, optimizer)
    assert (rows[0].lr, rows[5].lr) == (None, 0.5)
    assert (rows[0].weight_decay, rows[5].weight_decay) == (
        (),
        (weight_decay.get("weight_decay", 0),),
    )
    assert report(splits, optimizer)
    assert report(splits, torch.optim.Rprop(net.parameters(), lr=0.1))


def test_parameters_without_elements_are_no_error():
    """A share of nothing is 0."""
    model = nn.Linear(0, 0, bias=False)
    assert split_rows(split_model(model, [model]))[0].share == 0


def test_no_exported_name_is_that_of_a_module():
    """Importing a submodule sets its name on the package, which would take an export's place."""
    folder = Path(difflr.__file__).parent
    assert not {path.stem for path in folder.iterdir()} & set(difflr.__all__)


def test_the_report_says_where_a_tied_head_trains():
    """With the embedding whose weight it has: no rate of a head's moves it."""
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 5, bias=False))
    splits = split_model(model, list(model))
    assert "tied" not in report(splits)
    model[2].weight = model[0].weight
    splits = split_model(model, list(model[:2]))
    assert "tied: 2.weight is 0.weight of 0" in report(splits)
