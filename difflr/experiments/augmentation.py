"""Augmentation: each picture of a batch is moved or cropped, and mirrored, by numbers of its own."""

import math

import torch
from torch.nn import functional as F

__all__ = ["CROP_AREA", "augment", "random_resized_crop"]

CROP_AREA = 0.35  # of the picture at least: below it, what the picture shows is often cut away
_STRETCH = 4 / 3  # of width against height at most


def augment(
    pixels: torch.Tensor, numbers: torch.Generator, *, flip: bool, pad: int = 4
) -> torch.Tensor:
    """Move each picture of a batch by up to ``pad`` pixels, and mirror half of them if ``flip``.

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


def random_resized_crop(
    pixels: torch.Tensor, numbers: torch.Generator, *, flip: bool
) -> torch.Tensor:
    """Cut a random part out of each picture and resize it to the picture's size; mirror half if ``flip``.

    The part has 35 to 100% of the area and an aspect ratio from 3/4 to 4/3, both as long as it fits
    (Szegedy et al. 2015, arXiv 1409.4842). All pictures of a batch are sampled in one call.

    Args:
        pixels: uint8 (N, 3, H, W).
        numbers: drawn from; on the CPU, so that every device sees the same crops.
    """
    n = len(pixels)
    area, ratio, x, y, mirror = torch.rand(5, n, generator=numbers)
    area = CROP_AREA + (1 - CROP_AREA) * area
    stretch = torch.exp(math.log(_STRETCH) / 2 * (2 * ratio - 1))
    width = (area.sqrt() * stretch).clamp(max=1)
    height = (area.sqrt() / stretch).clamp(max=1)
    # In coordinates from -1 to 1: a crop's centre lies where all of it is inside.
    centre_x, centre_y = (1 - width) * (2 * x - 1), (1 - height) * (2 * y - 1)
    sign = torch.where(mirror < 0.5, -1.0, 1.0) if flip else torch.ones(n)
    zero = torch.zeros(n)
    window = torch.stack([sign * width, zero, centre_x, zero, height, centre_y], 1).view(n, 2, 3)
    grid = F.affine_grid(window, list(pixels.shape), align_corners=False).to(pixels.device)
    sampled = F.grid_sample(
        pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled.round_().to(torch.uint8)
