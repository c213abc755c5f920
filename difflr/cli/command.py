"""The command line: one command each for comparing recipes, plans, studies, logged rates, lessons."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from difflr.cli.failure import is_out_of_memory, report, tell
from difflr.errors import DifflrError, short_repr
from difflr.extras import MissingExtra, extra_of

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    It is 0; 2 for what cannot be used or is missing; 130 after Ctrl-C; 141 where nobody reads what is
    printed any more; 70 for a mistake of difflr's own, whose traceback goes into a file.
    """
    command = "difflr"
    try:
        _print_any_name()
        arguments = _parser().parse_args(argv)
        command = f"difflr {arguments.command}"
        arguments.run(arguments)
        sys.stdout.flush()
    except DifflrError as error:
        tell(error)
        return 2
    except KeyboardInterrupt:
        print("difflr: stopped; finished runs are kept, the same command goes on.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as of "difflr plan | head -1"
        # For Python's own last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if isinstance(error, ImportError) and extra_of(error.name) is not None:
            tell(MissingExtra(command, str(error.name)))
            return 2
        if is_out_of_memory(error):
            tell("There is too little memory. Pass a smaller --image-size, --batch-size or --jobs.")
            return 2
        return report(error)
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser that says in one line what it cannot read, whatever stands in it."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with status 2."""
        super().error(" ".join(message.split()))


def _print_any_name() -> None:
    """Let stdout take what the encoding of the terminal lacks, and file names that are no text at all."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    from difflr import __version__
    from difflr.cli.doctor import add_doctor_command
    from difflr.cli.lessons import add_lessons_commands
    from difflr.cli.study import add_study_command
    from difflr.recipes import RECIPES
    from difflr.written.recipes import AUTO_RGN

    parser = _Parser(
        prog="difflr", description="Differential learning rates for transfer learning."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    names = ", ".join(RECIPES)
    training = _training_options()

    job = commands.add_parser(
        "compare", parents=[training], help="train recipes side by side and compare them"
    )
    add = job.add_argument
    add("--data", default="strokes", help="strokes, cifar10 or a folder (default: strokes)")
    add(
        "--backbone",
        help="strokenet, efficientnet_lite0, a torchvision model such as resnet18, or timm:NAME",
    )
    add("--weights", help="a .safetensors or .pt file, imagenet, or none")
    add(
        "--recipes",
        nargs="+",
        help=f"of {names}, {AUTO_RGN}; options after colons, e.g. differential:lr=3e-3:ratio=10",
    )
    add("--seeds", nargs="+", default=["3"], help="how many, or the seeds: 0,1,2")
    add("--epochs", type=int, help="of every recipe (default: 6, strokes 8)")
    _add_splits(job)
    add("--train-size", type=int, help="pictures (default: 1000 or all there are, strokes 300)")
    add("--batch-size", type=int, help="default: 64, strokes 32, small folders 8 to 32")
    add(
        "--no-flip",
        dest="flip",
        action="store_false",
        help="mirror no training picture: for letters, digits, and all that has a left and a right",
    )
    add("--weight-decay", type=float, default=0.01, help="default: 0.01")
    add("--out", default="runs/compare", help="folder for results (default: runs/compare)")
    add(
        "--validate",
        action="store_true",
        help="measure on a fifth of the training pictures, to choose learning rates fairly",
    )
    add(
        "--division-seed",
        type=int,
        default=0,
        help="draws the test pictures of a folder with one folder per class (default: 0); parts.csv in "
        "that folder says which instead",
    )
    job.set_defaults(run=_compare)

    plan = commands.add_parser("plan", help="print and draw a plan without training")
    source = plan.add_mutually_exclusive_group()
    source.add_argument("--recipe", default="differential", help=f"one of {names}")
    source.add_argument("--milestones", help="a JSON file with a milestones dictionary")
    add = plan.add_argument
    add("--backbone", default="resnet18", help="whose splits to use (default: resnet18)")
    _add_splits(plan)
    add("--epochs", type=int, default=6, help="of a recipe (default: 6)")
    add("--steps-per-epoch", type=int, default=50, help="default: 50")
    add("--out", default="plan.png", help="the picture (default: plan.png)")
    plan.set_defaults(run=_plan)

    add_study_command(commands, training)
    add_lessons_commands(commands)
    add_doctor_command(commands)

    curves = commands.add_parser("curves", help="draw learning rates logged to TensorBoard")
    curves.add_argument("folder", help="the TensorBoard folder of one run")
    curves.add_argument("--title", default="", help="above the picture")
    curves.add_argument("--out", default="lrs.png", help="the picture (default: lrs.png)")
    curves.set_defaults(run=_curves)
    return parser


def _training_options() -> _Parser:
    """Return the options that ``compare`` and ``study`` share."""
    shared = _Parser(add_help=False)
    add = shared.add_argument
    add("--data-dir", help="where CIFAR10 is kept (default: ~/.cache/difflr)")
    add(
        "--image-size",
        type=int,
        help="side in pixels: the shorter side is resized to it, the middle kept",
    )
    add(
        "--precision",
        help="of training, as Lightning names it: 32-true (default), bf16-mixed or 16-mixed",
    )
    add("--no-progress", action="store_true", help="no progress bar")
    return shared


def _add_splits(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--splits",
        nargs="+",
        default=[],
        metavar="SPLIT",
        help="own cut: stages, blocks, a JSON file, or e.g. stem=conv1,bn1 body=... head=fc",
    )


def _compare(arguments: argparse.Namespace) -> None:
    from difflr.experiments.needs import need_room_for
    from difflr.experiments.settings import Settings
    from difflr.written.cuts import parse_cut
    from difflr.written.files import user_path

    out = user_path(arguments.out)
    need_room_for(out)
    named = {field.name for field in fields(Settings)}  # as the options are
    given = {name: value for name, value in vars(arguments).items() if name in named}
    given |= {"splits": parse_cut(arguments.splits), "seeds": _seeds(arguments.seeds)}
    given["recipes"] = arguments.recipes and _listed(arguments.recipes)
    settings = Settings.fitting(**given)
    # Only now what takes seconds to load: a mistake has been reported by then.
    from difflr.experiments.compare import compare, table
    from difflr.experiments.figure import plot_runs
    from difflr.experiments.reading import describe_reading

    results = compare(settings, out, progress=not arguments.no_progress)
    if said := describe_reading(results.about["data"].get("files", {})):
        print(said, end="\n\n")
    if division := results.about["data"].get("division"):
        print(f"{division['text']}\n{out / 'parts.csv'}", end="\n\n")
    print(table(results))
    data, weights, chosen = (results.about[part] for part in ("data", "weights", "settings"))
    title = (
        f"{weights['backbone']} on {Path(data['name']).name}, {chosen['train_size']} training "
        f"pictures, {chosen['epochs']} epochs"
    )
    figure = plot_runs(results.runs, title, data["measured_on"])
    _save(figure, out / "compare.png")
    print(f"\n{results.path}\n{out / 'compare.png'}")


def _plan(arguments: argparse.Namespace) -> None:
    from difflr.milestones import from_milestones
    from difflr.recipes import as_recipe, make_plan
    from difflr.written.cuts import as_patterns, known_names, parse_cut
    from difflr.written.files import user_path
    from difflr.written.recipes import parse_recipe

    cut = as_patterns(parse_cut(arguments.splits))
    names = known_names(arguments.backbone) if cut is None else None
    if names is None:
        from difflr.experiments.needs import need_network

        need_network(arguments.backbone, "none")
        # Only now what takes seconds to load.
        from difflr.experiments.backbones import load_backbone
        from difflr.splits import split_model

        names = split_model(load_backbone(arguments.backbone, "none").build(2), cut).names
    if arguments.milestones:
        plan = from_milestones(_read_milestones(user_path(arguments.milestones)))
        plan.check(names)
    else:
        name, options = parse_recipe(arguments.recipe)
        plan = make_plan(as_recipe(name), names, arguments.epochs, **options)
    from difflr.figures.plan import plot_plan
    from difflr.figures.words import describe_plan

    print(plan)
    print(f"\n{describe_plan(plan, names)}")
    figure = plot_plan(plan, names, arguments.steps_per_epoch)
    print(f"\n{_save(figure, user_path(arguments.out))}")


def _curves(arguments: argparse.Namespace) -> None:
    from difflr.figures.logged import plot_logged, read_logged
    from difflr.written.files import user_path

    figure = plot_logged(read_logged(user_path(arguments.folder)), arguments.title)
    print(_save(figure, user_path(arguments.out)))


def _listed(words: Sequence[str]) -> list[str]:
    """Return words given apart or joined by commas, each once."""
    return list(dict.fromkeys(part for word in words for part in word.split(",") if part))


def _seeds(words: Sequence[str]) -> list[int]:
    parts = _listed(words)
    alone = len(parts) == 1 and "," not in words[0]
    if not all(part.isdecimal() and len(part) <= (3 if alone else 12) for part in parts):
        raise DifflrError(
            f"Received seeds {short_repr(' '.join(words))}, expected whole numbers from 0.",
            "Pass how many (3, at most 999) or which (0,1,2; of at most 12 digits).",
        )
    return list(range(int(parts[0]))) if alone else [int(part) for part in parts]


def _read_milestones(path: Path) -> dict[int, Any]:
    from difflr.written.files import parse_json, read_within

    try:
        data = parse_json(read_within(path))
        return {int(epoch): milestone for epoch, milestone in data.items()}  # JSON keys are text
    except OSError as error:
        raise DifflrError(
            f"{path} cannot be read: {error.strerror}.", "Pass a JSON file."
        ) from error
    except (ValueError, AttributeError) as error:
        raise DifflrError(
            f"{path} holds no milestones dictionary: {error}.",
            'Write e.g. {"1": {"freeze_to": -1, "duration": 1, "pct_start": 0.3, "lrs": [0, 1e-3]}}.',
        ) from error


def _save(figure: Any, path: Path) -> Path:
    """Write a picture, a PNG where its name does not say what, and return its path."""
    if path.is_dir():
        raise DifflrError(f"{path} is a folder.", "Pass the name of a picture with --out.")
    path = path if path.suffix else path.with_name(f"{path.name}.png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except (OSError, ValueError) as error:  # ValueError: a suffix that matplotlib does not know
        raise DifflrError(f"{path} cannot be written: {error}.", "Pass another --out.") from error
    return path
