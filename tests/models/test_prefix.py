"""Cached features: the same training as without them, and never out of date."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchvision import models
from which_lightning import pl

import difflr
from difflr import freezing
from difflr.errors import DifflrError
from difflr.experiments.backbones import load_backbone
from difflr.experiments.data import Images
from difflr.experiments.training import Classifier, TrainingOptions, fit, train
from difflr.models.prefix import CachedPrefix, cut_prefix


def some_images() -> Images:
    """Dark against light pictures."""
    torch.manual_seed(0)
    labels = torch.arange(40) % 2
    noise = torch.randint(0, 60, (40, 3, 32, 32))
    return Images((noise + 120 * labels[:, None, None, None]).to(torch.uint8), labels)


def trained(plan, cache, **options):
    """Train strokenet by a plan and return the outcome and its weights."""
    images = some_images()
    how = TrainingOptions(batch_size=8, translate=0, cache=cache, **options)
    start = load_backbone("strokenet")
    outcome, model = train(start, plan, images, images, how, n_classes=2, seed=1)
    return outcome, model.network.state_dict()


@pytest.mark.parametrize("recipe", ["head_only", "gradual", "lp_ft", "first_splits", "uniform"])
def test_a_cached_run_gives_the_weights_of_the_uncached_one(recipe):
    """Phase by phase, whatever is frozen, the cache changes rounding only."""
    plan = difflr.make_plan(recipe, 6, 6)
    (plain, expected), (kept, found) = trained(plan, False), trained(plan, True)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4, msg=key)
    assert kept.accuracy == plain.accuracy
    assert kept.loss == pytest.approx(plain.loss, rel=1e-3)


def test_the_frozen_part_sees_each_picture_once_a_phase():
    """In a head-only phase of five epochs the stem is run over the pictures once, not five times."""
    images, seen = some_images(), []
    backbone = load_backbone("strokenet")
    network = backbone.build(2)
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_hook(lambda module, args, result: seen.append(len(args[0])))
    plan = difflr.make_plan("head_only", 6, 5)
    model = Classifier(network, plan, mean=backbone.mean, std=backbone.std, translate=0)
    fit(model, images, seed=0, batch_size=8, cache=True)
    assert sum(seen) == len(images)
    assert model.cached is None


def test_augmented_pictures_are_not_cached():
    """Flipped or shifted pictures are new every epoch: asking to keep them is refused."""
    images, backbone = some_images(), load_backbone("strokenet")
    for augmented in ({"translate": 4}, {"translate": 0, "flip": True}):
        with pytest.raises(DifflrError, match="new in every epoch"):
            train(
                backbone,
                difflr.make_plan("head_only", 6, 2),
                images,
                images,
                TrainingOptions(cache=True, **augmented),
                n_classes=2,
                seed=0,
            )


NETWORKS = ("resnet18", "mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf", "vit_b_16")


@pytest.mark.parametrize("name", NETWORKS)
def test_both_parts_together_are_the_network(name):
    """Cut at any split, torchvision's networks give bit for bit what they give in one piece."""
    network = models.get_model(name, num_classes=3)
    splits = difflr.split_model(network)
    x = torch.randn(2, 3, 224, 224)
    for first in (1, len(splits) - 2, -1):
        network.train()
        freezing.freeze_to(splits, first)
        before, after = cut_prefix(network)
        assert before is not None
        assert not any(p.requires_grad for p in before.parameters())
        torch.manual_seed(1)  # of the dropout
        expected = network(x)
        torch.manual_seed(1)
        assert torch.equal(after(before(x)), expected)


def test_a_network_that_trains_from_its_first_layer_is_not_cut():
    """With everything trainable, or BatchNorm awake in the stem, there is nothing to keep."""
    network = models.resnet18(num_classes=3).train()
    assert cut_prefix(network) == (None, network)
    splits = difflr.split_model(network)
    freezing.freeze_to(splits, -1, train_bn=True)
    before, _ = cut_prefix(network)  # the first convolution alone is frozen and steady
    assert before is not None
    assert not any(isinstance(module, nn.BatchNorm2d) for module in before.modules())


def test_random_layers_stay_out_of_the_cache():
    """Dropout before the head draws anew in every epoch; what comes before it is kept."""
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)).train()
    network[0].requires_grad_(False)
    logits = CachedPrefix(network, torch.randn(6, 4))
    everything = torch.arange(6)
    assert not torch.equal(logits(everything), logits(everything))
    assert logits._features.shape == (6, 8)


def test_features_follow_a_frozen_weight_that_changes():
    """Loading other weights, or thawing and freezing again, computes the features anew."""
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    network[0].requires_grad_(False)
    inputs, everything = torch.randn(6, 4), torch.arange(6)
    logits = CachedPrefix(network, inputs)
    logits(everything)
    with torch.no_grad():
        network[0].weight.mul_(2)
    torch.testing.assert_close(logits(everything), network(inputs))
    network[0].requires_grad_(True)
    logits(everything).sum().backward()
    assert network[0].weight.grad is not None


def test_a_forward_that_depends_on_the_data_is_refused():
    """Where torch.fx cannot follow, the error says so and what to do."""

    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, x):
            return self.fc(x) if x.sum() > 0 else x

    with pytest.raises(DifflrError, match="Branching cannot be cut"):
        cut_prefix(Branching())


def test_a_lightning_module_of_ones_own_can_use_it():
    """As the docstring shows: a loader of numbers, and logits by number."""
    images = some_images()

    class Lit(difflr.ParametersSplitsModule):
        def __init__(self):
            super().__init__()
            self.model = load_backbone("strokenet").build(2)
            self.milestones = difflr.make_plan("head_only", self.splits, epochs=3, lr=0.05)
            self.logits = difflr.CachedPrefix(self.model, images.pixels.float() / 255)

        def training_step(self, batch, batch_idx):
            index, labels = batch
            return F.cross_entropy(self.logits(index), labels)

    model = Lit()
    numbers = TensorDataset(torch.arange(len(images)), images.labels)
    trainer = pl.Trainer(
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(numbers, batch_size=8, shuffle=True))
    with torch.no_grad():
        index = torch.arange(len(images))
        torch.testing.assert_close(model.logits(index), model.model(images.pixels.float() / 255))
