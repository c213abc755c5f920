"""The result page: what one shows a colleague. One file of HTML with pictures, numbers and limits."""

import base64
import datetime
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from difflr.errors import DifflrError
from difflr.experiments.contact import contact_sheet
from difflr.experiments.data import Data
from difflr.experiments.figure import plot_runs
from difflr.experiments.mistakes import plot_confusion, plot_worst, sum_confusion, worst_of
from difflr.experiments.provenance import hash_pictures
from difflr.experiments.reading import describe_reading
from difflr.experiments.results import Results
from difflr.figures.picture import figure_png
from difflr.recipes import RECIPES
from difflr.runs.statistics import Summary, format_estimate, summarise
from difflr.written.files import write_whole, writing
from difflr.written.recipes import AUTO_RGN, parse_recipe

__all__ = ["write_page"]

_STYLE = Path(__file__).with_name("page.css").read_text("utf-8")


def write_page(
    path: Path, chosen_on: Results, reported: Results, data: Data, *, question: str
) -> Path:
    """Write the page of a comparison, one file that holds its pictures; an older one is replaced.

    Args:
        path: of the page.
        chosen_on: the comparison that learning rates were chosen by.
        reported: the comparison on the test pictures; its first recipe is the baseline.
        data: that was reported on.
        question: that the comparison was to answer.

    Raises:
        DifflrError: for other pictures than those of ``reported``, none reported, or no place to write.
    """
    about = reported.about["data"]
    if hash_pictures(data.train, data.test) != about.get("pictures_sha256"):
        raise DifflrError(
            "These are not the pictures that were reported on.", "Load the same data, as it is now."
        )
    finals = summarise(reported.runs)
    if not finals:
        raise DifflrError("There is no run to report.", "Compare on the test pictures first.")
    parts = [
        f"<p><b>Question.</b> {escape(question)}</p>",
        f'<div class="answer">{"<br>".join(map(escape, _answers(finals)))}</div>',
        _figure(plot_runs(reported.runs), "Test accuracies: one circle per seed, the mean and its interval."),
        "<p>The intervals are about training again from another seed, not about other pictures.</p>",
        "<h2>Pictures</h2>",
        f"<p>{len(data.classes)} classes, {about['train_pool']} pictures to train on, {about['test_size']} "
        "to test on. As the network sees them:</p>",
        _figure(contact_sheet(data), "Training pictures, a row per class, cut and resized as they are read."),
        _figure(contact_sheet(data, augmented=True), "The same in a step of training, changed at random."),
        *[f"<pre>{escape(text)}</pre>" for text in (about.get("division", {}).get("text"),
                                                      describe_reading(about.get("files", {}))) if text],
        *_errors(reported.runs, finals, data),
        "<h2>How the learning rates were chosen</h2>",
        f"<p>On {chosen_on.about['data']['test_size']} held-out training pictures.</p>",
        _table(("recipe", "seeds", "validation accuracy"), _tried(chosen_on)),
        "<h2>Settings</h2>",
        _table(("", ""), _settings(reported)),
        "<h2>What was not tried</h2>",
        f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in _untried(chosen_on, reported))}</ul>",
    ]  # fmt: skip
    name = escape(Path(about["name"]).name)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}: result</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>'
        f"<h1>{name}: {escape(', '.join(s.recipe.partition(':')[0] for s in finals))}</h1>\n"
        + "\n".join(parts)
        + f"\n<p>Made by difflr, {datetime.date.today()}.</p></body></html>\n"
    )
    with writing(path, "Pass another path."):
        write_whole(path, page.encode())
    return path


def _answers(finals: Sequence[Summary]) -> list[str]:
    """Return one sentence per recipe."""
    first, *others = finals
    said = [f"{first.recipe}: {format_estimate(first.accuracy)}"]
    for other in others:
        text = f"{other.recipe}: {format_estimate(other.accuracy)}"
        if other.difference is not None:
            difference = format_estimate(other.difference, unit="", sign=True)
            text += f"; {difference} points against {first.recipe}: {other.verdict}"
        said.append(text)
    return said


def _errors(runs: Sequence[Mapping[str, Any]], finals: Sequence[Summary], data: Data) -> list[str]:
    """Return confusion and worst errors of the recipe with the best mean."""
    best = max(finals, key=lambda s: s.accuracy.mean if s.accuracies else -1).recipe
    own = [run for run in runs if run["recipe"] == best and not run.get("diverged")]
    confusion, worst = sum_confusion(own), worst_of(own)
    parts = [f"<h2>What {escape(best)} gets wrong</h2>"]
    if confusion is not None:
        caption = f"Confusion over {len(own)} seeds: of each row's class, the share named as each column's."
        parts.append(_figure(plot_confusion(confusion, data.classes), caption))
    if worst:
        caption = "The errors that most runs share and are surest of. Some may be wrong labels."
        parts.append(_figure(plot_worst(worst, data, len(own)), caption))
    return parts if len(parts) > 1 else []


def _tried(chosen_on: Results) -> list[tuple[str, str, str]]:
    return [
        (s.recipe, str(len(s.accuracies)), "diverged" if s.diverged else f"{s.accuracy.mean:.1%}")
        for s in summarise(chosen_on.runs)
    ]


def _settings(reported: Results) -> list[tuple[str, str]]:
    weights = reported.about["weights"]
    rows = {
        "network": weights["backbone"],
        "weights": f"{weights['file']} {weights['sha256']}",
        **reported.about["settings"],
        "pictures, SHA-256": reported.about["data"].get("pictures_sha256", ""),
        "versions": ", ".join(f"{name} {version}" for name, version in reported.versions.items()),
    }
    return [(key.replace("_", " "), str(value)) for key, value in rows.items()]


def _untried(chosen_on: Results, reported: Results) -> list[str]:
    """Return what the result says nothing of."""
    names = [run["recipe"].partition(":")[0] for run in chosen_on.runs]
    rates: dict[str, set[float]] = {}
    for run in chosen_on.runs:
        name, options = parse_recipe(run["recipe"])
        if "lr" in options:
            rates.setdefault(name, set()).add(options["lr"])
    said = []
    for recipe in dict.fromkeys(run["recipe"] for run in reported.runs):
        name, options = parse_recipe(recipe)
        tried = sorted(rates.get(name, ()))
        if len(tried) > 1 and options.get("lr") in (tried[0], tried[-1]):
            which, other = (
                ("smallest", "smaller") if options["lr"] == tried[0] else ("largest", "larger")
            )
            said.append(
                f"{name}: the rate reported is the {which} of those tried; a {other} one may be better."
            )
    settings = reported.about["settings"]
    seeds = len({run["seed"] for run in reported.runs})
    said += [
        f"Other recipes: {', '.join(name for name in (*RECIPES, AUTO_RGN) if name not in names)}.",
        f"Another network or other weights than {reported.about['weights']['backbone']}, splits or ratios.",
        f"Other than {settings['epochs']} epochs, {settings['image_size']} pixels a side, batches of "
        f"{settings['batch_size']}.",
        f"More than {seeds} seed{'s' * (seeds != 1)}; other pictures, another camera or place.",
    ]
    return said


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    top = line(head, "th") if any(head) else ""
    return f"<table>{top}{''.join(line(row, 'td') for row in rows)}</table>"


def _figure(figure: Figure, caption: str) -> str:
    png = base64.b64encode(figure_png(figure)).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{png}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
