"""Small networks and data that several tests share."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from difflr import Splits, split_model

SPLITS = ("stem", "layer1", "layer2", "layer3", "layer4", "head")


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class TinyNet(nn.Module):
    """A network with ResNet's children, in six splits, for pictures of 3×8×8 and four classes."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for i in range(1, 5):
            setattr(self, f"layer{i}", block(width, width))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        x = torch.relu(self.bn1(self.conv1(x)))
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.fc(self.avgpool(x).flatten(1))


class Mixed(nn.Module):
    """An embedding, hidden matrices with a norm between them, a convolution, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(16, 6)
        self.one = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 8, bias=False))
        self.two = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(16, 5))
        self.head = nn.Linear(5, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the logits of three classes."""
        return self.head(self.two(self.one(self.embedding(ids))[:, None]))


def mixed() -> tuple[Mixed, Splits]:
    """The model and its four splits."""
    torch.manual_seed(0)
    model = Mixed()
    return model, split_model(model, [model.embedding, model.one, model.two, model.head])


def batch(n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pictures and labels."""
    return torch.randn(n, 3, 8, 8), torch.randint(0, 4, (n,))


def loader(batches: int, batch_size: int = 4) -> DataLoader:
    """The same random pictures every time, in the same order."""
    generator = torch.Generator().manual_seed(1)
    n = batches * batch_size
    images = torch.randn(n, 3, 8, 8, generator=generator)
    labels = torch.randint(0, 4, (n,), generator=generator)
    return DataLoader(TensorDataset(images, labels), batch_size)


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, **zero_grad: bool) -> None:
    """One usual training step, which leaves the mode of the model alone."""
    images, labels = batch()
    optimizer.zero_grad(**zero_grad)
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


def tensors(split) -> Iterator[torch.Tensor]:
    """Every parameter and buffer of a split."""
    yield from split.parameters.values()
    for module in split.modules:
        yield from module.buffers(recurse=False)


def copies(splits) -> list[list[torch.Tensor]]:
    """Copies of all that the splits hold, to compare with later."""
    return [[tensor.detach().clone() for tensor in tensors(split)] for split in splits]


def changed(splits, before: list[list[torch.Tensor]]) -> list[bool]:
    """Whether any bit of each split differs from the copies made before."""
    return [
        any(not torch.equal(now, old) for now, old in zip(tensors(split), olds, strict=True))
        for split, olds in zip(splits, before, strict=True)
    ]
