import pytest
import torch
import torchvision
from torch import nn

from difflr import DifflrError, LayerDecay, expand_lrs, param_groups, split_model
from difflr.models.weight_decay import without_decay


def test_the_rate_falls_by_the_decay_from_split_to_split():
    """The last split has the rate itself."""
    assert expand_lrs(LayerDecay(1.0, 0.5), 4) == [0.125, 0.25, 0.5, 1.0]
    with pytest.raises(DifflrError, match="decay"):
        expand_lrs(LayerDecay(1.0, 0.0), 4)


def test_tokens_and_positions_are_spared_weight_decay():
    """In a model that does not say so itself, by their names."""
    model = torchvision.models.VisionTransformer(32, 8, 2, 2, 32, 64)
    groups = {g["name"]: g for g in param_groups(split_model(model), weight_decay=0.1)}
    spared = {id(p) for p in groups["stem/no_decay"]["params"]}
    assert {id(model.class_token), id(model.encoder.pos_embedding)} <= spared


class Outspoken(nn.Module):
    """A network that names what it wants to be spared."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2, 2))
        self.cls_token = nn.Parameter(torch.zeros(1, 2))
        self.fc = nn.Linear(2, 2)

    def no_weight_decay(self):
        return {"tab*"}


@pytest.mark.parametrize("wrap", [lambda m: m, nn.Sequential, torch.compile])
def test_the_models_own_word_counts(wrap):
    """Also in a wrapper, and it is the whole of the word: nothing is added by name."""
    inner = Outspoken()
    model = wrap(inner)
    (decayed, spared) = param_groups(split_model(model, [model]), weight_decay=0.1)
    assert {id(p) for p in decayed["params"]} == {id(inner.cls_token), id(inner.fc.weight)}
    assert {id(p) for p in spared["params"]} == {id(inner.table), id(inner.fc.bias)}


class Partly(nn.Module):
    """A network of which one part names what it wants to be spared."""

    def __init__(self):
        super().__init__()
        self.part = Outspoken()
        self.cls_token = nn.Parameter(torch.zeros(1, 2))
        self.head = nn.Linear(2, 2)


def test_a_parts_word_counts_for_that_part_alone():
    """Its own token decays, since it does not name it; that of the model around it does not."""
    assert without_decay(Partly()) == {"part.table", "cls_token"}
