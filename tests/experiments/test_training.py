"""One run: augmentation, evaluation, and what Lightning is given."""

import pytest
import torch
from torch import nn

from difflr.errors import DifflrError
from difflr.experiments.augmentation import augment
from difflr.experiments.backbones import load_backbone
from difflr.experiments.data import Images
from difflr.experiments.training import TrainingOptions, evaluate, train
from difflr.recipes import differential, head_only, uniform


def gradient_pictures(n: int = 64) -> torch.Tensor:
    """Pictures in which every pixel says where it is."""
    grid = torch.arange(100, dtype=torch.uint8).view(1, 1, 10, 10)
    return grid.expand(n, 3, 10, 10).clone()


def test_each_picture_is_shifted_by_its_own_numbers():
    """Within a batch shifts differ, stay within pad, and fill with black."""
    pixels = gradient_pictures()
    moved = augment(pixels, torch.Generator().manual_seed(0), flip=False, pad=2)
    assert moved.shape == pixels.shape
    assert moved.dtype == torch.uint8
    padded = nn.functional.pad(pixels[0], (2, 2, 2, 2))
    windows = {
        padded[:, y : y + 10, x : x + 10].numpy().tobytes() for y in range(5) for x in range(5)
    }
    found = {picture.contiguous().numpy().tobytes() for picture in moved}
    assert found <= windows
    assert len(found) > 10


def test_flip_mirrors_about_half():
    """With flip some pictures are mirrored and some are not; without it none is."""
    pixels = gradient_pictures(400)

    def mirrored(flip):
        moved = augment(pixels, torch.Generator().manual_seed(0), flip=flip, pad=0)
        return (moved[:, 0, 5, 0] > moved[:, 0, 5, 9]).float().mean().item()

    assert mirrored(False) == 0
    assert 0.4 < mirrored(True) < 0.6


def test_evaluate_counts_hits_and_restores_the_mode():
    """Accuracy and cross-entropy are those of the whole set; the mode is as it was before."""
    images = Images(torch.zeros(10, 3, 4, 4, dtype=torch.uint8), torch.tensor([0] * 7 + [1] * 3))

    class Zero(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.tensor([1.0, 0.0]))

        def forward(self, pixels):
            assert not self.training
            return self.bias.expand(len(pixels), 2)

    model = Zero().train()
    accuracy, loss = evaluate(model, images, batch_size=4)
    assert accuracy == 0.7
    expected = nn.functional.cross_entropy(model.bias.expand(10, 2), images.labels)
    assert abs(loss - expected.item()) < 1e-6
    assert model.training


def small_task():
    """Dark against light pictures."""
    torch.manual_seed(0)
    labels = torch.arange(64) % 2
    noise = torch.randint(0, 60, (64, 3, 32, 32))
    return Images((noise + 120 * labels[:, None, None, None]).to(torch.uint8), labels)


def test_recipes_start_from_the_same_weights_and_see_the_same_batches():
    """For one seed, two plans get the same head and the same pictures in the same order."""
    backbone, images, seen = load_backbone("strokenet"), small_task(), {}
    for name, plan in (("a", uniform(6, 1)), ("b", differential(6, 1))):
        steps = []
        from difflr.experiments import training

        original = training.augment

        def spy(pixels, numbers, *, steps=steps, original=original, **options):
            result = original(pixels, numbers, **options)
            steps.append(result.clone())
            return result

        training.augment = spy
        try:
            train(backbone, plan, images, images, TrainingOptions(16), n_classes=2, seed=5)
        finally:
            training.augment = original
        seen[name] = torch.stack(steps)
    assert torch.equal(seen["a"], seen["b"])


def test_head_only_leaves_the_network_bit_identical():
    """After a head-only run every weight and buffer but the head's is that of the file."""
    backbone, images = load_backbone("strokenet"), small_task()
    outcome, model = train(
        backbone,
        head_only(6, 4, lr=0.05),
        images,
        images,
        TrainingOptions(16, weight_decay=0.3),
        n_classes=2,
        seed=0,
    )
    before = backbone.build(2).state_dict()
    for key, value in model.network.state_dict().items():
        assert key.startswith("fc.") or torch.equal(value, before[key]), key
    assert outcome.accuracy > 0.9
    assert outcome.trainable_share < 0.01


def test_without_a_translation_pictures_stay_where_they_are():
    """``translate=0`` without ``flip`` trains on the pictures as they are."""
    pixels = gradient_pictures()
    assert torch.equal(augment(pixels, torch.Generator(), flip=False, pad=0), pixels)


def test_bf16_trains_float32_weights_to_about_the_same():
    """``precision="bf16-mixed"`` computes in bfloat16, keeps weights in float32, and learns as well.

    With the fused AdamW in both: unfused it takes a quarter of a step.
    """
    backbone, images, losses = load_backbone("strokenet"), small_task(), {}
    for precision in ("32-true", "bf16-mixed"):
        outcome, model = train(
            backbone,
            uniform(6, 4, lr=1e-3),
            images,
            images,
            TrainingOptions(16, precision=precision),
            n_classes=2,
            seed=0,
        )
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert model.trainer.optimizers[0].defaults["fused"]
        assert outcome.accuracy > 0.9
        losses[precision] = outcome.loss
    assert losses["32-true"] != losses["bf16-mixed"]
    assert abs(losses["32-true"] - losses["bf16-mixed"]) < 0.1


def test_precision_that_lightning_would_exchange_is_refused(monkeypatch):
    """Without a GPU Lightning takes bf16-mixed for 16-mixed, and a record would say what was not done."""
    backbone, images = load_backbone("strokenet"), small_task()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DifflrError, match=r"in bf16-mixed here, not in 16-mixed.*Pass bf16-mixed"):
        train(
            backbone,
            uniform(6, 1),
            images,
            images,
            TrainingOptions(precision="16-mixed"),
            n_classes=2,
            seed=0,
        )
