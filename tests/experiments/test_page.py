"""The page of a result: pictures as the network sees them, numbers, errors, and what was not tried."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from difflr.errors import DifflrError
from difflr.experiments.compare import compare
from difflr.experiments.contact import contact_sheet
from difflr.experiments.data import Data, Images, load_data
from difflr.experiments.mistakes import find_mistakes, plot_confusion, sum_confusion, worst_of
from difflr.experiments.page import write_page
from difflr.experiments.settings import Settings


class ByFirstPixel(nn.Module):
    """Names the class that the first pixel says, the surer the brighter the second one is."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, pixels):
        logits = nn.functional.one_hot(pixels[:, 0, 0, 0].long(), 3).float()
        return logits * pixels[:, 0, 0, 1:2].float()


def told(named, sure):
    """Pictures that ``ByFirstPixel`` names so, so surely."""
    pixels = torch.zeros(len(named), 3, 4, 4, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.tensor(named)
    pixels[:, 0, 0, 1] = torch.tensor(sure)
    return pixels


def test_mistakes_are_counted_by_class_and_the_surest_named():
    """Rows are true classes, columns what was named; the worst errors come first."""
    images = Images(told([0, 1, 1, 2, 0], [5, 3, 4, 5, 9]), torch.tensor([0, 0, 1, 0, 2]))
    found = find_mistakes(ByFirstPixel().train(), images, 3)
    assert found["confusion"] == [[1, 1, 1], [0, 1, 0], [1, 0, 0]]
    assert [(e["picture"], e["named"]) for e in found["worst"]] == [(4, 0), (3, 2), (1, 1)]
    assert found["worst"][2]["probability"] == pytest.approx(np.exp(3) / (np.exp(3) + 2), abs=1e-4)
    assert "confusion" not in find_mistakes(ByFirstPixel(), images, 51)


def test_errors_of_several_runs_are_joined():
    """What most runs get wrong comes first, then what they are surest of."""
    runs = [
        {"mistakes": {"confusion": [[1, 0], [2, 3]], "worst": [
            {"picture": 1, "named": 0, "probability": 0.9}, {"picture": 2, "named": 1, "probability": 0.6}]}},
        {"mistakes": {"confusion": [[1, 1], [1, 3]], "worst": [
            {"picture": 2, "named": 1, "probability": 0.8}]}},
        {},
    ]  # fmt: skip
    assert sum_confusion(runs).tolist() == [[2, 1], [3, 6]]
    assert [(e["picture"], e["runs"]) for e in worst_of(runs)] == [(2, 2), (1, 1)]
    assert worst_of(runs)[0]["probability"] == pytest.approx(0.7)
    assert sum_confusion([{}]) is None
    shares = plot_confusion(sum_confusion(runs), ("a", "b")).axes[0].images[0].get_array()
    assert np.allclose(shares, [[2 / 3, 1 / 3], [1 / 3, 2 / 3]])


def test_contact_sheet_shows_what_the_network_sees():
    """Each row shows training pictures of its class; with ``augmented`` as a step of training does."""
    numbers = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=numbers)
    images = Images(pixels, torch.tensor([0] * 8 + [1] * 4))
    data = Data("made up", images, images, ("a", "b"), flip=False)
    rows = contact_sheet(data).axes
    assert [axes.get_title(loc="left") for axes in rows] == ["a", "b"]
    for label, axes in enumerate(rows):
        shown = axes.images[0].get_array()
        own = pixels[images.labels == label]
        assert np.array_equal(shown[:, :32], own[0].permute(1, 2, 0))
        assert (shown[:, -33:] == 255).all() == (len(own) < 8)
    assert len(contact_sheet(data, most=1).axes) == 1
    moved = contact_sheet(data, augmented=True).axes[0].images[0].get_array()
    assert not np.array_equal(moved, rows[0].images[0].get_array())


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Two recipes on a small tree whose classes have names that are no HTML, chosen and reported."""
    root = tmp_path_factory.mktemp("page")
    numbers = np.random.default_rng(0)
    for name, level in (("dark <b>", 110), ("light & warm", 140)):
        home = root / "data" / name
        home.mkdir(parents=True)
        for i in range(20):
            noise = numbers.normal(level, 40, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise).save(home / f"{i}.png")
    common = {"backbone": "strokenet", "epochs": 1, "batch_size": 8}
    rates = ("uniform:lr=1e-3", "uniform:lr=3e-3", "head_only:lr=1e-2", "head_only:lr=3e-2")
    data = str(root / "data")
    chosen = compare(
        Settings.fitting(data, recipes=rates, seeds=(0,), validate=True, **common),
        root / "validated",
        progress=False,
    )
    reported = compare(
        Settings.fitting(data, recipes=rates[1:3], seeds=(0, 1), **common),
        root / "tested",
        progress=False,
    )
    return chosen, reported, load_data(data)


def test_the_page_is_one_file_with_pictures_numbers_and_limits(compared, tmp_path):
    """Five pictures inside it, nothing from elsewhere; names are text; what was not tried is said."""
    chosen, reported, data = compared
    path = write_page(
        tmp_path / "new" / "page.html", chosen, reported, data, question="Is <it> so?"
    )
    text = path.read_text("utf-8")
    for part in (
        "<title>data: result</title>", "Is &lt;it&gt; so?", "uniform:lr=3e-3", "32 pictures to train on, 8",
        "One folder per class", "uniform: the rate reported is the largest of those tried",
        "head_only: the rate reported is the smallest", "Other recipes: differential", "validation accuracy",
        reported.about["data"]["pictures_sha256"], "shift by up to 4 pixels, flip", "More than 2 seeds",
    ):  # fmt: skip
        assert part in text, part
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<b> " not in text
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    errors = any(run["mistakes"]["worst"] for run in reported.runs)
    assert len(pictures) == 4 + errors
    for picture in pictures:
        assert Image.open(io.BytesIO(base64.b64decode(picture))).width > 300
    confusion = sum_confusion(reported.runs)
    assert confusion.sum() == 8 * 4
    assert confusion.trace() == sum(8 * run["accuracy"] for run in reported.runs)


def test_a_page_of_other_pictures_is_refused(compared, tmp_path):
    """Errors would be shown of pictures that nobody trained on."""
    chosen, reported, data = compared
    other = Data(data.name, data.test, data.train, data.classes, flip=True)
    with pytest.raises(DifflrError, match="not the pictures that were reported on"):
        write_page(tmp_path / "page.html", chosen, reported, other, question="?")
    assert not (tmp_path / "page.html").exists()
