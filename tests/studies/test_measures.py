"""What is measured of a run, on cases whose answer is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from difflr.errors import DifflrError
from difflr.experiments.backbones import load_backbone
from difflr.experiments.data import Images
from difflr.experiments.flops import count_costs
from difflr.experiments.strokenet import StrokeNet
from difflr.experiments.training import TrainingOptions, evaluate, train
from difflr.recipes import make_plan
from difflr.splits import split_model
from difflr.studies.cell import Cell
from difflr.studies.measures import (
    Curve,
    displacement,
    drift,
    linear_cka,
    similarity,
    split_features,
    training_flops,
    with_old_head,
)
from difflr.studies.shifts import SHIFTS, shift_images


def images(n=24, classes=3):
    """Return pictures of noise."""
    pixels = torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8)
    return Images(pixels, torch.arange(n) % classes)


@pytest.fixture(scope="module")
def backbone():
    """StrokeNet with the embedded weights."""
    return load_backbone("strokenet")


def trained(backbone, plan, curve=None):
    """Train on a few pictures; return the splits before and after, and the model."""
    torch.manual_seed(0)
    before = split_model(backbone.build(3))
    _, model = train(
        backbone, plan, images(), images(), TrainingOptions(8), n_classes=3, seed=0,
        callbacks=[curve] if curve else [],
    )  # fmt: skip
    return before, split_model(model.network), model


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-5, 5))
def test_cka_is_blind_to_rotation_scale_and_offset(seed, scale, offset):
    """CKA of features with themselves, rotated, scaled or shifted, is 1."""
    numbers = torch.Generator().manual_seed(seed)
    x = torch.randn(12, 5, generator=numbers)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=numbers))
    assert linear_cka(x, x) == pytest.approx(1)
    assert linear_cka(x, scale * (x @ rotation) + offset) == pytest.approx(1, abs=1e-4)


def test_cka_is_the_papers_formula():
    """The Gram form equals ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of centred features, and unlike gives less."""
    x, y = torch.randn(30, 4).double(), torch.randn(30, 7).double()
    a, b = x - x.mean(0), y - y.mean(0)
    formula = (b.T @ a).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())
    assert linear_cka(x, y) == pytest.approx(float(formula))
    assert linear_cka(x, y) < 0.5


def test_cka_of_what_cannot_be_compared():
    """Constant or infinite features have no CKA; other numbers of pictures are refused."""
    x = torch.randn(6, 3)
    assert math.isnan(linear_cka(x, torch.full((6, 3), 0.1)))
    assert math.isnan(linear_cka(x, torch.full((6, 3), math.inf)))
    with pytest.raises(DifflrError, match="6 and of 5"):
        linear_cka(x, x[:5])


def test_frozen_splits_do_not_move_and_others_do(backbone):
    """Head-only training: displacement and drift 0, CKA 1 for every split but the head."""
    plan = make_plan("head_only", 6, 1, lr=0.05)
    before, after, _ = trained(backbone, plan)
    moved = displacement(before, after)
    assert moved[:-1] == [0] * 5
    assert moved[-1] > 0
    assert drift(before, after) == [0] * 6
    x = torch.randn(10, 3, 16, 16)
    features = [split_features(part.model, part, x) for part in (before, after)]
    alike = similarity(*features)
    assert alike[:-1] == pytest.approx([1] * 5)
    assert alike[-1] < 1


def test_displacement_is_relative_to_the_weights():
    """Doubling all weights is a displacement of 1; NaN weights have none."""
    one, two = StrokeNet(3), StrokeNet(3)
    two.load_state_dict({k: 2 * v for k, v in one.state_dict().items()})
    assert displacement(split_model(one), split_model(two)) == pytest.approx([1] * 6)
    with torch.no_grad():
        two.fc.weight.fill_(math.nan)
    assert math.isnan(displacement(split_model(one), split_model(two))[-1])


def test_drifting_statistics_show_without_moved_weights(backbone):
    """With bn="drifting" the frozen body keeps its weights while its statistics move."""
    cell = Cell("head_only", {"lr": 1e-2}, epochs=1, bn="drifting")
    before, after, _ = trained(backbone, cell.plan(6))
    assert displacement(before, after)[:-1] == [0] * 5
    assert all(value > 0 for value in drift(before, after)[:-1])


def test_features_are_the_output_of_each_split():
    """The last layer of each split with weights gives its features, and no mode changes."""
    splits = split_model(StrokeNet(4))
    splits.model.train()
    splits.model.layer2.eval()
    modes = [module.training for module in splits.model.modules()]
    x = torch.randn(5, 3, 32, 32)
    features = split_features(splits.model, splits, x)
    assert modes == [module.training for module in splits.model.modules()]
    assert not any(module._forward_hooks for module in splits.model.modules())
    seen = []
    for module in (splits.model.bn1, splits.model.layer1, splits.model.layer4, splits.model.fc):
        module.register_forward_hook(lambda m, i, output: seen.append(output.flatten(1).clone()))
    with torch.no_grad():
        splits.model.eval()(x)
    for index, expected in zip((0, 1, 4, 5), seen, strict=True):
        assert torch.equal(features[index], expected)
    assert [f.shape[0] for f in features] == [5] * 6


def test_frozen_phases_cost_less():
    """Head-only costs about a third of uniform; drifting BatchNorm pays for the way down to it."""
    splits = split_model(StrokeNet(10))
    costs = count_costs(splits, (3, 32, 32))

    def flops(cell):
        return training_flops(costs, cell.plan(splits), splits, 100)

    head, full = (flops(Cell(name, epochs=2)) for name in ("head_only", "uniform"))
    assert full == 2 * 100 * costs.step(range(6))
    assert head == 2 * 100 * costs.step([5])
    assert 0.3 < head / full < 0.4
    assert head < flops(Cell("head_only", epochs=2, bn="drifting")) < full
    assert head < flops(Cell("gradual", epochs=2)) < full


class Listed(nn.Module):
    """Its blocks stand in a list, as those of most transformers; a list is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.fc = nn.Linear(4, 4), nn.Linear(4, 2)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(x)


def test_what_stands_in_a_list_is_counted_once():
    """In the split of the block, and not in that of the module around it as well."""
    splits = split_model(Listed(), {"stem": "embed", "a": "blocks.0", "b": "blocks.1", "fc": "fc"})
    assert count_costs(splits, (4,)).forward == (32, 32, 32, 16)


def test_flops_are_those_that_torch_counts():
    """Forward and backward of a full step agree with torch's counter on real tensors."""
    from torch.utils.flop_counter import FlopCounterMode

    net = StrokeNet(10)
    splits = split_model(net)
    with FlopCounterMode(display=False) as counter:
        net(torch.randn(2, 3, 32, 32)).sum().backward()
    plan = Cell("uniform", epochs=1).plan(splits)
    ours = training_flops(count_costs(splits, (3, 32, 32)), plan, splits, 2)
    assert ours == counter.get_total_flops()


def test_a_trained_head_alone_forgets_nothing(backbone):
    """The old head on the body of a head-only run is the old network; after uniform it is not."""
    old = backbone.build(0, new_head=False).eval()
    x = torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        for name, same in (("head_only", True), ("uniform", False)):
            _, _, model = trained(backbone, make_plan(name, 6, 1, lr=1e-2))
            kept = with_old_head(model.network, backbone).eval()
            assert kept.fc.out_features == 60
            assert torch.equal(kept(x), old(x)) is same
        weights_only = with_old_head(model.network, backbone, old_statistics=True)
        for name, value in weights_only.state_dict().items():
            statistic = name.endswith(("running_mean", "running_var", "num_batches_tracked"))
            expected = (old if statistic or name.startswith("fc.") else model.network).state_dict()
            assert torch.equal(value, expected[name]), name
            assert (
                statistic
                or name.startswith("fc.")
                or not torch.equal(value, old.state_dict()[name])
            )


def test_curve_has_a_point_per_epoch_and_does_not_change_the_run(backbone):
    """Losses and accuracies per epoch; the weights are those of a run without it, frozen BN too."""
    plan = make_plan("lp_ft", 6, 3, lr=1e-2, tune_lr=1e-3)
    held = images()
    curve = Curve(held)
    torch.manual_seed(5)
    model = trained(backbone, plan, curve)[2]
    with_curve = model.state_dict()
    assert curve.accuracies[-1] == evaluate(model, held)[0]
    torch.manual_seed(5)
    without = trained(backbone, plan)[2].state_dict()
    assert len(curve.losses) == len(curve.accuracies) == 3
    assert all(0 <= a <= 1 for a in curve.accuracies)
    assert all(torch.equal(with_curve[key], without[key]) for key in without)


@pytest.mark.parametrize("kind", SHIFTS)
def test_shifts_change_pictures_by_their_strength(kind):
    """Strength 0 changes no byte, more changes more, labels and shape stay, the seed decides."""
    clean = images()
    assert shift_images(clean, kind, 0.0).pixels is clean.pixels
    weak, strong = (shift_images(clean, kind, s) for s in (0.3, 1.0))
    assert strong.pixels.dtype == torch.uint8
    assert strong.pixels.shape == clean.pixels.shape
    assert strong.labels is clean.labels
    far = [(p.pixels.float() - clean.pixels.float()).abs().mean() for p in (weak, strong)]
    assert 0 < far[0] < far[1]
    assert torch.equal(strong.pixels, shift_images(clean, kind, 1.0).pixels)


def test_shifts_do_what_they_are_called():
    """Contrast falls to 15%, blur lowers the variance, colour at full strength can be undone."""
    clean = images()
    float_ = clean.pixels.float()
    faded, blurred, coloured = (
        shift_images(clean, kind).pixels.float() for kind in ("contrast", "blur", "colour")
    )
    assert float(faded.std()) == pytest.approx(0.15 * float(float_.std()), rel=0.1)
    assert blurred.std() < 0.5 * float_.std()
    assert float(blurred.mean()) == pytest.approx(float(float_.mean()), rel=0.05)
    assert torch.equal((255 - coloured).roll(-1, 1), float_)
    with pytest.raises(DifflrError, match="shift"):
        shift_images(clean, "fog")
