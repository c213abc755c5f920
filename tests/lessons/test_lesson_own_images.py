"""Lesson 8: right answers of every kind are taken, and wrong ones get the hint that they need."""

import filecmp
import hashlib
import shutil
import statistics
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from answers import Answers
from made_results import ACCURACIES, results
from PIL import Image

import difflr
from difflr.errors import DifflrError
from difflr.experiments.data import Data, Images, load_data
from difflr.experiments.sheet import write_sheet
from difflr.experiments.strokenet import StrokeNet
from difflr.lessons import own_images as lesson_8
from difflr.lessons.own_images.folders import results_folder, without_copies, write_example
from difflr.lessons.own_images.rates import best_rates, trial_rates
from difflr.rangetest.finder import RangeTest
from difflr.recipes import make_plan


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The folder that the lesson writes."""
    return write_example(tmp_path_factory.mktemp("own") / "drawings")


@cache
def task():
    """A small data set of three classes, uneven in both parts, and the splits that come with it."""
    train, test = (
        torch.tensor([0] * 3 + [1] * 9 + [2] * 5),
        torch.tensor([0] * 10 + [1] * 4 + [2] * 6),
    )
    parts = [Images(torch.zeros(len(y), 3, 8, 8, dtype=torch.uint8), y) for y in (train, test)]
    return Data("made up", *parts, ("a", "b", "c"), flip=False), difflr.split_model(StrokeNet(60))


def test_the_example_has_the_faults_that_the_lesson_speaks_of(example, tmp_path):
    """One class is half as large, six copies lie in train; without them the rest is unchanged."""
    data = load_data(str(example))
    assert torch.bincount(data.train.labels).tolist() == [42, 42, 42, 20]
    assert torch.bincount(data.test.labels).tolist() == [60, 60, 60, 20]
    before = {p: p.read_bytes() for p in example.rglob("*.png")}
    clean, copies = without_copies(example, tmp_path / "clean")
    assert {Path(copy).name for copy in copies} == {f"from-anna-{i}.png" for i in range(6)}
    assert {p: p.read_bytes() for p in example.rglob("*.png")} == before
    assert filecmp.dircmp(example, clean).common == ["test", "train"]
    left = {p.relative_to(clean).as_posix() for p in clean.rglob("*.png")}
    assert left == {p.relative_to(example).as_posix() for p in before} - {*copies}
    assert without_copies(clean, tmp_path / "again") == (clean, [])
    assert not (tmp_path / "again").exists()


def test_a_copy_without_copies_is_made_anew_and_never_of_what_is_not_its_own(example, tmp_path):
    """A picture deleted from the folder is gone from the copy too; another folder is not touched."""
    folder = tmp_path / "drawings"
    shutil.copytree(example, folder)
    (folder / "train" / "drawing-0" / "cut.png").write_bytes(b"cut off")
    clean, _ = without_copies(folder, tmp_path / "out" / "drawings")
    gone = "train/drawing-1/003.png"
    assert (clean / gone).exists()
    assert not (clean / "train" / "drawing-0" / "cut.png").exists()
    (folder / gone).unlink()
    assert without_copies(folder, clean)[0] == clean
    assert not (clean / gone).exists()
    with pytest.raises(DifflrError, match="is there already"):
        without_copies(folder, folder)


def test_results_of_other_pictures_lie_in_another_folder(example, tmp_path):
    """Two sources, or one before and after a picture was deleted, never share a folder."""
    folder = tmp_path / "drawings"
    shutil.copytree(example, folder)
    first, same = (results_folder(tmp_path, load_data(str(f))) for f in (example, folder))
    assert first == same
    assert first.name.startswith("drawings-")
    (folder / "train" / "drawing-1" / "003.png").unlink()
    assert results_folder(tmp_path, load_data(str(folder))) != first


def range_test(suggestion, lowest, lr=1e-3):
    """A range test whose smoothed loss is lowest at one multiplier."""
    multipliers = tuple(10.0**e for e in range(-2, 4))
    losses = tuple(1 + abs(np.log10(m / lowest)) for m in multipliers)
    return RangeTest(multipliers, losses, losses, (lr / 10, lr), False, suggestion)


@pytest.mark.parametrize(
    ("test", "rates"),
    [
        (range_test(1.0, 100.0), (1e-3, 3e-3, 9e-3)),  # from the suggestion upwards
        (range_test(10.0, 10.0), (1e-3, 3e-3, 1e-2)),  # a third of the lowest
        (range_test(300.0, 1e3, lr=3e-3), (1e-2, 3e-2, 9e-2)),  # 0.9 was suggested for the head
        (range_test(None, 1e3), (3e-4, 1e-3, 3e-3)),  # nothing suggested: those of the plan
    ],
)
def test_rates_to_try_are_bounded_and_as_many_for_each_recipe(test, rates):
    """Three rates a factor of three apart, from a suggestion on that no repeated batch can raise."""
    assert trial_rates(test) == pytest.approx(rates)


def test_a_rate_that_diverged_is_never_chosen(tmp_path):
    """Not even where it came first: a mean of nothing is larger than no number."""
    tried = {"uniform:lr=1e-1": (0.9, 0.9), "uniform:lr=1e-3": (0.6, 0.7), "uniform:lr=1e-2": (0.5, 0.5),
             "head_only:lr=1e-2": (0.4, 0.4)}  # fmt: skip
    found = results(tmp_path / "v.json", "a fifth", tried)
    for run in found.runs[:2]:
        run.update(accuracy=None, loss=None, diverged=True)
    assert [best.recipe for best in best_rates(found)] == ["uniform:lr=1e-3", "head_only:lr=1e-2"]
    for run in found.runs:
        run.update(accuracy=None, loss=None, diverged=True)
    with pytest.raises(DifflrError, match="Every learning rate of uniform, head_only diverged"):
        best_rates(found)


def pixels(file):
    """Return what makes two pictures the same."""
    with Image.open(file) as picture:
        return picture.convert("RGB").tobytes()


def leaked(same, train="train/*/*", test="test/*/*"):
    """Return a ``find_leaks`` that calls files the same for which ``same`` gives the same."""

    def find_leaks(folder):
        known = {same(file) for file in folder.glob(train)}
        return [file for file in folder.glob(test) if same(file) in known]

    return find_leaks


def array(file):
    """Read with numpy."""
    return np.asarray(Image.open(file).convert("RGB")).tobytes()


def grey(file):
    """Compare without colours."""
    return np.asarray(Image.open(file).convert("L")).tobytes()


def rough(file):
    """Compare thumbnails."""
    return np.asarray(Image.open(file).convert("RGB").resize((4, 4))).tobytes()


def rough_grey(file):
    """Compare grey thumbnails."""
    return np.asarray(Image.open(file).convert("L").resize((4, 4))).tobytes()


def average_hash(file):
    """Note which places are brighter than the mean."""
    small = np.asarray(Image.open(file).convert("L").resize((8, 8)), dtype=float)
    return (small > small.mean()).tobytes()


def nearly(folder):
    """Allow small differences, picture by picture."""
    known = [np.asarray(Image.open(f).convert("RGB"), float) for f in folder.glob("train/*/*")]
    return [
        file
        for file in folder.glob("test/*/*")
        if min(abs(np.asarray(Image.open(file).convert("RGB"), float) - k).mean() for k in known)
        < 2
    ]


def overwrites(folder):
    """Save every picture anew."""
    for file in folder.glob("test/*/*"):
        Image.open(file).convert("L").save(file)
    return leaked(pixels)(folder)


LEAKS = {
    "pixels": leaked(pixels),
    "numpy": leaked(array),
    "hash of the pixels": leaked(lambda file: hashlib.md5(pixels(file)).hexdigest()),
    "thumbnails": leaked(rough),
    "small differences": nearly,
    "an array of paths": lambda f: np.array([str(x) for x in leaked(pixels)(f)]),
    "keys": lambda f: dict.fromkeys(leaked(pixels)(f)).keys(),
    "filter": lambda f: filter({*leaked(pixels)(f)}.__contains__, f.rglob("*.*")),
    "texts": lambda folder: [str(f) for f in leaked(pixels)(folder)],
    "from the folder on": lambda folder: {f.relative_to(folder) for f in leaked(pixels)(folder)},
    "class and name": lambda f: ["/".join(p.parts[-2:]) for p in leaked(pixels)(f)],
    "generator": lambda folder: (f for f in leaked(pixels)(folder)),
}


def by_class(folder):
    """Look for copies within each class only."""
    found = []
    for name in ("a", "b"):
        found += leaked(pixels, f"train/{name}/*", f"test/{name}/*")(folder)
    return found


def within_test(folder):
    """Find what is anywhere twice."""
    files = sorted(folder.glob("*/*/*"))
    return [
        f for f in files if "test" in f.parts and sum(pixels(f) == pixels(g) for g in files) > 1
    ]


def deletes(folder):
    """Get rid of the leaks."""
    for file in leaked(pixels)(folder):
        file.unlink()
    return []


WRONG_LEAKS = {
    "the planted bug": (leaked(lambda file: file.name), "take a name for a picture"),
    "class and name": (leaked(lambda file: file.parts[-2:]), "take a name for a picture"),
    "name and pixels": (leaked(lambda f: (f.stem, pixels(f))), "An exact copy under another name"),
    "bytes": (leaked(lambda file: file.read_bytes()), "saved again in another format"),
    "only PNG": (leaked(pixels, test="test/*/*.png"), "saved again in another format"),
    "how many": (lambda folder: 3, "Received 3, expected the files"),
    "means": (leaked(lambda f: sum(pixels(f))), "same colours in other places"),
    "within a class": (by_class, "folder of another class"),
    "anywhere": (within_test, "is no leak"),
    "those in train": (leaked(pixels, "test/*/*", "train/*/*"), "are in `train/`"),
    "numbers": (lambda folder: [0, 1], "expected paths"),
    "changes": (deletes, "changes the folder"),
    "overwrites": (overwrites, "changes the folder"),
    "grey": (leaked(grey), "in other colours"),
    "grey thumbnails": (leaked(rough_grey), "in other colours"),
    "average hash": (leaked(average_hash), "brighter and darker places"),
    "nothing found": (lambda folder: [], "An exact copy under another name"),
    "returns nothing": (lambda folder: print(end=""), "gives nothing back"),
}


def test_the_solution_finds_what_has_leaked_in_the_example(example):
    """By pixels six test pictures have leaked; by name nearly all would have."""
    assert len(leaked(pixels)(example)) == 6
    assert len(leaked(lambda file: file.name)(example)) > 100


def predicted(count, share):
    """Return an answer to the second exercise."""
    return {"new parameters": count, "guessing": share}


#: The commonest class of training counts, by its share of the test pictures.
PREDICTIONS = {
    "numbers": predicted(387, 0.2),
    "calculated": predicted(3 * 129, 4 / 20),
    "numpy": predicted(np.int64(387), np.float32(0.2)),
    "torch": predicted(torch.tensor(387), torch.tensor(0.2)),
    "fractions": predicted(387.0, Fraction(4, 20)),
}
WRONG_PREDICTIONS = {
    "no biases": (predicted(384, 0.2), "forget the biases"),
    "old classes": (predicted(7740, 0.2), "*old* classes"),
    "one class": (predicted(128, 0.2), "not how many"),
    "equal classes": (predicted(387, 1 / 3), "equally common"),
    "percent": (predicted(387, 20), "between 0 and 1"),
    "commonest of test": (predicted(387, 0.5), "not what guessing gets"),
    "no number": (predicted(387, float("nan")), "not what guessing gets"),
    "a word": (predicted("387", 0.2), "numbers"),
}


def with_means(runs):
    """Group by learning rate first."""
    groups = {}
    for run in runs:
        groups.setdefault(run["lr"], []).append(run)
    best = max(groups.values(), key=lambda own: statistics.mean(r["validation"] for r in own))
    return best[0]["lr"], statistics.mean(r["test"] for r in best)


def choosing(by, gather, report):
    """Return a ``choose`` that chooses by ``gather`` of ``by`` and returns ``report(own runs)``."""

    def choose(runs):
        def own(lr):
            return [run for run in runs if run["lr"] == lr]

        rates = sorted({run["lr"] for run in runs})
        best = max(rates, key=lambda lr: gather(run[by] for run in own(lr)))
        return [best, report(own(best))]

    return choose


def mean_test(own):
    """Report as one should."""
    return np.mean([run["test"] for run in own])


CHOICES = {
    "by hand": with_means,
    "numpy": choosing("validation", lambda values: np.mean(list(values)), mean_test),
    "median": choosing("validation", statistics.median, mean_test),
    "arrays": lambda runs: np.array(with_means(runs)),
    "a tensor": lambda runs: torch.tensor(with_means(runs)),
    "single precision": lambda runs: map(np.float32, with_means(runs)),
    "sums": choosing("validation", sum, mean_test),
}


def sorts(runs):
    """Sort the list that was handed over."""
    runs.sort(key=lambda run: run["test"])
    return with_means(runs)


def planted(runs):
    """Have all three bugs of the exercise."""
    best = max(runs, key=lambda run: run["test"])
    return best["lr"], best["test"]


WRONG_CHOICES = {
    "the planted bug": (planted, "choose on the test pictures"),
    "mean on test": (choosing("test", statistics.fmean, mean_test), "choose on the test pictures"),
    "luckiest": (choosing("validation", max, mean_test), "luckiest single run"),
    "luckiest on test": (choosing("test", max, mean_test), "choose on the test pictures"),
    "worst": (
        choosing("validation", lambda v: -min(v), mean_test),
        "0.1 is not the one with the best",
    ),
    "reports validation": (
        choosing(
            "validation", statistics.fmean, lambda own: np.mean([r["validation"] for r in own])
        ),
        "report what was chosen by",
    ),
    "reports the best seed": (
        choosing("validation", statistics.fmean, lambda own: max(r["test"] for r in own)),
        "report the best seed",
    ),
    "reports the best validation": (
        choosing("validation", statistics.fmean, lambda own: max(r["validation"] for r in own)),
        "report what was chosen by",
    ),
    "reports nothing": (
        choosing("validation", statistics.fmean, lambda own: float("nan")),
        "not the mean accuracy",
    ),
    "always the same": (lambda runs: (3e-3, 0.57), "not the mean accuracy"),
    "another rate": (lambda runs: (5.0, 0.5), "none of the learning rates"),
    "sorts in place": (sorts, "changes what it was given"),
    "empties the list": (
        lambda runs: [with_means(runs), runs.clear()][0],
        "changes what it was given",
    ),
    "a rate alone": (lambda runs: 3e-3, "expected two numbers"),
}


GOOD = {
    "few": make_plan("gradual", 6, 6),
    "fog": make_plan("falling", 6, 6),
    "plenty": make_plan("differential", 6, 6),
}


def planned(name, recipe, **options):
    """Return good plans but for one folder's, which is made by a recipe."""
    return {**GOOD, name: make_plan(recipe, 6, 6, **options)}


second = difflr.Plan([difflr.Phase(0, 6, [0, 1e-2, 0, 0, 0, 0], frozen=[0, 2, 3, 4, 5])])


#: What counts is what learns and how fast, not the name of the recipe.
PLANS = {
    "few: the head": planned("few", "head_only"),
    "few: the head first": planned("few", "lp_ft"),
    "few: milestones": planned("few", "milestones_2020"),
    "fog: uniform": planned("fog", "uniform"),
    "fog: the first two": planned("fog", "first_splits", count=2),
    "fog: the second alone": {**GOOD, "fog": second},
    "fog: rising a little": planned("fog", "differential", ratio=3),
    "fog: the first three": planned("fog", "first_splits", count=3),
    "fog: falling a little": planned("fog", "falling", ratio=3),
    "plenty: one rate": planned("plenty", "uniform"),
    "plenty: the head first": planned("plenty", "lp_ft"),
    "plenty: gradual": planned("plenty", "gradual"),
    "plenty: as fastai": planned("plenty", "fine_tune"),
}


@pytest.mark.parametrize(
    ("name", "plan", "misconception"),
    [
        ("few", make_plan("differential", 6, 6), "Small learning rates save nothing"),
        ("few", make_plan("falling", 6, 6), "faster than one after it"),
        ("few", make_plan("first_splits", 6, 6), "its head is random"),
        ("fog", make_plan("head_only", 6, 6), "no early split learns"),
        ("fog", make_plan("first_splits", 6, 6), "the first split alone"),
        ("fog", make_plan("differential", 6, 6), "a tenth"),
        ("plenty", make_plan("head_only", 6, 6), "still frozen at the end"),
        ("plenty", make_plan("falling", 6, 6), "faster than one after it"),
        ("plenty", make_plan("uniform", 5, 6), "for 5 splits"),
        ("plenty", make_plan("uniform", 6, 8), "and 8 epochs"),
        ("plenty", "uniform", "expected a plan"),
    ],
)
def test_plans_that_do_not_suit_their_folder_are_named(name, plan, misconception):
    """The verdict names the misconception, and the folder."""
    verdict = lesson_8.check_plans({**GOOD, name: plan})
    assert verdict.state == "wrong"
    assert misconception in verdict.message
    assert f"`{name}`" in verdict.message


class TestAnswers(Answers):
    """Leaks by pixels, hashes, thumbnails; choices by mean, sum or median; plans by what they do."""

    lesson = lesson_8
    number = 8
    right: ClassVar = {
        "leaks": LEAKS,
        "prediction": PREDICTIONS,
        "choice": CHOICES,
        "plans": PLANS,
    }
    wrong: ClassVar = {
        "leaks": WRONG_LEAKS,
        "prediction": WRONG_PREDICTIONS,
        "choice": WRONG_CHOICES,
    }

    def check(self, name, answer):
        """Give the check of predictions the data and the splits that it asks for."""
        more = task() if name == "prediction" else ()
        return getattr(lesson_8, f"check_{name}")(answer, *more)

    def test_half_a_prediction_is_unfinished(self):
        """One of two numbers is no answer yet."""
        assert self.check("prediction", predicted(387, ...)).state == "unfinished"


RIGHT = {"head_only": "worse", "differential": "not told apart"}


def sheet_of(folder, tried=None, accuracies=ACCURACIES, conclusion=RIGHT, question=None):
    """Write a sheet of made-up results and return its path."""
    if tried is None:
        tried = {other: v[:2] if other == recipe else (0.1, 0.2)
                 for recipe, v in ACCURACIES.items() for other in (recipe, recipe + "0")}  # fmt: skip
    return write_sheet(
        folder / "sheet.md",
        results(folder / "v.json", "a fifth", tried),
        results(folder / "t.json", accuracies=accuracies),
        question=question or "Does a differential learning rate help?",
        conclusion=conclusion,
    )


@pytest.mark.parametrize(("conclusion", "question"), [(RIGHT, None), (None, "Do they help?")])
def test_a_complete_and_true_sheet_is_taken(tmp_path, conclusion, question):
    """With the learner's own words or with difflr's, as a path or a text; edited by hand too."""
    path = sheet_of(tmp_path, conclusion=conclusion, question=question)
    assert lesson_8.check_sheet(path).done
    assert "expected the path" in lesson_8.check_sheet(path.read_text("utf-8")).message
    path.write_text(path.read_text("utf-8") + "\n## Limits\n\nOne garden, one winter.\n", "utf-8")
    verdict = lesson_8.check_sheet(str(path))
    assert verdict.done
    assert "`head_only` worse, `differential` not told apart" in verdict.message


def without(recipe):
    """Return the accuracies less those of a recipe."""
    return {name: values for name, values in ACCURACIES.items() if not name.startswith(recipe)}


def tried(**changed):
    """Return accuracies on validation of two rates per recipe, some changed or added."""
    values = {"uniform:lr=1e-3": 0.7, "uniform:lr=3e-3": 0.6, "head_only:lr=3e-2": 0.7,
              "head_only:lr=1e-1": 0.6, "differential:lr=3e-3": 0.7, "differential:lr=1e-2": 0.6}  # fmt: skip
    values |= {name.replace("_lr", ":lr="): value for name, value in changed.items()}
    return {name: (value, value) for name, value in values.items() if value}


WRONG_SHEETS = {
    "a lead called better": ({"conclusion": {**RIGHT, "differential": "better"}}, "contains 0"),
    "a gap called a tie": ({"conclusion": {**RIGHT, "differential": "tie"}}, "fits these seeds as well"),
    "a loss called a tie": ({"conclusion": {**RIGHT, "head_only": "tie"}}, "does not contain 0"),
    "the wrong way round": ({"conclusion": {**RIGHT, "head_only": "better"}}, "It is worse"),
    "not said": ({"conclusion": {"head_only": "worse"}}, "no conclusion"),
    "no question": ({"question": "Birds"}, "no question"),
    "a statement": ({"question": "Differential learning rates are better."}, "no question"),
    "two seeds": (
        {"accuracies": {name: values[:2] for name, values in ACCURACIES.items()}},
        "are an anecdote",
    ),
    "chosen by luck": (
        {"tried": tried(**{"uniform_lr3e-3": 0.9})}, "was not the best of its recipe"),
    "one left out": ({"accuracies": without("head_only")}, "Of `head_only` 0"),
    "two of one": (
        {"accuracies": {**ACCURACIES, "uniform:lr=3e-3": (0.7, 0.7, 0.7)}, "tried": tried(),
         "conclusion": {**RIGHT, "uniform": "tie"}},
        "Of `uniform` 2",
    ),
    "more tries for one": (
        {"tried": tried(**{"differential_lr1e-1": 0.1})}, "same number of tries"),
}  # fmt: skip


@pytest.mark.parametrize(("what", "misconception"), WRONG_SHEETS.values(), ids=WRONG_SHEETS)
def test_sheets_that_do_not_hold_are_named(tmp_path, what, misconception):
    """Words against numbers, choice against table, budget against budget."""
    verdict = lesson_8.check_sheet(sheet_of(tmp_path, **what))
    assert verdict.state == "wrong", verdict
    assert misconception in verdict.message


@pytest.mark.parametrize(
    ("part", "named"),
    [("**Question.**", "Question"), ("## Data", "Data"), ("Splits, ", "Splits"), ("Date:", "Date"),
     ("SHA-256", "hash"), ("Versions", "Versions"), ("## Result", "Result on the test pictures")],
)  # fmt: skip
def test_what_a_sheet_lacks_is_named(tmp_path, part, named):
    """A sheet without a part cannot be repeated, and the verdict says which part."""
    path = sheet_of(tmp_path)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if part not in line), "utf-8")
    verdict = lesson_8.check_sheet(path)
    assert verdict.state == "wrong"
    assert named in verdict.message


def test_broken_tables_get_a_verdict(tmp_path):
    """Cells, rows or numbers taken away: never an error, never done."""
    path = sheet_of(tmp_path)
    text = path.read_text("utf-8")
    for old, new in [("70.00%", "x%"), ("| 0:", "| a:"), ("| uniform:lr=1e-3 |", "|"), ("|", "")]:
        path.write_text(text.replace(old, new), "utf-8")
        assert lesson_8.check_sheet(path).state == "wrong", old


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("4: 60.00%, 5: 61.50%, 6: 62.00%", ("share no seed.", "no interval")),
        ("0: 60.00%, 5: 61.50%, 6: 62.00%", ("share only seed 0.", "no interval")),
        ("0: 60.00%", ("share only seed 0.", "no interval")),
        ("0: 60.00%, 1: 61.50%, 6: 62.00%", ("share only seed 0 and seed 1.", "an anecdote")),
    ],
)
@pytest.mark.parametrize("word", ["worse", "no verdict"])
def test_too_few_shared_seeds_give_no_verdict(tmp_path, new, said, word):
    """Edited by hand so that a recipe shares fewer than three seeds: what is missing, never a nan."""
    path = sheet_of(tmp_path, conclusion={**RIGHT, "head_only": word})
    old = "0: 60.00%, 1: 61.50%, 2: 62.00%"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    verdict = lesson_8.check_sheet(path)
    assert verdict.state == "wrong"
    assert "nan" not in verdict.message
    for part in ("`head_only:lr=3e-2` and `uniform:lr=1e-3`", *said):
        assert part in verdict.message
    assert "from the same three seeds" in verdict.hints[0]
