"""The lessons: copy them, never touching what a learner has written, and tabulate what a class has done."""

import argparse
import shlex
from pathlib import Path
from typing import Any

import difflr
from difflr.errors import DifflrError, first_few
from difflr.written.files import user_path, write_whole, writing

__all__ = ["add_lessons_commands", "copy_lessons"]


def add_lessons_commands(commands: Any) -> None:
    """Add ``lessons`` and ``progress`` to the subparsers of the command line."""
    job = commands.add_parser("lessons", help="copy the lesson notebooks into a folder of yours")
    job.add_argument("folder", help="made where it is missing; no file in it is overwritten")
    job.set_defaults(run=_lessons)
    job = commands.add_parser("progress", help="tabulate the progress that learners hand in")
    job.add_argument("folder", help="of their files, each in a folder named after the learner")
    job.set_defaults(run=_progress)


def copy_lessons(folder: Path) -> tuple[list[str], list[str]]:
    """Copy the lesson notebooks into ``folder``; return the names of all, and of those kept.

    A file that is there already stays as it is: kept are those that differ from the lesson.

    Raises:
        DifflrError: when the folder cannot be written, or this installation holds no lessons.
    """
    names, kept = [], []
    for lesson in _shipped():
        target = folder / lesson.name
        names.append(lesson.name)
        with writing(target, "Pass another folder."):
            content = lesson.read_bytes()
            if not target.exists():
                write_whole(target, content, replace=False)
            if not target.is_file() or target.read_bytes() != content:
                kept.append(lesson.name)
    return names, kept


def _shipped() -> list[Path]:
    """Return the notebooks inside the wheel, or in a checkout those beside the package."""
    package = Path(difflr.__file__).parent
    for folder in (package / "lessons" / "notebooks", package.parent / "notebooks"):
        if found := sorted(folder.glob("[0-9][0-9]_*.ipynb")):
            return found
    raise DifflrError("This installation of difflr holds no lessons.", "Install difflr again.")


def _lessons(arguments: argparse.Namespace) -> None:
    folder = user_path(arguments.folder)
    names, kept = copy_lessons(folder)
    print(f"{len(names) - len(kept)} of {len(names)} lessons are in {folder} as they are shipped.")
    if kept:
        print(f"Kept as they were, since they differ: {first_few(kept, len(kept))}.")
    print(f"Open them: jupyter lab {shlex.quote(str(folder / names[0]))}")
    print('JupyterLab comes with pip install "difflr[notebooks]".')


def _progress(arguments: argparse.Namespace) -> None:
    from difflr.lessons.progress import tabulated

    folder = user_path(arguments.folder)
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise DifflrError(
            f"There are no .json files in {folder}.",
            "Collect the files difflr-progress.json that lie beside the learners' notebooks.",
        )
    print(tabulated(files))
