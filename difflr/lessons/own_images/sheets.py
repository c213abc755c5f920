"""Read a result sheet back from its Markdown, and hold its words against its own numbers."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from difflr.errors import first_few
from difflr.lessons.checking import Wrong
from difflr.lessons.plain import unexpected
from difflr.runs.statistics import paired, shown_by

__all__ = ["Sheet", "judge_sheet", "read_sheet"]

_PARTS = {
    "Question": r"\*\*Question\.\*\* \S",
    "Data": r"^## Data\n+\S",
    "Network": r"^## Network\n+\S",
    "Splits": r"^Splits, shallow to deep: \S",
    "How the learning rates were chosen": r"^## How the learning rates were chosen\n+\S",
    "Result on the test pictures": r"^## Result on the test pictures\n+\S",
    "the hash of the weights": r"`[0-9a-f]{64}`|https://|the weights none",
    "Versions": r"Versions: \S.*\btorch \d",
    "Date": r"Date: \d{4}-\d\d-\d\d",
}


@dataclass(frozen=True)
class Sheet:
    """What a result sheet says; ``validation`` has one dictionary per name of a recipe."""

    question: str
    validation: dict[str, dict[str, float]]
    accuracies: dict[str, dict[int, float]]
    conclusion: dict[str, str]


def read_sheet(path: Any) -> Sheet:
    """Return what stands in a sheet that ``write_sheet`` wrote, edited by hand or not.

    Raises:
        Wrong: when there is no such file, or a part of it is missing.
    """
    if not isinstance(path, (str, Path)) or "\n" in str(path) or not Path(path).is_file():
        raise unexpected(path, "the path of a result sheet", "`write_sheet(…)` returns it.")
    text = Path(path).read_text("utf-8", errors="replace")
    if missing := [name for name, how in _PARTS.items() if not re.search(how, text, re.MULTILINE)]:
        raise Wrong(
            f"The sheet lacks {first_few(missing)}. Nobody could repeat what it reports.",
            "`write_sheet` writes all parts; add what you took away.",
        )
    question = re.search(r"\*\*Question\.\*\* (.*?)\n\n", text, re.DOTALL)
    chosen, result = (_rows(text, part) for part in list(_PARTS)[4:6])
    validation: dict[str, dict[str, float]] = {}
    for recipe, _, accuracy, *_ in chosen:
        validation.setdefault(recipe.partition(":")[0], {})[recipe] = _share(accuracy)
    accuracies = {
        row[0]: {
            int(seed): _share(share) for seed, share in re.findall(r"(\d+): ([\d.]+%)", row[-1])
        }
        for row in result
    }
    if not validation or not accuracies or not all(accuracies.values()):
        raise Wrong("A table of the sheet is empty.", "Let `write_sheet` write it anew.")
    conclusion = {row[0]: row[-2] for row in result}
    return Sheet(question[1].strip() if question else "", validation, accuracies, conclusion)


def judge_sheet(sheet: Sheet) -> str:
    """Hold a sheet's words against its own numbers; raise ``Wrong`` where they do not agree."""
    if len(re.findall(r"\w{2,}", sheet.question)) < 2 or not sheet.question.endswith("?"):
        raise Wrong(
            "The sheet has no question. A number that answers no question decides nothing.",
            "Write one sentence that ends with a question mark: what did you want to know?",
        )
    if len(next(iter(sheet.accuracies.values()))) < 3:
        raise Wrong(
            "One or two seeds are an anecdote.", "Report at least three seeds for each recipe."
        )
    for name, values in sheet.validation.items():
        reported = [recipe for recipe in values if recipe in sheet.accuracies]
        if len(reported) != 1:
            raise Wrong(
                f"Of `{name}` {len(reported)} learning rates are reported on the test pictures. With "
                "each of them the best gets more chances.",
                "One learning rate per recipe: the one that was best on validation pictures.",
            )
        if values[reported[0]] < max(values.values()):
            raise Wrong(
                f"`{reported[0]}` was not the best of its recipe on the validation pictures. Was it "
                "chosen by its test accuracy?",
                "Choose by the mean validation accuracy in the sheet's own table.",
            )
    if len({len(values) for values in sheet.validation.values()}) > 1:
        raise Wrong(
            "The recipes did not get the same number of tries. Whoever tries more finds more.",
            "Give each recipe as many learning rates as the others.",
        )
    first, *others = sheet.accuracies
    said = []
    for recipe in others:
        shared = sorted(sheet.accuracies[recipe].keys() & sheet.accuracies[first].keys())
        if len(shared) < 3:  # edited by hand, or run from other seeds
            which = " and ".join(f"seed {seed}" for seed in shared)
            why = "Two differences are an anecdote."
            if len(shared) < 2:
                why = "Without two differences there is no interval, and so no verdict."
            raise Wrong(
                f"`{recipe}` and `{first}` share {f'only {which}' if shared else 'no seed'}. {why}",
                "Report both from the same three seeds or more: train those that are missing, and let "
                "`write_sheet` write the sheet anew.",
            )
        difference = paired(sheet.accuracies[recipe], sheet.accuracies[first])
        right, word = shown_by(difference), sheet.conclusion[recipe]
        if word not in ("better", "worse", "not told apart", "tie"):
            raise Wrong(
                f"`{recipe}` has no conclusion yet.", "Write better, worse or not told apart."
            )
        if word == "tie" and right == "not told apart":
            low, high = (difference.mean + side * difference.half for side in (-1, 1))
            raise Wrong(
                f"You call `{recipe}` a tie. But anything between {100 * low:+.1f} and "
                f"{100 * high:+.1f} points fits these seeds as well.",
                "A tie is a difference that is *shown* to be smaller than a point. Without that the "
                "two are not told apart.",
            )
        if word == "not told apart" and right == "tie":
            right = word  # true as well, and says less
        if word != right and difference.holds_zero:
            raise Wrong(
                f"You call `{recipe}` {word} because its mean is. But the interval of the difference "
                f"contains 0: {100 * difference.mean:+.1f} ± {100 * difference.half:.1f} points.",
                "Another few seeds might turn the sign. They are not told apart.",
            )
        if word != right:
            raise Wrong(
                f"The interval of the difference between `{recipe}` and `{first}` does not contain 0: "
                f"{100 * difference.mean:+.1f} ± {100 * difference.half:.1f} points. It is {right}.",
                "What counts is the interval of the *difference*, seed by seed. The intervals of two "
                "accuracies may overlap all the same.",
            )
        said.append(f"`{recipe.partition(':')[0]}` {right}")
    return f"Complete, and true to its own numbers. Against `{first}`: {', '.join(said)}."


def _rows(text: str, part: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    below = text.partition(f"## {part}\n")[2].partition("\n## ")[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _share(text: str) -> float:
    return float(text.rstrip("%")) / 100
