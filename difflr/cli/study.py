"""``difflr study``: run a declared study, or go on with one, and record what it found."""

import argparse
from contextlib import nullcontext
from dataclasses import fields
from typing import Any

from difflr.errors import DifflrError, as_int, short_repr

__all__ = ["add_study_command"]


def add_study_command(commands: Any, training: argparse.ArgumentParser) -> None:
    """Add the command ``study`` to the subparsers of the command line, with options of training."""
    job = commands.add_parser(
        "study", parents=[training], help="run a declared study; a killed one goes on"
    )
    add = job.add_argument
    add(
        "name",
        help="plateau, peak, recipes, which_splits, frozen_bn, causes, networks, vit or text",
    )
    add("--data", default="strokes", help="strokes, cifar10, a folder, or trec6:FOLDER")
    add("--backbone", help="default: strokenet for strokes, else resnet18")
    add("--weights", help="a .safetensors or .pt file, imagenet, none; of text a folder")
    add("--source", help="class-per-folder tree of the task that the weights were trained on")
    add(
        "--test-size",
        type=int,
        help="pictures to measure on: validation, test, source (default: all)",
    )
    add(
        "--only",
        nargs="+",
        default=[],
        metavar="TAG=VALUE",
        help="a part of the grid, e.g. train_size=500,1000 epochs=6; the rest can follow later",
    )
    add(
        "--widen",
        action="store_true",
        help="where the best of the learning rates in --only is the lowest or highest, try the next one",
    )
    add(
        "--seeds",
        metavar="CHOOSING,REPORTING",
        help="how many seeds choose the learning rates, and how many others report",
    )
    add(
        "--as-recorded",
        nargs="?",
        const="",
        metavar="RECORDING",
        help="make the runs of a recording once more (default: the one of the study that comes with "
        "difflr), or those that --only names",
    )
    add("--jobs", type=int, help="runs at a time (default: one per core)")
    add("--threads", type=int, help="per run (default: cores / jobs)")
    add("--cluster", help="address of a Dask scheduler, or local")
    add("--quick", action="store_true", help="a few small runs, to try it out")
    add(
        "--go-on-from",
        metavar="RECORDING",
        help="keep the runs of a recording and add what is missing",
    )
    add("--out", default="runs/study", help="folder (default: runs/study)")
    job.set_defaults(run=_study)


def _study(given: argparse.Namespace) -> None:
    from difflr.experiments.needs import need_room_for
    from difflr.studies.declared import declare
    from difflr.studies.design import TEXT, TREC_FILES, Task, need_file
    from difflr.studies.recordings import load_recording
    from difflr.written.files import user_path

    named = {field.name for field in fields(Task)}  # as the options are
    task = Task.fitting(**{name: value for name, value in vars(given).items() if name in named})
    seeds = None if given.seeds is None else _counts(given.seeds)
    study = declare(
        given.name,
        task,
        quick=given.quick,
        only=given.only,
        widen=given.widen,
        seeds=seeds,
        recording=given.name if given.as_recorded == "" else given.as_recorded,
    )
    if task.text:
        for file in TREC_FILES:
            need_file(user_path(task.data.removeprefix(TEXT)), file, "--data")
    if task.source not in (None, "strokes") and not user_path(task.source).is_dir():
        raise DifflrError(
            f"There is no folder {task.source}.", "Pass a class-per-folder tree as --source."
        )
    for name in ("jobs", "threads"):
        if getattr(given, name) is not None:
            as_int(f"--{name}", getattr(given, name), 1, 1024)
    out = user_path(given.out)
    need_room_for(out)
    earlier = load_recording(given.go_on_from) if given.go_on_from else None
    # Only now what takes seconds to load: a mistake has been reported by then.
    from difflr.evidence.gallery import draw_all
    from difflr.experiments.reading import describe_reading
    from difflr.studies.material import load_parts
    from difflr.studies.recordings import restore_journal, save_recording
    from difflr.studies.running import run_study

    if earlier:
        restore_journal(earlier, out / f"{study.name}.jsonl")
    parts = load_parts(study.task)
    for said in (describe_reading(parts.files), parts.division):
        if said:
            print(said, end="\n\n", flush=True)
    here = given.cluster is None
    with nullcontext() if here else _client(given.cluster):
        journal = run_study(
            study,
            out,
            n_jobs=given.jobs,
            threads=given.threads,
            backend="loky" if here else "dask",
            progress=not given.no_progress,
        )
    recorded = out / f"{study.name}.json.gz"
    recording = save_recording(journal, recorded)
    texts = draw_all(recording, out)
    print("\n\n".join(texts.values()))
    diverged = sum(run.loss is None for run in recording.runs)
    count = f"{len(recording.runs)} runs" + (f", of which {diverged} diverged" if diverged else "")
    print(f"\n{count}\n{journal}\n{recorded}")


def _counts(text: str) -> tuple[int, int]:
    """Return the numbers of choosing and reporting seeds in ``"3,10"``."""
    choosing, _, reporting = text.partition(",")
    try:
        counts = int(choosing), int(reporting)
    except ValueError:
        counts = 0, 0
    if not (1 <= counts[0] <= 100 and 0 <= counts[1] <= 1000):
        raise DifflrError(
            f"Received --seeds {short_repr(text)}.",
            "Pass two numbers, as 3,10: 1 to 100, 0 to 1000.",
        )
    return counts


def _client(cluster: str) -> Any:
    """Return Dask's client of the scheduler at an address, or of workers on this machine, to be entered."""
    from difflr.studies.cluster import local_cluster

    try:
        from dask.distributed import Client
    except ImportError as error:
        raise DifflrError(
            "--cluster needs Dask, which is not installed.", 'pip install "difflr[studies]".'
        ) from error
    try:
        return local_cluster() if cluster == "local" else Client(cluster, timeout=20)
    except (OSError, ValueError) as error:
        raise DifflrError(
            f"No Dask scheduler answers at {cluster}: {error}.", "Pass tcp://HOST:PORT or local."
        ) from error
