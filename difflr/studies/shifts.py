"""Input shifts for photographs: what a new camera, bad light or a poor lens does to the same classes.

After the families of corruptions of CIFAR-10-C (Hendrycks and Dietterich 2019, arXiv 1903.12261).
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from difflr.errors import DifflrError, as_int, as_number, short_repr
from difflr.experiments.data import Images

__all__ = ["SHIFTS", "shift_images"]


def shift_images(images: Images, kind: str, strength: float = 1.0, seed: int = 0) -> Images:
    """Return the pictures shifted, uint8 as before; at a strength of 0 no byte changes.

    Args:
        images: pictures with labels.
        kind: ``"noise"`` (Gaussian, deviation up to 0.25 of the range), ``"blur"`` (Gaussian, deviation
            up to 1.5 pixels), ``"contrast"`` (down to 15% of it) or ``"colour"`` (channels change
            places and turn into negatives).
        strength: 0 to 1.
        seed: of the noise.
    """
    if kind not in SHIFTS:
        raise DifflrError(
            f"Received shift {short_repr(kind)}.", f"The shifts are {', '.join(SHIFTS)}."
        )
    amount = as_number("strength", strength, 0.0, 1.0)
    if not amount:
        return images
    numbers = torch.Generator().manual_seed(as_int("seed", seed, 0))
    parts = [  # in parts: floats take four times the room
        SHIFTS[kind](part.float() / 255, amount, numbers).mul_(255).round_().clamp_(0, 255).byte()
        for part in images.pixels.split(500)
    ]
    return Images(torch.cat(parts), images.labels)


def _noise(x: torch.Tensor, amount: float, numbers: torch.Generator) -> torch.Tensor:
    return x + 0.25 * amount * torch.randn(x.shape, generator=numbers)


def _blur(x: torch.Tensor, amount: float, _: torch.Generator) -> torch.Tensor:
    deviation = 1.5 * amount
    reach = math.ceil(3 * deviation)
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    line = (line / line.sum()).repeat(3, 1, 1, 1)
    for kernel, padding in (
        (line, (reach, reach, 0, 0)),
        (line.transpose(2, 3), (0, 0, reach, reach)),
    ):
        x = F.conv2d(F.pad(x, padding, mode="replicate"), kernel, groups=3)
    return x


def _contrast(x: torch.Tensor, amount: float, _: torch.Generator) -> torch.Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (1 - 0.85 * amount) * (x - mean)


def _colour(x: torch.Tensor, amount: float, _: torch.Generator) -> torch.Tensor:
    turned = 1 - x.roll(1, 1)
    return x + amount * (turned - x)


SHIFTS: dict[str, Callable[[torch.Tensor, float, torch.Generator], torch.Tensor]] = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "colour": _colour,
}
