import re
import warnings

import pytest
import torch
import torchvision
from forward_order import check_cuts
from nets import TinyNet
from torch import nn

from difflr import DifflrError, split_model

VISION = ("shufflenet_v2_x0_5", "googlenet", "inception_v3", "maxvit_t", "squeezenet1_0", "resnet50",
          "convnext_tiny", "swin_t", "vit_b_16", "mobilenet_v3_small", "vgg11_bn", "densenet121",
          "fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")  # fmt: skip
VIDEO = ("r3d_18", "s3d", "swin3d_t")


@pytest.mark.parametrize("name", VISION + VIDEO)
def test_a_network_of_torchvision_is_cut_in_the_order_of_its_forward(name):
    """Pictures, video and segmentation, per stage and per block."""
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    if re.match("fcn|deeplab|lraspp", name):
        options = {"weights_backbone": None}
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, **options).eval()
    size = (
        (3, 16, 224, 224) if name in VIDEO else (3, *([299 if name == "inception_v3" else 224] * 2))
    )
    check_cuts(model, lambda: model(torch.empty(1, *size, device="meta")))


def test_the_backbone_of_a_detector_is_cut_and_the_rest_is_its_head():
    """What detects is new where the backbone is pre-trained."""
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None
    )
    splits = split_model(model)
    assert splits.names == ("stem", "layer1", "layer2", "layer3", "layer4", "head")
    assert "roi_heads.box_predictor.cls_score.weight" in splits[-1].parameters


def test_the_patches_of_a_video_transformer_stand_in_its_first_split():
    """They are registered beside the stages and used before them."""
    with torch.device("meta"):
        model = torchvision.models.video.swin3d_t(weights=None)
    assert "patch_embed.proj.weight" in split_model(model)[0].parameters


def test_one_split_per_block_and_one_per_stage(net):
    """A ResNet has eight blocks in four stages."""
    model = torchvision.models.resnet18()
    assert split_model(model, "stages").names == split_model(model).names
    blocks = [f"layer{i}.{j}" for i in range(1, 5) for j in range(2)]
    assert split_model(model, "blocks").names == ("stem", *blocks, "head")
    with pytest.raises(DifflrError, match="expected 'stages' or 'blocks'"):
        split_model(model, "layers")


class Matched(nn.Module):
    """A network with timm's method, whose norm is registered first and whose stages count wildly."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(2)
        self.blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(12))
        self.stem = nn.Linear(2, 2)
        self.head = nn.Linear(2, 2)

    def get_classifier(self):
        return self.head

    def group_matcher(self, coarse=False):
        return {"stem": r"^stem", "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))]}


def test_a_models_own_matcher_says_where_its_parameters_belong():
    """Numbers in the order of numbers, the suffix joins the group before, the rest is the head."""
    splits = split_model(Matched(), "blocks")
    assert splits.names == ("stem", *(f"blocks.{i}" for i in range(12)), "head")
    assert next(iter(splits[-2].parameters)) == "norm.weight"
    assert split_model(Matched()).names == (
        "stem",
        "blocks1",
        "blocks2",
        "blocks3",
        "blocks4",
        "head",
    )


class OwnMatcher(Matched):
    """One whose method knows a single grouping, and takes no ``coarse``."""

    def group_matcher(self):
        return super().group_matcher()


def test_a_matcher_that_takes_no_coarse_is_asked_without():
    """Its one grouping gives the blocks, and the stages are gathered from them."""
    for level in ("stages", "blocks"):
        assert split_model(OwnMatcher(), level).names == split_model(Matched(), level).names


class Text(nn.Module):
    """A network on words: an embedding, an LSTM of three layers, a head that is declared first."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
        self.embedding = nn.Embedding(9, 4)
        self.lstm = nn.LSTM(4, 4, num_layers=3, bidirectional=True)


def test_the_layers_of_an_lstm_are_splits():
    """Both directions of a layer together; a head declared first is the last split all the same."""
    splits = split_model(Text())
    assert splits.names == (
        "stem",
        "lstm_l0",
        "lstm_l1",
        "lstm_l2",
        "head",
    )
    assert len(splits[1].parameters) == 8
    assert list(splits[-1].parameters) == ["fc.weight", "fc.bias"]


def test_a_compiled_network_is_cut_like_the_network(net):
    """torch.compile wraps it and passes its attributes on."""
    assert split_model(torch.compile(net)).names == split_model(net).names
    assert split_model(torch.compile(Matched()), "blocks").names[1] == "blocks.0"


def test_lists_that_stand_beside_one_another_are_joined_by_their_index():
    """ConvNeXt's downsampling layers and stages run in turns."""
    model = nn.Module()
    model.downsample_layers = nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(4))
    model.stages = nn.ModuleList(nn.Sequential(TinyNet(), TinyNet()) for _ in range(4))
    model.head = nn.Linear(2, 2)
    splits = split_model(model)
    assert splits.names == ("stages.0", "stages.1", "stages.2", "stages.3", "head")
    assert "downsample_layers.2.0.weight" in splits[2].parameters


def test_a_cut_with_nearly_everything_in_one_split_is_refused():
    """Two splits, one of them a hundred layers: no learning rates can be graded over that."""
    model = nn.Module()
    model.layers = nn.Sequential(nn.Sequential(*[TinyNet() for _ in range(20)]))
    model.head = nn.Linear(2, 2)
    with pytest.raises(DifflrError, match="no family"):
        split_model(model)


def test_a_quantised_network_is_not_cut_by_what_it_has_left():
    """Its layers hold no parameters any more; a split of one's own may still take those that do."""
    from torch.ao.quantization import quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = quantize_dynamic(torchvision.models.vit_b_16(image_size=32), {nn.Linear})
    with pytest.raises(DifflrError, match=r"quantised weights.*mlp.*quantise it afterwards"):
        split_model(model)
    assert split_model(model, {"body": "encoder", "rest": ...}).names == ("body", "rest")


def test_two_networks_in_one_module_are_not_cut_as_one():
    """A teacher is no deeper part of its student."""
    model = nn.ModuleDict({"student": TinyNet(), "teacher": TinyNet()})
    with pytest.raises(DifflrError, match="no family"):
        split_model(model)
    assert split_model(model, exclude="teacher").names == split_model(TinyNet()).names


def test_the_refusal_shows_the_models_own_blocks_and_a_line_to_paste():
    """And the line works as it stands."""
    model = nn.ModuleDict(
        {"first": nn.Linear(2, 3), "then": nn.Linear(3, 3), "last": nn.Linear(3, 1)}
    )
    with pytest.raises(DifflrError, match=r"first \(9\), then \(12\), last \(4\)") as error:
        split_model(model)
    line = re.search(r"split_model\(model, .*\)", error.value.remedy).group()
    assert eval(line).names == ("stem", "body", "head")
