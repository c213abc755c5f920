"""SmallViT: a vision transformer small enough to be pre-trained on two processor cores."""

from torchvision.models import VisionTransformer

from difflr.errors import as_int

__all__ = ["PATCH", "SIDE", "WIDTH", "SmallViT"]

SIDE, PATCH, WIDTH = 32, 4, 96  # pixels, pixels, numbers per patch


class SmallViT(VisionTransformer):
    """torchvision's vision transformer with eight blocks, for 32 x 32 pixels; 0.6 million parameters.

    It expects normalised floats (N, 3, 32, 32) and returns logits (N, num_classes).

    >>> import torch
    >>> SmallViT(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            image_size=SIDE,
            patch_size=PATCH,
            num_layers=8,
            num_heads=3,
            hidden_dim=WIDTH,
            mlp_dim=2 * WIDTH,
            num_classes=as_int("num_classes", num_classes, 1),
        )
