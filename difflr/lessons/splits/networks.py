"""Small networks with the habits of real ones: to be printed, cut, and cut wrongly, in the lessons."""

import torch
from torch import Tensor, nn

__all__ = ["PatchNet", "WordNet"]


class PatchNet(nn.Module):
    """A vision transformer in miniature: pictures (N, 3, 32, 32) to logits (N, n_classes)."""

    def __init__(self, n_classes: int = 10, width: int = 32) -> None:
        super().__init__()
        self.fc = nn.Linear(width, n_classes)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 64, dropout=0.0, batch_first=True)
            for _ in range(4)
        )
        self.patches = nn.Conv2d(3, width, kernel_size=8, stride=8)
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, width))

    def forward(self, x: Tensor) -> Tensor:
        """Cut the picture into 16 patches, let them attend to one another, and average."""
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x)
        return self.fc(self.norm(x).mean(1))


class WordNet(nn.Module):
    """Guess the next word: word numbers (N, T) to logits (N, T, words)."""

    def __init__(self, words: int = 50, width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.body = nn.Linear(width, width)
        self.readout = nn.Linear(width, words, bias=False)
        self.readout.weight = self.embed.weight
        self.temperature = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Read each word by itself; the table that read it also writes the next."""
        x = torch.tanh(self.body(self.embed(x)))
        return self.readout(x) / self.temperature
