import pytest
import torch
import torchvision
from nets import SPLITS, TinyNet, block
from torch import nn
from which_lightning import pl

from difflr import DifflrError, split_model

FAMILIES = [
    ("resnet18", 6),
    ("resnet50", 6),
    ("resnext50_32x4d", 6),
    ("wide_resnet50_2", 6),
    ("mobilenet_v2", 6),
    ("mobilenet_v3_small", 6),
    ("mobilenet_v3_large", 6),
    ("efficientnet_b0", 6),
    ("efficientnet_v2_s", 6),
    ("convnext_tiny", 5),
    ("vgg11", 6),
    ("vgg16_bn", 6),
    ("densenet121", 6),
    ("vit_b_16", 6),
    ("swin_t", 5),
    ("swin_v2_t", 5),
    ("regnet_y_400mf", 6),
    ("mnasnet0_5", 6),
    ("alexnet", 4),
]


def check_cover(model: nn.Module, splits) -> None:
    """Every parameter and every module of the model is in exactly one split."""
    held = [id(p) for split in splits for p in split.parameters.values()]
    assert sorted(held) == sorted({id(p) for p in model.parameters()})
    modules = [id(m) for split in splits for m in split.modules]
    assert sorted(modules) == sorted({id(m) for m in model.modules()})
    assert all(split.parameters for split in splits)
    assert splits.model is model
    by_name = dict(model.named_parameters())
    assert all(by_name[n] is p for split in splits for n, p in split.parameters.items())


@pytest.mark.parametrize(("name", "count"), FAMILIES)
def test_a_family_of_torchvision_is_cut_by_itself(name, count):
    """Every parameter exactly once, in the order of depth, the classifier in the last split."""
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # shapes without memory
        model = torchvision.models.get_model(name, weights=None)
    splits = split_model(model)
    check_cover(model, splits)
    assert len(splits) == count
    order = [n for n, _ in model.named_parameters()]
    firsts = [order.index(next(iter(split.parameters))) for split in splits]
    assert firsts == sorted(firsts)
    assert splits.names[-1] == "head"
    assert order[-1] in splits[-1].parameters


def test_a_resnet_has_six_splits():
    """Stem, four layers, head: those that the 2020 milestones are written for."""
    splits = split_model(torchvision.models.resnet18())
    assert splits.names == SPLITS
    assert [len(split.parameters) for split in splits] == [3, 12, 15, 15, 15, 2]
    assert "stem: 9,536" in repr(splits)
    assert splits[-1].numel == 513_000
    assert [s.name for s in splits[1:3]] == ["layer1", "layer2"]


def test_children_with_resnets_names_are_enough(net):
    """A network of one's own is cut by the names of its children, not by its class."""
    splits = split_model(net)
    assert splits.names == SPLITS
    check_cover(net, splits)


def test_a_lightning_module_around_a_network_is_cut_like_the_network():
    """Also when it carries losses and metrics without parameters, and in two wrappers."""

    class Wrapper(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.loss = nn.CrossEntropyLoss()
            self.inner = nn.Sequential()
            self.inner.model = TinyNet()

    wrapper = Wrapper()
    splits = split_model(wrapper)
    assert splits.names == SPLITS
    assert next(iter(splits[0].parameters)) == "inner.model.conv1.weight"
    check_cover(wrapper, splits)


def test_patterns_claim_what_matches_and_all_below():
    """Globs per level, single parameters, and the order of the dictionary."""
    model = nn.Module()
    model.scale = nn.Parameter(torch.ones(1))
    model.layers = nn.Sequential(*[block(2, 2) for _ in range(12)])
    model.fc = nn.Linear(2, 2)
    cut = {
        "early": ["scale", "layers.[0-9]"],
        "late": "layers.1[01]",
        "head": ["fc.weight", "fc.bias"],
    }
    splits = split_model(model, cut)
    check_cover(model, splits)
    assert splits.names == ("early", "late", "head")
    assert len(splits[0].parameters) == 1 + 40
    assert len(splits[1].parameters) == 8
    assert [sum(isinstance(m, nn.BatchNorm2d) for m in s.modules) for s in splits] == [10, 2, 0]


def test_the_recipes_list_may_wrap_modules_anew():
    """``nn.Sequential(conv1, bn1)`` made for the list belongs to the model by what it holds."""
    model = TinyNet()
    parts = [nn.Sequential(model.conv1, model.bn1)]
    parts += [m for name, m in model.named_children() if name.startswith("layer")]
    parts += [model.fc]
    splits = split_model(model, parts)
    check_cover(model, splits)
    assert splits.names == ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")
    assert model.bn1 in splits[0].modules


def test_a_list_may_hold_modules_parameters_and_lists_of_them():
    """Names come from the first member; where they would be the same, with their index and path."""
    model = nn.Module()
    model.token = nn.Parameter(torch.zeros(2))
    model.a = nn.Sequential(nn.Linear(2, 2))
    model.b = nn.Sequential(nn.Linear(2, 2))
    model.fc = nn.Linear(2, 2)
    splits = split_model(model, [[model.token, model.a], [model.b], model.fc])
    check_cover(model, splits)
    assert splits.names == ("token", "b", "fc")
    splits = split_model(model, (part for part in ([model.token, *model.a], model.b, model.fc)))
    check_cover(model, splits)
    splits = split_model(model, [[model.token], model.a[0], model.b[0], model.fc])
    assert splits.names == ("0_token", "1_a.0", "2_b.0", "3_fc")


def test_a_function_may_return_any_form(net):
    """Patterns, a list, or None for the automatic cut."""
    assert split_model(
        net, lambda m: [[m.conv1, m.bn1], m.layer1, m.layer2, m.layer3, m.layer4, m.fc]
    )
    assert split_model(net, lambda m: {"body": ["conv1", "bn1", "layer*"], "head": "fc"}).names == (
        "body",
        "head",
    )
    assert split_model(net, lambda m: None).names == SPLITS


BODY = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"body": BODY}, "2 parameters are in no split: fc.weight, fc.bias."),
        ({"body": BODY[1:], "head": "fc"}, "1 parameter is in no split: conv1.weight."),
        (
            {"body": BODY, "top": ["layer4", "fc"]},
            "4 parameters are in two splits: layer4.0.weight (body and top)",
        ),
        (
            {"body": BODY, "head": "fc", "again": "fc.bias"},
            "1 parameter is in two splits: fc.bias (head and again)",
        ),
        ({"body": BODY, "head": "fc", "more": "fcc"}, "'fcc' of split 'more' matches nothing"),
        ({"body": BODY, "head": ["fc", "layers?"]}, "'layers?' of split 'head' matches nothing"),
        ({"body": BODY, "pool": "avgpool", "head": "fc"}, "Splits without parameters: pool."),
        ({"body": [*BODY, "fc"], "none": []}, "Splits without parameters: none."),
        ({"body": BODY, "head": 5}, "Received 5 for split 'head'"),
        ({"body": BODY, "head": [None]}, "Received [None] for split 'head'"),
        ({"body": BODY, "head": nn.Linear(1, 1)}, "for split 'head', expected names"),
        ({}, "no split"),
        ([], "no split"),
        ("layer1", "Received 'layer1', expected 'stages' or 'blocks'"),
        (5, "Received 5, expected a list of splits"),
        (["layer1", "layer2"], "Received 'layer1' as a split"),
        ([None], "Received None as a split"),
        ([nn.Linear(3, 4)], "Split 0 holds a parameter of shape (4, 3) that is not the model's"),
        ([[nn.Parameter(torch.zeros(7))]], "Split 0 holds a parameter of shape (7,)"),
    ],
)
def test_a_wrong_cut_names_what_is_wrong(net, how, words):
    """Missing, doubled, matching nothing, empty, foreign, or of another type."""
    with pytest.raises(DifflrError) as error:
        split_model(net, how)
    assert words in error.value.problem
    assert error.value.remedy


def test_a_module_listed_twice_is_doubled(net):
    """Also when it is hidden in a list or listed as its parameters."""
    for again in (net.fc, [net.layer4, net.fc], [net.fc.weight]):
        with pytest.raises(DifflrError, match=r"fc.weight .* and "):
            split_model(net, [[*list(net.children())[:-1]], net.fc, again])


def test_what_is_no_model_is_refused():
    """With what was received."""
    with pytest.raises(DifflrError, match=r"expected a torch.nn.Module"):
        split_model([nn.Linear(1, 1)])


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
        nn.ModuleDict({"features": nn.Sequential(nn.Flatten()), "classifier": nn.Linear(2, 2)}),
        nn.ModuleDict(
            {"conv_proj": nn.Linear(2, 2), "encoder": nn.Linear(2, 2), "heads": nn.Linear(2, 2)}
        ),
        nn.ModuleDict({"features": nn.Linear(2, 2), "head": nn.Linear(2, 2)}),
    ],
)
def test_an_unknown_model_asks_for_the_splits(model):
    """Also where the names of its children look like those of a family."""
    with pytest.raises(DifflrError, match="no family") as error:
        split_model(model)
    assert "Pass the splits yourself" in error.value.remedy


def test_a_model_without_parameters_is_refused():
    """There is nothing to train."""
    for how in (None, {"all": "0"}, [nn.ReLU()]):
        with pytest.raises(DifflrError):
            split_model(nn.Sequential(nn.ReLU()), how)


def test_lazy_modules_are_refused_until_they_have_a_shape():
    """An optimizer could not take their parameters either; after one batch they are fine."""
    model = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
    with pytest.raises(DifflrError, match=r"0.weight, 0.bias, 2.weight, 2.bias.*one batch"):
        split_model(model, [model[0], model[2]])
    model(torch.zeros(1, 3))
    check_cover(model, split_model(model, [model[0], model[2]]))


class Tied(nn.Module):
    """A language model's usual trick: the decoder shares the embedding's weight."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.body = nn.Linear(3, 3)
        self.decode = nn.Linear(3, 5)
        self.decode.weight = self.embed.weight


@pytest.mark.parametrize(
    "how",
    [
        {"embed": "embed", "body": "body", "decode": "decode"},
        lambda m: [m.embed, m.body, m.decode],
        lambda m: [[m.embed.weight], m.body, [m.decode]],
    ],
)
def test_a_tied_parameter_belongs_to_the_split_of_its_first_name(how):
    """Once, under that name, whichever way the splits are given."""
    model = Tied()
    splits = split_model(model, how)
    check_cover(model, splits)
    assert list(splits[0].parameters) == ["embed.weight"]
    assert list(splits[2].parameters) == ["decode.bias"]


def test_a_tied_parameter_may_be_claimed_by_a_later_name_alone():
    """The split that names it at all has it."""
    model = Tied()
    splits = split_model(model, {"body": "body", "decode": "decode"})
    check_cover(model, splits)
    assert splits[1].parameters["embed.weight"] is model.embed.weight


def test_a_split_of_nothing_but_tied_parameters_is_empty():
    """It would have nothing of its own to learn."""
    model = Tied()
    model.decode.bias = None
    with pytest.raises(DifflrError, match="Splits without parameters: decode"):
        split_model(model, [model.embed, model.body, model.decode])


def test_a_shared_module_is_held_once():
    """The same block used at two depths belongs to the first."""
    shared = nn.Linear(2, 2)
    model = nn.Sequential(nn.Linear(2, 2), shared, nn.ReLU(), shared, nn.Linear(2, 2))
    splits = split_model(model, {"a": ["0", "1"], "b": ["2", "3", "4"]})
    check_cover(model, splits)
    assert "1.weight" in splits[0].parameters


def test_parameters_on_the_model_itself_have_to_be_claimed_too(net):
    """Like a scale or a token; the error names it, and a pattern or a list takes it in."""
    net.scale = nn.Parameter(torch.ones(1))
    with pytest.raises(DifflrError, match="in no split: scale"):
        split_model(net)
    for how in (
        {"body": BODY, "head": ["fc", "scale"]},
        [[getattr(net, name) for name in BODY], [net.fc, net.scale]],
    ):
        splits = split_model(net, how)
        check_cover(net, splits)
        assert "scale" in splits[1].parameters


def test_batchnorm_without_parameters_is_in_the_split_that_it_was_put_in():
    """It has no weight to go by, yet statistics to freeze."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1),
        nn.BatchNorm2d(4, affine=False),
        nn.Conv2d(4, 4, 1),
        nn.BatchNorm2d(4, affine=False),
    )
    for how in ({"a": ["0"], "b": ["1", "2", "3"]}, [model[0], [model[1], model[2], model[3]]]):
        splits = split_model(model, how)
        check_cover(model, splits)
        assert model[1] in splits[1].modules
    splits = split_model(model, {"a": "0", "b": "2"})  # not mentioned: with the one before
    assert model[1] in splits[0].modules
    assert model[3] in splits[1].modules


@pytest.mark.parametrize("norm", [lambda n: nn.GroupNorm(2, n), lambda n: nn.LayerNorm([n, 8, 8])])
def test_networks_with_other_norms_are_split_alike(norm):
    """GroupNorm and LayerNorm are parameters like any other."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm(4), nn.Conv2d(4, 4, 1), norm(4))
    splits = split_model(model, {"a": ["0", "1"], "b": ["2", "3"]})
    check_cover(model, splits)


def test_added_low_rank_parameters_are_claimed_by_their_names(net):
    """LoRA's matrices are parameters of the module they were added to."""
    for layer in (net.layer1[0], net.layer4[0]):
        layer.lora_a = nn.Parameter(torch.zeros(2, 4))
    assert "layer1.0.lora_a" in split_model(net)[1].parameters
    lora = {
        "base": [n for n, _ in net.named_parameters() if "lora" not in n],
        "lora": "layer?.0.lora_a",
    }
    splits = split_model(net, lora)
    check_cover(net, splits)
    assert list(splits[1].parameters) == ["layer1.0.lora_a", "layer4.0.lora_a"]


def test_a_split_may_take_the_rest():
    """``...`` holds what no other pattern claims, in its place among the splits."""
    model = TinyNet()
    splits = split_model(model, {"stem": ["conv1", "bn1"], "body": ..., "head": "fc"})
    assert splits.names == ("stem", "body", "head")
    assert {name.split(".")[0] for name in splits[1].parameters} == {
        f"layer{i}" for i in range(1, 5)
    }
    assert [module for module in splits[1].modules if module is model.layer1]
    with pytest.raises(DifflrError, match="Splits without parameters: rest"):
        split_model(model, {"all": "*", "rest": ...})


def test_lists_of_parameters_have_readable_names():
    """Named after the module that holds them all, or else the first of those that do."""
    model = TinyNet()
    layers = [list(getattr(model, f"layer{i}").parameters()) for i in range(1, 5)]
    stem = [*model.conv1.parameters(), *model.bn1.parameters()]
    splits = split_model(model, [stem, *layers, list(model.fc.parameters())])
    assert splits.names == ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")
