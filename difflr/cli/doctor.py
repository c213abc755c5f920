"""``difflr doctor``: before a course, whether this machine can run the lessons, and what to do if not."""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError

__all__ = ["Finding", "add_doctor_command", "examine"]

_NEEDED = ("numpy", "torch", "torchvision", "matplotlib", "ipywidgets", "jupyterlab")
_LIGHTNING = ("pytorch_lightning", "lightning")
_FREE_DISK, _FREE_MEMORY = 1.0, 2.0  # GB: for results; for a lesson's kernel beside a browser
_PATIENCE = 60.0  # seconds for the training, which takes about ten on two cores

Finding = tuple[str, str, str]
"""What was looked at, what was found, and the remedy: empty where nothing is wrong."""


def add_doctor_command(commands: Any) -> None:
    """Add the command to the parsers of ``difflr``."""
    job = commands.add_parser("doctor", help="can this machine run the lessons? what to do if not")
    job.add_argument("--folder", default=".", help="where the lessons will lie (default: here)")
    job.add_argument("--no-training", action="store_true", help="leave out the short training")
    job.set_defaults(run=_doctor)


def examine(folder: Path, training: bool = True) -> Iterator[Finding]:
    """Look at one thing after the other; a look that fails is a finding, and not an error."""
    looks: list[tuple[str, Callable[[], tuple[str, str]]]] = [
        ("python", _python),
        *((name, lambda name=name: _package(name)) for name in _NEEDED),
        ("Lightning", lambda: _package(*_LIGHTNING)),
        ("disk", lambda: _disk(folder)),
        ("memory", _memory),
        ("widgets", _widgets),
    ]
    if training:
        looks.append(("training", _training))
    for name, look in looks:
        try:
            yield name, *look()
        except Exception as error:  # whatever is broken, the other looks are worth having
            text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            yield name, text, 'Install it anew: pip install --force-reinstall "difflr[notebooks]".'


def _python() -> tuple[str, str]:
    return f"{platform.python_version()}, {os.cpu_count()} cores, {platform.system()}", ""


def _package(*names: str) -> tuple[str, str]:
    found = next(filter(importlib.util.find_spec, names), None)
    if found is None:
        return "missing", 'pip install "difflr[notebooks]"'
    which = f"{found} " if len(names) > 1 else ""
    return which + importlib.metadata.version(found), ""


def _disk(folder: Path) -> tuple[str, str]:
    if not os.access(folder, os.W_OK):
        return f"{folder} cannot be written", "Go to a folder of yours, or pass --folder."
    free = shutil.disk_usage(folder).free / 1e9
    return f"{free:.1f} GB free", "" if free > _FREE_DISK else f"Free {_FREE_DISK:g} GB."


def _memory() -> tuple[str, str]:
    try:  # Linux; elsewhere nobody says how much is free without a package more
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return "not known on this system", ""
    free = kilobytes / 1e6
    return f"{free:.1f} GB free", "" if free > _FREE_MEMORY else "Close other programs."


def _widgets() -> tuple[str, str]:
    import ipywidgets

    from difflr.recipes import make_plan
    from difflr.widgets import PlanEditor

    PlanEditor(("body", "head"), make_plan("uniform", 2, epochs=1), steps_per_epoch=2)
    if importlib.util.find_spec("jupyterlab_widgets") is None:
        return "JupyterLab would not show them", "pip install jupyterlab_widgets"
    return f"the plan editor was built (ipywidgets {ipywidgets.__version__})", ""


def _training() -> tuple[str, str]:
    from difflr.experiments.backbones import load_backbone
    from difflr.experiments.data import load_data
    from difflr.experiments.training import TrainingOptions, train
    from difflr.recipes import make_plan

    start = time.perf_counter()
    data, backbone = load_data("strokes"), load_backbone("strokenet")
    images, test = data.train.subset(300, seed=0), data.test.subset(500, seed=0)
    plan = make_plan("uniform", 6, epochs=8, lr=1e-2)
    options = TrainingOptions(batch_size=32)
    outcome, _ = train(backbone, plan, images, test, options, n_classes=10, seed=0)
    seconds = time.perf_counter() - start
    found = f"{outcome.accuracy:.0%} right after {seconds:.0f} s"
    if outcome.accuracy < 0.5:
        return found, "It should be above 50%: install torch anew, and say so in an issue."
    slow = "Lessons will take minutes where they say seconds: close other programs, or use Colab."
    return found, "" if seconds < _PATIENCE else slow


def _doctor(arguments: argparse.Namespace) -> None:
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    good, bad = ("✓", "✗") if utf8 else ("ok", "NO")
    ill = []
    folder = Path(arguments.folder).expanduser()
    for name, found, remedy in examine(folder, not arguments.no_training):
        mark, colour = (bad, 31) if remedy else (good, 32)
        mark = f"\033[{colour}m{mark}\033[0m" if colours else mark
        print(f"{mark} {name:<12} {found}" + (f"\n  → {remedy}" if remedy else ""), flush=True)
        ill += [name] * bool(remedy)
    if ill:
        raise DifflrError(
            f"Not ready for the lessons: {', '.join(ill)}.",
            "Follow the lines above, and run it again.",
        )
    print("Ready for the lessons.")
