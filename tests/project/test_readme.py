"""The code of README and docs runs, and the plain loop is as short as it says."""

import json
import re
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import torchvision
from torch.utils.data import DataLoader, TensorDataset

import difflr
from difflr.cli.command import _parser
from difflr.runs.statistics import summarise

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DOCS = {path.stem: path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md")}
PAGES = {"README": README, **DOCS}


def blocks(text):
    """Return the Python code of a page."""
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def loader():
    """Two batches of noise."""
    torch.manual_seed(0)
    return DataLoader(TensorDataset(torch.randn(8, 3, 32, 32), torch.arange(8) % 10), batch_size=4)


def fit(module, loader, epochs, tmp_path):
    """Train a module from the README."""
    trainer = pl.Trainer(
        max_epochs=epochs,
        default_root_dir=tmp_path,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader)


@pytest.mark.parametrize("page", ["README", "own-model"])
def test_lightning_module_of_a_page_trains(page, loader, tmp_path):
    """The first module trains its head faster than its stem; the lines that look at it work."""
    block, look = blocks(PAGES[page])[:2]
    look = look.replace("plan.png", str(tmp_path / "plan.png"))
    names: dict = {}
    exec(block.replace('weights="DEFAULT"', "weights=None"), names)
    model = names["Lit"]()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fit(model, loader, 6, tmp_path)
    moved = {k: (v - before[k]).abs().max() for k, v in model.state_dict().items()}
    assert moved["model.fc.weight"] > 10 * moved["model.conv1.weight"] > 0
    exec(look, names)
    assert (tmp_path / "plan.png").exists()


def test_milestones_of_the_docs_train(loader, tmp_path):
    """The module with a milestones dictionary trains, given a model and a training step."""
    names = {"difflr": difflr, "torch": torch}
    exec(blocks(DOCS["milestones"])[0], names)

    class Lit(names["Lit"]):
        def __init__(self):
            super().__init__()
            self.model = torchvision.models.resnet18(num_classes=10)

        def training_step(self, batch, batch_idx):
            images, labels = batch
            return torch.nn.functional.cross_entropy(self.model(images), labels)

    model = Lit()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fit(model, loader, 6, tmp_path)
    same = {k: torch.equal(v, before[k]) for k, v in model.state_dict().items()}
    assert same["model.layer3.0.conv1.weight"]
    assert same["model.bn1.running_mean"]
    assert not same["model.layer4.0.conv1.weight"]


def test_plain_loop_of_the_docs_is_short_and_trains(loader):
    """Without Lightning a loop takes fewer than ten lines, freezes and follows the plan."""
    block = blocks(DOCS["without-lightning"])[0]
    assert len(block.strip().splitlines()) < 10
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    names = {"difflr": difflr, "torch": torch, "model": model, "loader": loader}
    exec(block, names)
    assert names["scheduler"].last_epoch == 12
    assert not torch.equal(model.state_dict()["conv1.weight"], before["conv1.weight"])
    assert names["plan"].phases[0].trainable == (False,) * 5 + (True,)


def test_commands_of_the_pages_exist():
    """Every ``difflr …`` line of README and docs parses with the real command line."""
    pages = "\n".join(PAGES.values())
    shell = "\n".join(re.findall(r"```bash\n(.*?)```", pages, flags=re.DOTALL))
    lines = shell.replace("\\\n", " ").splitlines()
    commands = [
        line.split("#")[0].split("difflr ", 1)[1].split() for line in lines if "difflr " in line
    ]
    commands = [words for words in commands if words and not words[0].startswith(("&", "/"))]
    assert len(commands) >= 4
    for words in commands:
        _parser().parse_args(words)


def test_compared_recipes_have_the_numbers_of_the_recorded_runs():
    """Every row of the table of results follows from the runs in images/compare.json."""
    data = json.loads((ROOT / "images" / "compare.json").read_text("utf-8"))
    summaries = summarise(data["runs"])
    assert len(summaries) >= 3
    for summary in summaries:
        accuracy = f"{summary.accuracy.mean:.1%} ± {100 * summary.accuracy.half:.1f}"
        against = ""
        if summary.difference is not None:
            tie = f" ({summary.verdict})" if summary.difference.holds_zero else ""
            against = (
                f" {100 * summary.difference.mean:+.1f} ± {100 * summary.difference.half:.1f}{tie}"
            )
        row = (
            f"| `{summary.recipe}` | {accuracy} |{against} | {summary.seconds:.1f} | "
            f"{summary.trainable_share:.1%} |"
        )
        assert row in DOCS["evidence"]


def test_the_readme_is_one_page_with_its_editor():
    """A front door: at most 150 lines, among them the picture of the editor."""
    assert len(README.splitlines()) <= 150
    assert "](images/editor.png)" in README
