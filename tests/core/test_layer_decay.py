import pytest
import torch
import torchvision
from peer_marks import timm_families, timm_only
from torch import nn

from difflr import DifflrError, LayerDecay, expand_lrs, param_groups, split_model
from difflr.models.matchers import matched_layers


def test_the_rate_falls_by_the_decay_from_split_to_split():
    """The last split has the rate itself."""
    assert expand_lrs(LayerDecay(1.0, 0.5), 4) == [0.125, 0.25, 0.5, 1.0]
    with pytest.raises(DifflrError, match="decay"):
        expand_lrs(LayerDecay(1.0, 0.0), 4)


@timm_only
@pytest.mark.parametrize("name", timm_families())
def test_the_groups_are_timms_own(name):
    """The same parameters at the same share of the rate with the same weight decay, in every group."""
    import timm
    from timm.optim import param_groups_layer_decay

    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    if matched_layers(model, coarse=False) is None:
        pytest.skip("timm has no groups by depth for this model, but guesses them")
    spared = getattr(model, "no_weight_decay", set)()
    theirs = param_groups_layer_decay(model, 0.05, spared, layer_decay=0.75)
    ours = param_groups(split_model(model, "blocks"), LayerDecay(1.0, 0.75), weight_decay=0.05)
    names = {id(p): n for n, p in model.named_parameters()}
    key = {n: (round(g["lr_scale"], 12), g["weight_decay"]) for g in theirs for n in held(g, names)}
    mine = {n: (round(g["lr"], 12), g["weight_decay"]) for g in ours for n in held(g, names)}
    assert {n: rate for n, (rate, _) in mine.items()} == {n: rate for n, (rate, _) in key.items()}
    # Beyond timm, norms and biases of several dimensions are spared as well.
    assert all(wd == 0 for n, (_, wd) in mine.items() if key[n][1] == 0)
    differ = [n for n in mine if mine[n] != key[n]]
    assert all(n.endswith("bias") or "norm" in n or "bn" in n for n in differ)


def held(group, names) -> list[str]:
    """The names of a group's parameters."""
    return [names[id(p)] for p in group["params"]]


def test_tokens_and_positions_are_spared_weight_decay():
    """In a model that does not say so itself, by their names."""
    model = torchvision.models.VisionTransformer(32, 8, 2, 2, 8, 16)
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
