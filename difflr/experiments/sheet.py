"""The result sheet: one page of Markdown that says what was compared, how, and what came out."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, first_few
from difflr.experiments.backbones import load_backbone
from difflr.experiments.results import Results
from difflr.runs.statistics import describe_power, format_estimate, summarise
from difflr.splits import split_model
from difflr.written.files import write_whole, writing

__all__ = ["write_sheet"]


def write_sheet(
    path: Path,
    chosen_on: Results,
    reported: Results,
    *,
    question: str,
    conclusion: Mapping[str, str] | None = None,
) -> Path:
    """Write the result sheet of a comparison and return its path; no file is ever overwritten.

    Args:
        path: of the sheet; where another file has this name, ``-2``, ``-3``, … is added to it.
        chosen_on: the comparison that learning rates were chosen by, on held-out training pictures.
        reported: the comparison on the test pictures; its first recipe is the baseline.
        question: that the comparison was to answer.
        conclusion: for each recipe but the baseline (``"head_only"``) better, worse, not told apart or
            tie, in your own judgement; None takes ``verdict``.

    Raises:
        DifflrError: when learning rates were chosen on the test pictures, or something is reported
            that was not among the choices or was trained under other settings; when the sheet cannot
            be written.
    """
    _check(chosen_on, reported)
    data, weights, settings = (reported.about[part] for part in ("data", "weights", "settings"))
    splits = split_model(load_backbone(weights["backbone"], "none").build(2))
    finals = summarise(reported.runs)
    names = [s.recipe for s in finals]
    tried = [
        (
            s.recipe,
            len(s.accuracies) + len(s.diverged),
            "diverged" if s.diverged else f"{s.accuracy.mean:.2%}",
            "yes" if s.recipe in names else "",
        )
        for s in summarise(chosen_on.runs)
    ]
    rows = []
    for s in finals:
        each = ", ".join(f"{seed}: {accuracy:.2%}" for seed, accuracy in s.accuracies.items())
        row = [s.recipe, format_estimate(s.accuracy), "-", "baseline", each]
        if s.difference is not None:
            word = s.verdict
            if conclusion is not None:
                word = conclusion.get(s.recipe.partition(":")[0], "not said")
            row[2:4] = format_estimate(s.difference, unit="", sign=True), word
        if s.diverged:
            row[4] = ", ".join(filter(None, [each, *(f"{seed}: diverged" for seed in s.diverged)]))
            row[3] = "diverged"
        rows.append(row)
    power = describe_power([s.difference for s in finals if s.difference is not None])
    sheet = f"""# Result sheet: {Path(data["name"]).name}

**Question.** {question}

## Data

{len(data["classes"])} classes ({first_few(data["classes"], 12)}), {data["train_pool"]} pictures to train on,
{data["test_size"]} to test on.

## Network

{weights["backbone"]} with the weights {weights["file"]}, SHA-256 `{weights["sha256"]}`.
Splits, shallow to deep: {", ".join(splits.names)}.

## How the learning rates were chosen

On {chosen_on.about["data"]["test_size"]} held-out training pictures, before the test pictures were used.

{_table(("recipe", "seeds", "validation accuracy", "reported"), tried)}

## Result on the test pictures

{_table(("recipe", "accuracy (95% interval)", "against the first", "conclusion", "each seed"), rows)}

{power} A tie is a difference shown to be smaller than one point.
The intervals are about training again from another seed, not about collecting other pictures.

## How it was made

{_listed(settings)}. Versions: {_listed(reported.versions)}. Date: {datetime.date.today()}.
"""
    free, number = path, 1
    with writing(path, "Pass another path."):
        while free.exists() and free.read_text("utf-8") != sheet:
            number += 1
            free = path.with_stem(f"{path.stem}-{number}")
        write_whole(free, sheet.encode())
    return free


def _check(chosen_on: Results, reported: Results) -> None:
    there, here = chosen_on.about, reported.about
    if there["data"]["measured_on"] == "test" or here["data"]["measured_on"] != "test":
        raise DifflrError(
            f"Learning rates were chosen on {there['data']['measured_on']}, results reported on "
            f"{here['data']['measured_on']}.",
            "Choose on held-out training pictures (validate=True), report on test.",
        )
    tried = {run["recipe"] for run in chosen_on.runs}
    if not reported.runs or (new := sorted({run["recipe"] for run in reported.runs} - tried)):
        raise DifflrError(
            f"Received {f'{first_few(new)}, which nobody tried' if reported.runs else 'no run'} to report.",
            f"Report some of {first_few(sorted(tried))}.",
        )
    for part in ("data", "weights", "settings"):
        # Held-out pictures may train in the end; of the data, all pictures together are the same.
        keys = {*here[part]} - {"train_size"}
        if part == "data":
            keys = {"pictures_sha256"} & {*here[part]} & {*there[part]}
        if changed := sorted(key for key in keys if here[part][key] != there[part].get(key)):
            raise DifflrError(
                f"The two comparisons differ in {first_few(changed)}.", "Choose as you will report."
            )


def _listed(pairs: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in pairs.items())


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
