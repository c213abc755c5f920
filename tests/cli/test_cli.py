"""The command line: the main job, its continuation, and one clear line for whatever is wrong."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from difflr.cli.command import main
from difflr.experiments.backbones import PictureNetwork, load_backbone
from difflr.experiments.data import load_data
from difflr.experiments.figure import plot_runs
from difflr.experiments.training import train
from difflr.plan import Plan
from difflr.rangetest.gradients import suggest_lrs
from difflr.splits import split_model
from difflr.studies.cell import Cell
from difflr.studies.declared import STUDIES


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Bright against dark pictures in a class-per-folder tree."""
    root = tmp_path_factory.mktemp("pictures")
    numbers = np.random.default_rng(0)
    for part, count in (("train", 16), ("test", 8)):
        for name, level in (("dark", 60), ("light", 180)):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = numbers.normal(level, 20, (32, 32, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


def compare(tree, out, *more):
    """Run a small comparison on ``tree`` and return the exit status."""
    return main(
        [
            "compare",
            *("--data", str(tree), "--backbone", "strokenet", "--weights", "embedded"),
            *("--train-size", "16", "--epochs", "2", "--batch-size", "8", "--no-progress"),
            *("--out", str(out), *more),
        ]
    )


def test_compare_writes_results_table_and_picture(tree, tmp_path, capsys):
    """Every recipe and seed is in results.json with its plan; the table and the picture are there."""
    arguments = (
        "--recipes",
        "uniform",
        "head-only",
        "differential:lr=3e-3:ratio=10",
        "--seeds",
        "2",
    )
    assert compare(tree, tmp_path, *arguments) == 0
    data = json.loads((tmp_path / "results.json").read_text())
    assert {(r["recipe"], r["seed"]) for r in data["runs"]} == {
        (recipe, seed)
        for recipe in ("uniform", "head_only", "differential:lr=3e-3:ratio=10")
        for seed in (0, 1)
    }
    for run in data["runs"]:
        assert 0 <= run["accuracy"] <= 1
        assert run["seconds"] > 0
        assert Plan.from_dict(run["plan"]).epochs == 2
    assert max(Plan.from_dict(data["runs"][2]["plan"]).phases[0].lrs) == 3e-3
    assert data["data"]["classes"] == ["dark", "light"]
    assert len(data["weights"]["sha256"]) == 64
    assert data["versions"]["torch"]
    printed = capsys.readouterr().out
    assert "differential:lr=3e-3:ratio=10" in printed
    assert "against uniform" in printed
    with Image.open(tmp_path / "compare.png") as picture:
        assert picture.width > 500


def test_compare_goes_on_where_it_stopped(tree, tmp_path, monkeypatch):
    """A second call trains only what is missing and keeps what is there to the bit."""
    assert compare(tree, tmp_path, "--recipes", "uniform", "--seeds", "1") == 0
    first = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert compare(tree, tmp_path, "--recipes", "uniform,head_only", "--seeds", "0,1") == 0
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert runs[0] == first[0]
    assert len(runs) == 4
    monkeypatch.setattr(
        "difflr.experiments.compare.train", lambda *a, **k: pytest.fail("trained again")
    )
    assert compare(tree, tmp_path, "--recipes", "uniform,head_only", "--seeds", "0,1") == 0


def test_rates_by_gradients_are_measured_in_each_run_and_recorded(tree, tmp_path, monkeypatch):
    """By ``auto-rgn``, on the run's own pictures; a second call takes such a run for what it is."""
    assert compare(tree, tmp_path, "--recipes", "uniform,auto-rgn:lr=1e-2", "--seeds", "2") == 0
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    plans = [Plan.from_dict(run["plan"]) for run in runs if run["recipe"] == "auto_rgn:lr=1e-2"]
    backbone, data = load_backbone("strokenet", "embedded"), load_data(str(tree))
    for seed, plan in enumerate(plans):
        torch.manual_seed(seed)
        network = PictureNetwork(backbone.build(2), mean=backbone.mean, std=backbone.std)
        batches = data.train.subset(16, seed).batches(8, seed=seed)
        assert plan.phases[0].lrs == suggest_lrs(split_model(network), batches, 1e-2).lrs
        assert max(plan.phases[0].lrs) == 1e-2
    assert len(plans) == 2
    assert plans[0] != plans[1]
    monkeypatch.setattr("difflr.experiments.compare.train", lambda *a, **k: pytest.fail("again"))
    assert compare(tree, tmp_path, "--recipes", "auto-rgn:lr=1e-2", "--seeds", "2") == 0


def test_validate_never_looks_at_the_test_pictures(tree, tmp_path, monkeypatch):
    """With --validate a fifth of the training pictures is measured on, and none of it trained on."""
    import difflr.experiments.compare

    train, seen = difflr.experiments.compare.train, {}

    def spy(backbone, plan, images, test, *rest, **options):
        seen.update(train=images, test=test)
        return train(backbone, plan, images, test, *rest, **options)

    monkeypatch.setattr(difflr.experiments.compare, "train", spy)
    assert compare(tree, tmp_path, "--recipes", "uniform", "--seeds", "1", "--validate") == 0
    held_out = {picture.numpy().tobytes() for picture in seen["test"].pixels}
    assert len(held_out) == 6
    pool = {p.numpy().tobytes() for p in load_data(str(tree)).train.pixels}
    assert held_out < pool
    assert not held_out & {p.numpy().tobytes() for p in seen["train"].pixels}


def test_same_seed_gives_the_same_run(tree, tmp_path):
    """Accuracy and loss repeat on one machine, so that a result can be checked."""
    for name in ("a", "b"):
        assert compare(tree, tmp_path / name, "--recipes", "differential", "--seeds", "1") == 0
    a, b = (json.loads((tmp_path / n / "results.json").read_text())["runs"][0] for n in "ab")
    assert (a["accuracy"], a["loss"]) == (b["accuracy"], b["loss"])


def test_interrupted_compare_keeps_the_finished_runs(tree, tmp_path, monkeypatch, capsys):
    """Ctrl-C in the second run ends with status 130 and the first run on disk."""
    import difflr.experiments.compare

    train, calls = difflr.experiments.compare.train, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*args, **kwargs)

    monkeypatch.setattr("difflr.experiments.compare.train", interrupted)
    assert compare(tree, tmp_path, "--recipes", "uniform", "--seeds", "2") == 130
    assert len(json.loads((tmp_path / "results.json").read_text())["runs"]) == 1
    assert "goes on" in capsys.readouterr().err


def test_a_result_belongs_to_its_pictures(tree, tmp_path, monkeypatch, capsys):
    """The same folder by another path goes on; other pictures behind the same path are refused."""
    folder = tmp_path / "pictures"
    shutil.copytree(tree, folder)
    options = ("--recipes", "uniform", "--seeds", "1")
    assert compare(folder, tmp_path / "out", *options) == 0
    monkeypatch.setattr("difflr.experiments.compare.train", lambda *a, **k: pytest.fail("again"))
    monkeypatch.chdir(folder)
    assert compare(".", tmp_path / "out", *options) == 0
    Image.new("RGB", (32, 32)).save(folder / "test" / "dark" / "0.png")
    assert compare(folder, tmp_path / "out", *options) == 2
    assert "the pictures are others" in capsys.readouterr().err


def test_a_run_that_diverged_is_named_and_counted_apart(tree, tmp_path, capsys):
    """Weights that are no longer finite give no accuracy, no tie, and JSON that others can read."""
    recipes = ("--recipes", "uniform", "uniform:lr=1e30", "--seeds", "2")
    assert compare(tree, tmp_path, *recipes) == 0
    printed = capsys.readouterr().out
    assert "2 of 2 diverged" in printed
    assert "tie" not in printed
    text = (tmp_path / "results.json").read_text()
    runs = json.loads(text, parse_constant=lambda name: pytest.fail(name))["runs"]
    assert [run["diverged"] for run in runs] == [False, True, False, True]
    assert all(run["accuracy"] is run["loss"] is None for run in runs if run["diverged"])
    (axes,) = plot_runs(runs).axes
    assert "2 of 2 diverged" in [text.get_text() for text in axes.texts]


def test_ctrl_c_in_the_middle_of_training_ends_with_130(tree, tmp_path, monkeypatch, capsys):
    """Lightning would exit with 1 and leave Ctrl-C dead; a half-trained run is none."""
    handler = signal.getsignal(signal.SIGINT)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("difflr.experiments.training.Classifier.training_step", interrupted)
    assert compare(tree, tmp_path, "--recipes", "uniform", "--seeds", "1") == 130
    assert "finished runs are kept" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is handler
    assert json.loads((tmp_path / "results.json").read_text())["runs"] == []


def test_a_run_that_starts_anew_draws_its_curves_once(tree, tmp_path):
    """The curves of an attempt that was killed are gone when the run is trained again."""
    folder = tmp_path / "tensorboard" / "uniform-0"
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1.killed.0").write_bytes(b"half a run")
    (folder / "notes.txt").write_text("mine")
    assert compare(tree, tmp_path, "--recipes", "uniform", "--seeds", "1") == 0
    assert len(list(folder.glob("events*"))) == 1
    assert not (folder / "events.out.tfevents.1.killed.0").exists()
    assert (folder / "notes.txt").read_text() == "mine"


AT_ONCE = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
import difflr.experiments.compare as job
from difflr.cli.command import main
from difflr.experiments.training import Outcome

def train(backbone, plan, *_, seed, **__):
    with Path(sys.argv[1]).open("a") as file:
        file.write(f"{seed}\\n")
    time.sleep(0.3)
    return Outcome(0.5, 1.0, 0.3, 1.0), SimpleNamespace(plan=plan)

job.train = train
job.find_mistakes = lambda *_: {}
sys.exit(main(sys.argv[2:]))
"""


def test_two_comparisons_at_once_share_the_work(tree, tmp_path):
    """Both end well with all runs, of which each was trained by one of them and is kept once."""
    trained, out = tmp_path / "trained.txt", tmp_path / "out"
    line = ["compare", "--data", str(tree), "--backbone", "strokenet", "--weights", "embedded"]
    line += ["--train-size", "16", "--epochs", "2", "--recipes", "uniform", "--seeds", "12"]
    line += ["--no-progress", "--out", str(out)]
    both = [
        subprocess.Popen([sys.executable, "-c", AT_ONCE, str(trained), *line]) for _ in range(2)
    ]
    assert [each.wait() for each in both] == [0, 0]
    seeds = [run["seed"] for run in json.loads((out / "results.json").read_text())["runs"]]
    assert sorted(seeds) == list(range(12))
    assert sorted(map(int, trained.read_text().split())) == list(range(12))


BAD = {
    "unknown recipe": ("--recipes", "magic"),
    "unknown option": ("--recipes", "uniform:speed=3"),
    "option without number": ("--recipes", "uniform:lr=fast"),
    "NaN learning rate": ("--recipes", "uniform:lr=nan"),
    "negative learning rate": ("--recipes", "uniform:lr=-1"),
    "too few epochs": ("--recipes", "milestones_2020"),
    "negative seed": ("--seeds=-1",),
    "word for a seed": ("--seeds", "zero"),
    "no seed": ("--seeds", "0"),
    "training size": ("--train-size", "5000"),
    "no training": ("--train-size", "0"),
    "batch size": ("--batch-size", "0"),
    "epochs": ("--epochs", "0"),
    "weight decay": ("--weight-decay", "nan"),
    "option of no recipe": ("--recipes", "auto-rgn:ratio=10"),
    "precision": ("--precision", "bf16"),
    "missing weights": ("--weights", "nowhere.safetensors"),
    "mismatched architecture": ("--backbone", "resnet18"),
    "unknown backbone": ("--backbone", "resnet19"),
    "unknown data": ("--data", "mnist"),
    "unwritable output": ("--out", "/dev/null/x"),
    "tiny pictures": ("--image-size", "2"),
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD.keys())
def test_bad_input_ends_in_one_clear_line(tree, tmp_path, capsys, arguments):
    """Whatever is wrong is one line on stderr, status 2, and nothing is trained."""
    assert compare(tree, tmp_path, *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("difflr: error: ")
    assert "\n" not in error
    if (tmp_path / "results.json").exists():
        assert json.loads((tmp_path / "results.json").read_text())["runs"] == []


def test_a_last_batch_of_one_picture_is_refused_before_training(tree, tmp_path, capsys):
    """Where BatchNorm has one value a channel; the size that is named trains, and so do wider features."""
    sizes = ("--train-size", "9", "--batch-size", "4", "--epochs", "1", "--seeds", "1")
    narrow = ("--backbone", "resnet18", "--weights", "none", "--recipes", "uniform", *sizes)
    assert compare(tree, tmp_path, *narrow) == 2
    assert "9 training pictures in batches of 4 leave a last batch of one" in (
        error := capsys.readouterr().err
    )
    assert "--batch-size 3 or --train-size 8" in error
    assert not (tmp_path / "tensorboard").exists()
    assert compare(tree, tmp_path, *narrow, "--batch-size", "3") == 0
    assert compare(tree, tmp_path / "wide", "--recipes", "uniform", *sizes) == 0


def test_folder_without_weights_is_not_guessed(tree, tmp_path, capsys):
    """Data from a folder needs to be told its weights."""
    assert main(["compare", "--data", str(tree), "--out", str(tmp_path)]) == 2
    assert "--weights" in capsys.readouterr().err


def test_other_settings_do_not_touch_earlier_results(tree, tmp_path, capsys):
    """The same --out with other settings is refused and keeps its runs."""
    assert compare(tree, tmp_path, "--recipes", "uniform", "--seeds", "1") == 0
    before = (tmp_path / "results.json").read_bytes()
    assert compare(tree, tmp_path, "--recipes", "uniform", "--seeds", "1", "--epochs", "3") == 2
    assert "epochs" in capsys.readouterr().err
    assert (tmp_path / "results.json").read_bytes() == before


def test_recipes_are_compared_in_the_precision_that_is_recorded(tree, tmp_path, capsys):
    """bfloat16 gives another loss and says so; one folder never holds runs of two precisions."""
    runs = {}
    for precision in ("32-true", "bf16-mixed"):
        options = ("--recipes", "uniform", "--seeds", "1", "--precision", precision)
        assert compare(tree, tmp_path / precision, *options) == 0
        data = json.loads((tmp_path / precision / "results.json").read_text())
        assert data["settings"]["precision"] == precision
        runs[precision] = data["runs"][0]
    assert runs["32-true"]["loss"] != runs["bf16-mixed"]["loss"]
    assert compare(tree, tmp_path / "bf16-mixed", "--recipes", "uniform", "--seeds", "1") == 2
    assert "there 'bf16-mixed', now '32-true'" in capsys.readouterr().err


def test_pictures_with_a_left_and_a_right_are_not_mirrored(tree, tmp_path, monkeypatch):
    """With --no-flip; and what was mirrored before is another result."""
    seen = []

    def spy(backbone, plan, images, test, options, **rest):
        seen.append(options.flip)
        return train(backbone, plan, images, test, options, **rest)

    monkeypatch.setattr("difflr.experiments.compare.train", spy)
    line = ("--recipes", "uniform", "--seeds", "1")
    assert compare(tree, tmp_path, *line) == 0
    assert compare(tree, tmp_path, *line, "--no-flip") == 2
    assert compare(tree, tmp_path / "letters", *line, "--no-flip") == 0
    assert seen == [True, False]
    settings = json.loads((tmp_path / "letters" / "results.json").read_text())["settings"]
    assert "flip" not in settings["augmentation"]


def test_plan_prints_and_draws_without_training(tmp_path, capsys):
    """difflr plan shows each phase and writes a picture; a milestones file works like a recipe."""
    out = tmp_path / "plan.png"
    assert main(["plan", "--recipe", "gradual", "--backbone", "strokenet", "--out", str(out)]) == 0
    assert "frozen" in capsys.readouterr().out
    assert out.stat().st_size > 1000
    milestones = {
        "1": {"freeze_to": -1, "duration": 2, "pct_start": 0.5, "lrs": [0, 0, 0, 0, 0, 0.01]}
    }
    file = tmp_path / "milestones.json"
    file.write_text(json.dumps(milestones))
    assert (
        main(["plan", "--milestones", str(file), "--backbone", "strokenet", "--out", str(out)]) == 0
    )
    assert "0.01" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["[1]", "{", '{"one": 1}', '{"1": {"lrs": []}}', "null"])
def test_bad_milestones_file_ends_in_one_clear_line(tmp_path, capsys, content):
    """A file that is no milestones dictionary is refused."""
    file = tmp_path / "milestones.json"
    file.write_text(content)
    assert main(["plan", "--milestones", str(file), "--backbone", "strokenet"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_curves_draws_what_tensorboard_holds(tree, tmp_path, capsys):
    """The learning rates logged by compare come back from the event file as a picture."""
    assert compare(tree, tmp_path, "--recipes", "differential", "--seeds", "1") == 0
    picture = tmp_path / "lrs.png"
    assert (
        main(["curves", str(tmp_path / "tensorboard" / "differential-0"), "--out", str(picture)])
        == 0
    )
    assert picture.stat().st_size > 1000
    assert main(["curves", str(tmp_path / "nothing"), "--out", str(picture)]) == 2


def test_module_and_command_are_the_same():
    """python -m difflr works, and prints its commands."""
    done = subprocess.run(
        [sys.executable, "-m", "difflr", "--help"], capture_output=True, text=True, check=True
    )
    assert "compare" in done.stdout


def test_import_is_light():
    """import difflr loads none of the heavy libraries until a name is used."""
    code = (
        "import sys, difflr; heavy = ['torch', 'pytorch_lightning', 'torchvision', 'matplotlib', "
        "'ipywidgets', 'scipy']; print([name for name in heavy if name in sys.modules]); "
        "difflr.Plan; print('torch' in sys.modules); difflr.split_model; "
        "print('pytorch_lightning' in sys.modules, 'torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["[]", "False", "False False"]


def test_a_mistake_in_a_study_is_said_before_torch_is_loaded():
    """What is wrong with the task or the grid needs no network, and is not waited for."""
    code = (
        "import sys; from difflr.cli import main; wrong = [['nonsense'], ['peak', '--only=ratio=7'], "
        "['peak', '--seeds=3'], ['peak', '--image-size=0'], ['text', '--data=trec6:x']]; "
        "print({main(['study', *words]) for words in wrong}, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{2} False\n"
    assert done.stderr.count("difflr: error: ") == 5


def test_a_study_trains_in_the_precision_that_it_records(tree, tmp_path, capsys, monkeypatch):
    """Runs of two precisions are never mixed; a journal from before it could be chosen is float32."""
    import difflr.studies.trial

    train, seen = difflr.studies.trial.train, []

    def spy(backbone, plan, images, test, options, **rest):
        seen.append(options.precision)
        return train(backbone, plan, images, test, options, **rest)

    monkeypatch.setattr(difflr.studies.trial, "train", spy)
    command = ("study", "plateau", "--quick", "--data", str(tree), "--backbone", "strokenet")
    command += ("--weights", "embedded", "--jobs", "1", "--no-progress", "--out", str(tmp_path))
    monkeypatch.setattr("difflr.evidence.gallery.draw_all", lambda *_: {})
    monkeypatch.setitem(STUDIES, "plateau", lambda *_: ([Cell("uniform", {"lr": 1e-3}, 8, 1)], ()))
    assert main([*command, "--precision", "bf16-mixed"]) == 0
    assert set(seen) == {"bf16-mixed"}
    assert main(command) == 2
    assert "precision: there 'bf16-mixed', now '32-true'" in capsys.readouterr().err
    journal = tmp_path / "plateau.jsonl"
    journal.write_text(journal.read_text().replace('"precision":"bf16-mixed",', "", 1))
    assert main(command) == 0
    assert main([*command, "--precision", "bf16-mixed"]) == 2
    assert "there '32-true', now 'bf16-mixed'" in capsys.readouterr().err
    assert main([*command, "--precision", "half"]) == 2
    assert "32-true, bf16-mixed" in capsys.readouterr().err


def test_lessons_are_copied_once_and_never_over_a_learners_work(tmp_path, capsys):
    """All lessons as they are in the repository; a second call writes what is missing and no more."""
    folder = tmp_path / "new folder" / "lessons"
    assert main(["lessons", str(folder)]) == 0
    shipped = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb"))
    assert [path.name for path in sorted(folder.iterdir())] == [path.name for path in shipped]
    assert all((folder / path.name).read_bytes() == path.read_bytes() for path in shipped)
    printed = capsys.readouterr().out
    assert f"jupyter lab '{folder / '00_start_here.ipynb'}'" in printed
    assert "Kept" not in printed
    (folder / "01_splits.ipynb").write_text("my own work")
    (folder / "02_freezing.ipynb").unlink()
    assert main(["lessons", str(folder)]) == 0
    assert (folder / "01_splits.ipynb").read_text() == "my own work"
    assert (folder / "02_freezing.ipynb").exists()
    assert "Kept as they were, since they differ: 01_splits.ipynb.\n" in capsys.readouterr().out


def test_a_folder_for_lessons_that_cannot_be_written_is_one_line(tmp_path, capsys):
    """A file where the folder should be."""
    (tmp_path / "file").write_text("")
    assert main(["lessons", str(tmp_path / "file")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("difflr: error: ")
    assert error.count("\n") == 1
