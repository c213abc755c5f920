"""Pre-train a SmallViT on a class-per-folder tree: supervised, or as a masked autoencoder.

python -m difflr.experiments.pretraining --data source/ --out vit.safetensors
python -m difflr.experiments.pretraining --data source/ --out mae.safetensors --masked
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from difflr.errors import DifflrError, as_int
from difflr.experiments.augmentation import random_resized_crop
from difflr.experiments.backbones import IMAGENET_MEAN, IMAGENET_STD, PictureNetwork
from difflr.experiments.data import Images, load_data
from difflr.experiments.needs import need_folder_of
from difflr.experiments.smallvit import PATCH, SIDE, WIDTH, SmallViT
from difflr.experiments.training import evaluate
from difflr.written.files import user_path

__all__ = ["MaskedAutoencoder", "pretrain"]

BATCH, LR, WEIGHT_DECAY = 128, 1e-3, 0.05
EPOCHS, MASKED_EPOCHS = 60, 400
SMOOTHING = 0.1  # of the labels
MASKED = 0.75  # of the patches, as in MAE


class MaskedAutoencoder(nn.Module):
    """Learn without labels: fill in the three quarters of a picture that the network is not shown.

    Source: He et al. 2021, arXiv 2111.06377; the pixels of each patch are normalised, as there.
    """

    def __init__(self, network: SmallViT, width: int = 64) -> None:
        super().__init__()
        patches = (SIDE // PATCH) ** 2
        self.network = network
        self.narrow = nn.Linear(WIDTH, width)
        self.unknown = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, patches, width))
        block = nn.TransformerEncoderLayer(
            width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerEncoder(block, 2, nn.LayerNorm(width), False)
        self.pixels = nn.Linear(width, 3 * PATCH**2)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the mean squared error on the hidden patches of normalised pictures (N, 3, 32, 32)."""
        encoder, n = self.network.encoder, len(pictures)
        patches = self.network.conv_proj(pictures).flatten(2).transpose(1, 2)
        first, places = encoder.pos_embedding[:, :1], encoder.pos_embedding[:, 1:]
        order = torch.rand(patches.shape[:2], device=pictures.device).argsort(1)
        seen, hidden = order.tensor_split([round((1 - MASKED) * patches.shape[1])], 1)
        shown = _taken(patches + places, seen)
        tokens = torch.cat([(self.network.class_token + first).expand(n, -1, -1), shown], 1)
        known = self.narrow(encoder.ln(encoder.layers(tokens)))[:, 1:]
        blank = self.unknown.expand(n, hidden.shape[1], -1)
        everywhere = torch.cat([known, blank], 1) + self.places[0][order]
        guess = self.pixels(self.decoder(everywhere))[:, seen.shape[1] :]
        true = _taken(F.unfold(pictures, PATCH, stride=PATCH).transpose(1, 2), hidden)
        return F.mse_loss(guess, F.layer_norm(true, true.shape[-1:]))


def _taken(patches: Tensor, which: Tensor) -> Tensor:
    return patches.gather(1, which[..., None].expand(-1, -1, patches.shape[-1]))


def pretrain(
    data: str,
    out: str | Path,
    *,
    masked: bool = False,
    epochs: int | None = None,
    seed: int = 0,
    progress: Callable[[str], object] = print,
) -> float:
    """Train a SmallViT from scratch, write its weights to ``out``, and return how good they are.

    Args:
        data: a class-per-folder tree as ``load_data`` takes it; its classes are the source task.
        out: a safetensors file to write.
        masked: learn as a masked autoencoder; the head stays as it was drawn.
        epochs: 60, masked 400, where None.
        progress: gets a line of text after each epoch.

    Returns:
        The accuracy on the tree's test pictures, 0 to 1; masked the mean squared error on them, where 1 is
        that of a guess which says the mean of each patch.

    Raises:
        DifflrError: for pictures that cannot be read, fewer than one epoch, or no such folder to write to.
    """
    if epochs is None:
        epochs = MASKED_EPOCHS if masked else EPOCHS
    epochs = as_int("epochs", epochs, 1)
    target = user_path(str(out))
    need_folder_of(target)
    pictures = load_data(data, image_size=SIDE)
    torch.manual_seed(seed)
    network = SmallViT(len(pictures.classes))
    around = PictureNetwork(network, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    learner = MaskedAutoencoder(network) if masked else network
    steps = epochs * -(-len(pictures.train) // BATCH)
    optimizer = torch.optim.AdamW(learner.parameters(), LR, weight_decay=WEIGHT_DECAY, fused=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, steps, pct_start=0.1)
    numbers = torch.Generator().manual_seed(seed)
    start = time.perf_counter()
    for epoch in range(epochs):
        learner.train()
        total = 0.0
        for pixels, labels in pictures.train.batches(BATCH, seed=seed + epoch):
            inputs = around.normalise(random_resized_crop(pixels, numbers, flip=True))
            if masked:
                loss = learner(inputs)
            else:
                loss = F.cross_entropy(network(inputs), labels, label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(pixels)
        mean, seconds = total / len(pictures.train), time.perf_counter() - start
        progress(f"epoch {epoch + 1} of {epochs}: training loss {mean:.3f}, {seconds:.0f} s")
    if masked:
        what, good = "error on hidden patches", _hidden_error(learner, around, pictures.test)
    else:
        what, good = "source accuracy", evaluate(around, pictures.test)[0]
    made_by = {"made by": "difflr.experiments.pretraining", what: f"{good:.4f}"}
    made_by |= {"epochs": str(epochs), "seed": str(seed)}
    save_file(network.state_dict(), target, metadata=made_by)
    progress(f"{what} {good:.3f}, written to {target}")
    return good


@torch.no_grad()
def _hidden_error(learner: nn.Module, around: PictureNetwork, images: Images) -> float:
    learner.eval()
    errors = [
        learner(around.normalise(pixels)).item() * len(pixels) for pixels, _ in images.batches(500)
    ]
    return sum(errors) / len(images)


def main() -> None:
    """Pre-train a SmallViT: the command of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m difflr.experiments.pretraining", description=main.__doc__
    )
    parser.add_argument("--data", required=True, help="class-per-folder tree of the source task")
    parser.add_argument("--out", required=True, help="file to write (safetensors)")
    parser.add_argument("--masked", action="store_true", help="as a masked autoencoder")
    parser.add_argument("--epochs", type=int, help=f"default {EPOCHS}, masked {MASKED_EPOCHS}")
    parser.add_argument("--seed", type=int, default=0, help="of weights and pictures (default 0)")
    arguments = parser.parse_args()
    try:
        pretrain(**vars(arguments))
    except DifflrError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
