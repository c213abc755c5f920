"""What difflr shares with Colab, out of Colab's pip freeze: see .github/workflows/colab.yml.

python colab_versions.py FREEZE OS_INFO OUT writes requirements to OUT and prints python=X.Y.
"""

import re
import sys
from pathlib import Path

#: difflr's dependencies that Colab has, and what the widgets run in.
SHARED = (
    *("torch", "torchvision", "numpy", "scipy", "matplotlib", "pillow", "safetensors"),
    *("tensorboard", "tqdm", "ipywidgets", "ipython", "ipykernel"),
)


def requirements(freeze: str) -> list[str]:
    """Return ``name==version`` for each of ``SHARED``, without a build such as ``+cu126``."""
    found = {}
    for line in freeze.splitlines():
        # "numpy==2.0.2", or "torch @ https://…/torch-2.8.0%2Bcu126-cp312-….whl"
        match = re.match(r"([\w.-]+)(?:==| @ \S*/[\w.]+-)([0-9][\w.]*)", line)
        if match:
            found[match[1].lower().replace("_", "-")] = match[2]
    missing = [name for name in SHARED if name not in found]
    if missing:
        raise SystemExit(f"Colab's list has changed its form: no {', '.join(missing)}.")
    return [f"{name}=={found[name]}" for name in SHARED]


def python_version(os_info: str) -> str:
    """Return the X.Y of "Python X.Y.Z"."""
    match = re.search(r"^Python (\d+\.\d+)", os_info, re.MULTILINE)
    if not match:
        raise SystemExit("Colab's description has changed its form: no Python in it.")
    return match[1]


if __name__ == "__main__":
    freeze, os_info, out = map(Path, sys.argv[1:])
    out.write_text("\n".join(requirements(freeze.read_text())) + "\n")
    print(f"python={python_version(os_info.read_text())}")
