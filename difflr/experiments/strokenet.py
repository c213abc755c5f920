"""StrokeNet: a ResNet narrow enough to train on two processor cores, and its pre-trained weights.

Its children bear the names of torchvision's resnet18, so whatever splits, freezes or adapts the
one does the same to the other. This command makes the weights that the package carries:

    python -m difflr.experiments.strokenet --out difflr/experiments/weights/strokenet.safetensors
"""

import argparse
import platform
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from difflr.errors import DifflrError, as_int
from difflr.experiments.needs import need_folder_of
from difflr.experiments.strokes import SOURCE_CLASSES, source_task

__all__ = ["MEAN", "STD", "StrokeNet", "embedded_weights_path", "pretrain"]

MEAN = (0.334, 0.334, 0.334)  # of the source task's channels, on a scale from 0 to 1
STD = (0.152, 0.152, 0.152)

EPOCH = 20_000  # pictures
BATCH = 128
LR = 5e-3
TEST = 3_000  # pictures


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut past them: torchvision's ``BasicBlock``."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width_in, H, W) to (N, width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + shortcut)


class StrokeNet(nn.Module):
    """A ResNet of four one-block stages for pictures of 32 x 32 pixels; about 315,000 parameters.

    It expects floats from 0 to 1, less ``MEAN`` and divided by ``STD``, of shape (N, 3, 32, 32),
    and returns logits of shape (N, num_classes). Raises ``DifflrError`` for fewer than one class.

    >>> StrokeNet(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, num_classes: int = SOURCE_CLASSES) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity()  # 32 pixels are too few to pool here
        self.layer1 = nn.Sequential(Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2))
        self.layer3 = nn.Sequential(Block(32, 64, 2))
        self.layer4 = nn.Sequential(Block(64, 128, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(128, as_int("num_classes", num_classes, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised pictures (N, 3, 32, 32) to logits (N, num_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def embedded_weights_path() -> Path:
    """Return the path of the pre-trained weights inside the package, a safetensors file.

    Its tensors are in half precision and include ``fc``, the head for the 60 source classes; its
    metadata says how it was made.
    """
    return Path(str(resources.files("difflr.experiments") / "weights" / "strokenet.safetensors"))


def pretrain(
    out: str | Path, *, seed: int = 0, epochs: int = 6, progress: Callable[[str], object] = print
) -> float:
    """Train a StrokeNet on the source task, write its weights to ``out``, return its accuracy.

    Every epoch has 20,000 pictures that were never seen before: they cost less to draw than to
    learn from, and there is nothing to learn by heart. The accuracy, from 0 to 1, is that of the
    weights as written (in half precision) on 3,000 test pictures. ``progress`` gets a line of text
    after each epoch. Takes minutes on two cores. Raises ``DifflrError`` for a negative seed, fewer
    than one epoch, or a folder that does not exist.
    """
    seed, epochs, out = as_int("seed", seed, 0), as_int("epochs", epochs, 1), Path(out)
    need_folder_of(out)
    torch.manual_seed(seed)
    model = StrokeNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=0.02, fused=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LR, total_steps=epochs * (EPOCH // BATCH), pct_start=0.15
    )
    start = time.perf_counter()
    for epoch in range(epochs):
        model.train()
        images, labels = map(torch.from_numpy, source_task("train", EPOCH, seed * 1000 + epoch))
        losses = []
        for rows in torch.randperm(EPOCH)[: EPOCH // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(model(_normalised(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.detach())
        mean, seconds = torch.stack(losses).mean().item(), time.perf_counter() - start
        progress(f"epoch {epoch + 1} of {epochs}: training loss {mean:.3f}, {seconds:.0f} s")

    half = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(half)
    accuracy = _source_accuracy(model, seed)
    made_by = {
        "made by": "python -m difflr.experiments.strokenet",
        "source accuracy": f"{accuracy:.4f}",
        "seed": str(seed),
        "epochs": str(epochs),
        "pictures per epoch": str(EPOCH),
        "seconds": f"{time.perf_counter() - start:.0f}",
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    save_file(half, out, metadata=made_by)
    progress(f"source accuracy {accuracy:.1%}, written to {out}")
    return accuracy


def _normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return ((images / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def _source_accuracy(model: nn.Module, seed: int) -> float:
    model.eval()
    images, labels = map(torch.from_numpy, source_task("test", TEST, seed))
    found = torch.cat([model(_normalised(batch)).argmax(1) for batch in images.split(500)])
    return (found == labels).float().mean().item()


def main() -> None:
    """Make the weights anew: the command of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m difflr.experiments.strokenet", description=main.__doc__
    )
    parser.add_argument("--out", required=True, help="file to write (safetensors)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and pictures (default 0)")
    parser.add_argument("--epochs", type=int, default=6, help="of 20,000 pictures (default 6)")
    arguments = parser.parse_args()
    try:
        pretrain(**vars(arguments))
    except DifflrError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
