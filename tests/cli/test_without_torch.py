"""What needs no torch runs without it: plans, the editor, the replay and its lesson, words for a mistake."""

import re
import subprocess
import sys

import pytest
import torch
from torchvision import models

import difflr
from difflr.cli import main
from difflr.experiments.needs import _torchvision_models
from difflr.written.cuts import known_names

BLOCKED = """
import sys
class Blocked:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "pytorch_lightning", "lightning"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked)
"""


def run(code, folder):
    """Run Python code where none of torch and Lightning can be imported."""
    command = [sys.executable, "-c", BLOCKED + code]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_a_plan_is_printed_and_drawn_without_torch(tmp_path):
    """``difflr plan`` gives the same words without torch, and its picture."""
    code = 'from difflr.cli import main\nraise SystemExit(main(["plan", "--recipe", "gradual:lr=1e-2"]))'
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    names = difflr.split_model(models.resnet18()).names
    plan = difflr.make_plan("gradual", 6, 6, lr=1e-2)
    assert difflr.describe_plan(plan, names) in done.stdout
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_the_editor_edits_without_torch(tmp_path):
    """With the names of splits alone, a slider moves the plan and the picture follows."""
    code = """
from difflr.widgets import PlanEditor
editor = PlanEditor(["stem", "body", "head"])
first, picture = editor.plan, editor.picture.value
editor.phases.index = 2
editor.plan = type(first)([type(first.phases[0])(0, 3, [1e-4, 1e-3, 1e-2])])
assert editor.plan.phases[0].lrs == (1e-4, 1e-3, 1e-2)
editor.undo.click()
assert editor.plan == first
editor.add.click()
assert len(editor.plan.phases) == len(first.phases) + 1
assert editor.picture.value != picture
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_replay_replays_without_torch(tmp_path):
    """Every recording opens; a prediction is scored and uncovers picture, words and table."""
    code = """
from difflr.studies.recordings import list_recordings
from difflr.widgets import Replay
for name in list_recordings():
    replay = Replay(name)
    covered = replay.picture.value
    replay.predict.click()
    assert "rank " in replay.score and "<table" in replay.table.value, name
    assert replay.picture.value != covered and "accuracy " in replay.alt, name
    replay.condition = replay.conditions[-1]
    assert replay.runs, name
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_evidence_is_quoted_and_drawn_without_torch(tmp_path):
    """All that reads recordings, tables and pictures included, stands on rooms without torch."""
    code = """
import importlib, pkgutil
from pathlib import Path
import difflr.evidence, difflr.runs
for room in (difflr.evidence, difflr.runs):
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        importlib.import_module(module.name)
from difflr.evidence.quotes import quoted
from difflr.evidence.tables import TABLES
from difflr.evidence.gallery import draw_all
from difflr.studies.recordings import load_recording
assert draw_all(load_recording("gradual"), Path("drawn"))
assert list(Path("drawn").glob("*.png"))
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_lesson_6_checks_its_exercises_without_torch(tmp_path):
    """The lesson of the replay asks, and judges right and wrong answers, where there is no torch."""
    code = """
from difflr.lessons.comparing import check_fair, check_interval, check_prediction, check_robust, quiz
from difflr.runs.statistics import paired
assert check_prediction((1e-3, 10.0)).state == "done"
assert check_prediction((1e-5, 1.0)).state == "wrong"
assert check_interval(lambda ours, rival: paired(ours, rival)).state == "done"
assert check_interval(lambda ours, rival: ours.pop(0)).message.startswith("Your function changes")
assert check_robust((3e-3, 100.0)).state == "done"
assert check_fair(...).state == "unfinished"
quiz.start()
for question, buttons in zip(quiz.questions, quiz.choices):
    buttons[question.answer].click()
assert "5 of 5 right" in quiz.score.value
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_statistics_are_found_where_notebooks_of_before_look():
    """The names that lessons import from ``difflr.experiments.statistics`` are those of ``runs``."""
    from difflr.experiments import statistics as before
    from difflr.runs import statistics

    assert all(getattr(before, name) is getattr(statistics, name) for name in before.__all__)


MISTAKES = (
    "compare --backbone nonsense --weights none",
    "compare --backbone strokenet:2",
    "compare --backbone resnet19 --weights none",
    "compare --backbone strokenet --weights imagenet",
    "compare --backbone resnet18 --weights embedded",
    "compare --backbone small_vit --weights imagenet",
    "compare --data strokes:speed=1",
    "compare --data strokes:input_shift=much",
    "compare --data strokes:input_shift=2",
    "compare --data strokes:label_shift=-1",
    "compare --data strokes:shift_kind=fog",
    "compare --train-size 9",
    "compare --train-size 2001",
    "compare --data parts --backbone strokenet",
    "compare --recipes nonsense",
    "compare --recipes uniform:lr=nan",
    "compare --recipes uniform:speed=3",
    "compare --recipes milestones_2020 --epochs 3",
    "compare --data nowhere --backbone strokenet",
    "compare --data nowhere",
    "compare --weights nowhere.safetensors",
    "compare --epochs 0",
    "compare --seeds=-1",
    "compare --out /dev/null/x",
    "compare --precision bf16",
    "plan --recipe nonsense",
    "plan --backbone nonsense",
    "plan --milestones nowhere.json",
    "study nonsense",
    "study plateau --data nowhere --weights nowhere",
    "study plateau --backbone nonsense",
    "study plateau --data strokes:speed=1",
    "study plateau --go-on-from nowhere.json.gz",
    "study plateau --source nowhere",
    "study plateau --jobs 0",
    "study plateau --threads 1025",
    "study plateau --out /dev/null/x",
    "study text --data trec6:nowhere --weights nowhere",
)


def test_a_mistake_is_answered_before_torch_is_imported(tmp_path):
    """Words and files that are not there are named at once, not after the seconds that torch takes."""
    (tmp_path / "parts" / "training").mkdir(parents=True)
    code = f"""
import sys
from difflr.cli import main
for line in {MISTAKES}:
    assert main(line.split()) == 2, line
    assert "torch" not in sys.modules, line
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("difflr: error: ") == len(MISTAKES)
    assert not (tmp_path / "runs").exists()


def test_a_refusal_leaves_no_folder_behind(tmp_path):
    """What is only found out with torch leaves no empty folder of results either."""
    out = tmp_path / "new" / "results"
    line = ["compare", "--splits", "stem=nothing", "head=fc", "--out", str(out)]
    assert main(line) == 2
    assert not out.parent.exists()


def test_torchvisions_networks_are_known_without_it():
    """The names read from its source are those of its classification models."""
    assert _torchvision_models() == {*models.list_models(module=models)}


RESNETS = [n for n in models.list_models(module=models) if re.match(r"(wide_)?resne[xt]", n)]


@pytest.mark.parametrize("name", RESNETS)
def test_the_known_names_are_those_of_the_cut(name):
    """The names of a ResNet's splits that need no network are those that the network gives."""
    with torch.device("meta"):
        network = models.get_model(name, weights=None)
    assert difflr.split_model(network).names == known_names(name)


def test_other_networks_are_not_guessed():
    """A network that is no ResNet has to be built."""
    for name in ("vit_b_16", "regnet_y_400mf", "timm:resnet18", "resnet", "resnet19"):
        assert known_names(name) is None
