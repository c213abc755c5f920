"""``difflr progress``: what a class has done, from the files that the lessons wrote."""

import argparse
from typing import Any

from difflr.errors import DifflrError

__all__ = ["add_progress_command"]


def add_progress_command(commands: Any) -> None:
    """Add the command to the parsers of ``difflr``."""
    job = commands.add_parser("progress", help="tabulate the progress that learners hand in")
    job.add_argument("folder", help="of their files, each in a folder named after the learner")
    job.set_defaults(run=_progress)


def _progress(arguments: argparse.Namespace) -> None:
    from difflr.lessons.progress import tabulated
    from difflr.written.files import user_path

    folder = user_path(arguments.folder)
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise DifflrError(
            f"There are no .json files in {folder}.",
            "Collect the files difflr-progress.json that lie beside the learners' notebooks.",
        )
    print(tabulated(files))
