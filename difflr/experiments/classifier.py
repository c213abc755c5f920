"""A network that classifies pictures, as a Lightning module with a plan."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from difflr.experiments.augmentation import random_resized_crop
from difflr.lightning.module import ParametersSplitsModule
from difflr.models.prefix import CachedPrefix
from difflr.plan import Plan
from difflr.written.cuts import Cut, as_patterns

__all__ = ["Classifier", "PictureNetwork", "augment"]


class PictureNetwork(nn.Module):
    """A network behind the normalisation that its weights expect: takes uint8 pictures.

    Args:
        network: takes normalised float pictures (N, 3, H, W), returns logits (N, classes).
        mean, std: normalisation of pictures scaled to 0…1, per colour; none where the network takes its
            input as it is.
    """

    def __init__(
        self, network: nn.Module, *, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.network = network
        self.mean: torch.Tensor
        self.std: torch.Tensor
        for name, values in (("mean", mean), ("std", std)):
            scaled = 255 * torch.tensor(values).view(1, -1, 1, 1)
            self.register_buffer(name, scaled, persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) for uint8 pictures (N, 3, H, W)."""
        return self.network(self.normalise(pixels))

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the network's input (N, 3, H, W) for uint8 pictures (N, 3, H, W)."""
        if not self.mean.numel():
            return pixels
        # Channels last for the features alone: a 3x3 kernel over 1x1 features would be laid out anew in
        # every step, which costs a tenth of one.
        x = (pixels.float() - self.mean) / self.std
        return x.contiguous(memory_format=torch.channels_last)


class Classifier(PictureNetwork, ParametersSplitsModule):
    """A network that classifies uint8 pictures, trained by ``plan``.

    Args:
        network: takes normalised float pictures (N, 3, H, W), returns logits (N, classes).
        plan: what to train, for how long, how fast.
        mean, std: normalisation of pictures scaled to 0…1, per colour.
        flip: also mirror pictures at random while training.
        translate: move them by up to so many pixels while training.
        crop: cut a random part out of each instead of moving it, as suits photographs.
        seed: of the augmentation.
        weight_decay: for weights that are matrices.
        cut: how to cut the network into splits; None for difflr's own way.
        optimizer: ``"AdamW"``, or ``"SGD"`` with momentum.
    """

    def __init__(
        self,
        network: nn.Module,
        plan: Plan,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        flip: bool = False,
        translate: int = 4,
        crop: bool = False,
        seed: int = 0,
        weight_decay: float = 0.01,
        cut: Cut | None = None,
        optimizer: str = "AdamW",
    ) -> None:
        super().__init__(network, mean=mean, std=std)
        self.sgd = optimizer == "SGD"
        self.milestones = plan
        self.weight_decay = weight_decay
        self.flip, self.translate, self.crop, self.seed = flip, translate, crop, seed
        self.cut = cut
        self.cached: CachedPrefix | None = None  # set by ``fit``

    def model_splits(self) -> Any:
        """Return the user's own cut of the network, if there is one."""
        return as_patterns(self.cut, below="network.")

    def make_optimizer(self, param_groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return AdamW, or SGD with momentum."""
        if self.sgd:
            return torch.optim.SGD(param_groups, momentum=0.9)
        return super().make_optimizer(param_groups)

    def training_step(
        self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int
    ) -> torch.Tensor:
        """Return the cross-entropy of an augmented batch (or of the pictures that a cached one names)."""
        pixels, labels = batch
        if self.cached is not None:
            return F.cross_entropy(self.cached(pixels), labels)
        # Drawn from the step alone, so that a resumed run sees what it would have seen.
        numbers = torch.Generator().manual_seed(self.seed * 1_000_003 + self.global_step)
        return F.cross_entropy(self(self.augmented(pixels, numbers)), labels)

    def augmented(self, pixels: torch.Tensor, numbers: torch.Generator) -> torch.Tensor:
        """Return a batch as a step of training sees it."""
        if self.crop:
            return random_resized_crop(pixels, numbers, flip=self.flip)
        if not (self.flip or self.translate):
            return pixels
        return augment(pixels, numbers, flip=self.flip, pad=self.translate)


def augment(
    pixels: torch.Tensor, numbers: torch.Generator, *, flip: bool, pad: int = 4
) -> torch.Tensor:
    """Shift each picture of a batch by up to ``pad`` pixels, and mirror half of them if ``flip``.

    Every picture draws its own numbers (torchvision's v2 transforms draw once per batch).
    """
    n, _, height, width = pixels.shape
    top, left = torch.randint(0, 2 * pad + 1, (2, n), generator=numbers)
    windows = F.pad(pixels, (pad,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    moved = windows[torch.arange(n), :, top, left]
    if flip:
        mirrored = torch.rand(n, 1, 1, 1, generator=numbers) < 0.5
        moved = torch.where(mirrored.to(pixels.device), moved.flip(3), moved)
    return moved
