"""``difflr study``: run a declared study, or go on with one, and record what it found."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, short_repr

__all__ = ["add_study_command"]


def add_study_command(commands: Any, training: argparse.ArgumentParser) -> None:
    """Add the command ``study`` to the subparsers of the command line, with options of training."""
    job = commands.add_parser(
        "study", parents=[training], help="run a declared study; a killed one goes on"
    )
    job.add_argument(
        "name",
        help="plateau, peak, recipes, which_splits, frozen_bn, causes, networks, vit or text",
    )
    job.add_argument(
        "--data", default="strokes", help="strokes, cifar10, a folder, or trec6:FOLDER"
    )
    job.add_argument("--backbone", help="default: strokenet for strokes, else resnet18")
    job.add_argument(
        "--weights", help="a .safetensors or .pt file, imagenet, none; of text a folder"
    )
    job.add_argument(
        "--source", help="class-per-folder tree of the task that the weights were trained on"
    )
    job.add_argument(
        "--test-size",
        type=int,
        help="pictures to measure on: validation, test, source (default: all)",
    )
    job.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="TAG=VALUE",
        help="a part of the grid, e.g. train_size=500,1000 epochs=6; the rest can follow later",
    )
    job.add_argument(
        "--widen",
        action="store_true",
        help="where the best of the learning rates in --only is the lowest or highest, try the next one",
    )
    job.add_argument(
        "--seeds",
        metavar="CHOOSING,REPORTING",
        help="how many seeds choose the learning rates, and how many others report",
    )
    job.add_argument("--jobs", type=int, help="runs at a time (default: one per core)")
    job.add_argument("--threads", type=int, help="per run (default: cores / jobs)")
    job.add_argument("--cluster", help="address of a Dask scheduler, or local")
    job.add_argument("--quick", action="store_true", help="a few small runs, to try it out")
    job.add_argument(
        "--go-on-from",
        metavar="RECORDING",
        help="keep the runs of a recording and add what is missing",
    )
    job.add_argument("--out", default="runs/study", help="folder (default: runs/study)")
    job.set_defaults(run=_study)


def _study(arguments: argparse.Namespace) -> None:
    from difflr.evidence.gallery import draw_all
    from difflr.experiments.reading import describe_reading
    from difflr.studies.declared import declare
    from difflr.studies.material import load_parts
    from difflr.studies.recordings import load_recording, restore_journal, save_recording
    from difflr.written.files import user_path

    task = _task(arguments)
    study = declare(arguments.name, task, quick=arguments.quick)
    whole = study
    for text in arguments.only:
        study = _part(study, text)
        whole = whole if text.startswith("base_lr=") else _part(whole, text)
    if arguments.widen:
        study = replace(study, reserve=whole.cells)
    if arguments.seeds is not None:
        study = _seeded(study, arguments.seeds)
    out = user_path(arguments.out)
    if arguments.go_on_from:
        restore_journal(load_recording(arguments.go_on_from), out / f"{study.name}.jsonl")
    options = {
        "n_jobs": arguments.jobs,
        "threads": arguments.threads,
        "progress": not arguments.no_progress,
    }
    parts = load_parts(task)
    for said in (describe_reading(parts.files), parts.division):
        if said:
            print(said, end="\n\n", flush=True)
    journal = _run(study, out, arguments.cluster, options)
    recorded = out / f"{study.name}.json.gz"
    recording = save_recording(journal, recorded)
    texts = draw_all(recording, out)
    print("\n\n".join(texts.values()))
    diverged = sum(run.loss is None for run in recording.runs)
    count = f"{len(recording.runs)} runs" + (f", of which {diverged} diverged" if diverged else "")
    print(f"\n{count}\n{journal}\n{recorded}")


def _task(arguments: argparse.Namespace) -> Any:
    """Return what is held fixed: what fits the data, unless an option says otherwise."""
    from difflr.experiments.settings import Settings
    from difflr.studies.design import TEXT, Task

    if arguments.data.startswith(TEXT):
        if arguments.weights is None:
            raise DifflrError(
                "Text needs a transformer.", "Pass its folder, with tokenizer.json, as --weights."
            )
        return Task(
            data=arguments.data,
            backbone=arguments.backbone or "transformer",
            weights=arguments.weights,
            source=None,
            batch_size=16,
            precision=arguments.precision or "32-true",
            test_size=arguments.test_size,
        )
    shared = ("backbone", "weights", "image_size", "precision", "data_dir")
    given = {name: getattr(arguments, name) for name in shared}
    fitting = Settings.fitting(arguments.data, **given)
    own_weights = fitting.backbone == "strokenet" and fitting.weights is None
    return Task(
        data=fitting.data,
        source=arguments.source or ("strokes" if own_weights else None),
        batch_size=fitting.batch_size or 64,
        test_size=arguments.test_size,
        **{name: getattr(fitting, name) for name in shared},
    )


def _part(study: Any, text: str) -> Any:
    """Return the study with only those cells whose tag has one of the values in ``tag=value,…``."""
    from difflr.studies.design import tag_matches

    tag, _, values = text.partition("=")
    if tag not in study.cells[0].tags:
        raise DifflrError(
            f"Received --only {short_repr(text)}.",
            f"Pass TAG=VALUE,…; the tags are {', '.join(study.cells[0].tags)}.",
        )
    cells = []
    for value in values.split(","):
        found = [cell for cell in study.cells if tag_matches(cell.tags[tag], value)]
        if not found:
            known = dict.fromkeys(str(cell.tags[tag]) for cell in study.cells)
            raise DifflrError(
                f"Received --only {short_repr(text)}: no {tag} is {short_repr(value)}.",
                f"Pass some of {', '.join(known)}.",
            )
        cells += found
    return replace(study, cells=cells)


def _seeded(study: Any, text: str) -> Any:
    """Return the study with the numbers of choosing and reporting seeds in ``"3,10"``."""
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
    return replace(
        study, seeds=tuple(range(counts[0])), report_seeds=tuple(range(100, 100 + counts[1]))
    )


def _run(study: Any, out: Path, cluster: str | None, options: dict[str, Any]) -> Path:
    from difflr.studies.cluster import local_cluster
    from difflr.studies.running import run_study

    if cluster is None:
        return run_study(study, out, **options)
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise DifflrError(
            "--cluster needs Dask, which is not installed.", 'pip install "difflr[studies]".'
        ) from error
    try:
        client = local_cluster() if cluster == "local" else Client(cluster, timeout=20)
    except (OSError, ValueError) as error:
        raise DifflrError(
            f"No Dask scheduler answers at {cluster}: {error}.", "Pass tcp://HOST:PORT or local."
        ) from error
    with client:
        return run_study(study, out, backend="dask", **options)
