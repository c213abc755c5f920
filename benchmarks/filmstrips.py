"""Draw the first ten seconds of each widget as a strip of four frames: ``make filmstrips``.

JupyterLab runs in a headless Chromium and is used as a learner would; the frames go to docs/filmstrips.
"""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import browsing  # noqa: E402

WINDOW = {"width": 1100, "height": 1000}
WIDE, TALL = 936, 556  # of a frame: the output in that window
SHOWN = 0.75  # of that in the strip
MARGIN = 26  # above a frame, for its words

SETUP = """\
import logging, time, warnings
warnings.filterwarnings("ignore")
import pytorch_lightning as pl
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from difflr import ParametersSplitsModule, make_plan, param_groups, split_model
from difflr.widgets import LiveView, PlanEditor, RangePanel, Replay, SplitExplorer
torch.manual_seed(0)
def network():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3),
                         nn.Flatten(), nn.Linear(256, 3))
CUT = {"stem": ["0", "1"], "body": "3", "head": "5"}
splits = split_model(network(), CUT)
optimizer = torch.optim.AdamW(param_groups(splits, 1e-3))
labels = torch.randint(0, 3, (600,))
pictures = torch.randn(3, 3, 8, 8)[labels] + torch.randn(600, 3, 8, 8)
batches = [(pictures[:64], labels[:64])]
class Net(ParametersSplitsModule):
    def __init__(self):
        super().__init__()
        self.net = network()
        self.milestones = make_plan("gradual", 3, 3)
    def model_splits(self):
        return {"stem": ["net.0", "net.1"], "body": "net.3", "head": "net.5"}
    def training_step(self, batch, _):
        time.sleep(0.02)
        scores = self.net(batch[0])
        self.log("train_acc", (scores.argmax(1) == batch[1]).float().mean(), on_epoch=True)
        return nn.functional.cross_entropy(scores, batch[1])
trainer = pl.Trainer(max_epochs=3, callbacks=[LiveView()], accelerator="cpu", logger=False,
                     enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
loader = DataLoader(TensorDataset(pictures, labels), 4, shuffle=True)"""

#: Of each widget: the cell that shows it.
CELLS = {
    "editor": 'PlanEditor(["stem", "layer1", "layer2", "layer3", "layer4", "head"], make_plan("gradual", 6))',
    "explorer": "SplitExplorer(splits, optimizer, (3, 8, 8))",
    "rangepanel": "RangePanel(PlanEditor(splits, input_shape=None), splits, optimizer, batches, steps=60)",
    "liveview": "trainer.fit(Net(), loader)",
    "replay": "Replay()",
}

Frames = Iterator[str]


def pull(notebook: Any, slider: Any, share: float) -> None:
    """Drag a slider's handle to a share of its length."""
    box = slider.bounding_box()
    now = slider.evaluate("slider => slider.value / slider.max")
    mouse, y = notebook.page.mouse, box["y"] + box["height"] / 2
    mouse.move(box["x"] + 5 + now * (box["width"] - 10), y)
    mouse.down()
    mouse.move(box["x"] + 5 + share * (box["width"] - 10), y, steps=5)
    mouse.up()


def editor(notebook: Any, cell: Any) -> Frames:
    """Drag a bar, then a curve, then open the rest."""
    yield "At first: what trains in phase 1"
    cell.locator("button:has-text('Phase 6')").click()
    yield "A click shows another phase"
    pull(notebook, cell.locator("input[type='range']").first, 0.7)
    cell.get_by_text("Drag a bar").wait_for(state="hidden")
    yield "A bar is dragged: the curve follows"
    cell.locator("button:has-text('More settings')").click()
    yield "More settings: epochs, shape, ratio"


def explorer(notebook: Any, cell: Any) -> Frames:
    """Freeze splits, one after another."""
    yield "At first: all splits train"
    slider = cell.locator("input[type='range']").first
    slider.press("ArrowRight")
    yield "Train from the second on"
    slider.press("ArrowRight")
    yield "Only the head: what a step costs"
    cell.locator("button:has-text('Freeze the model')").click()
    yield "The model itself is frozen like this"


def rangepanel(notebook: Any, cell: Any) -> Frames:
    """Test, use the suggestion, share out by gradients."""
    yield "At first: nothing is tested yet"
    cell.locator("button:has-text('Test the selected phase')").click()
    cell.get_by_text("Suggested multiplier").first.wait_for()  # its copy is there, too
    yield "One press: loss against multiplier"
    cell.locator("button:has-text('Use the suggestion')").click()
    yield "Another: the plan has the suggestion"
    cell.locator("button:has-text('Share out')").click()
    cell.get_by_text("in proportion").wait_for()
    yield "Rates in proportion to the gradients"


def liveview(notebook: Any, cell: Any) -> Frames:
    """Watch a training and stop it."""
    cell.get_by_text("loss").first.wait_for()
    notebook.page.wait_for_timeout(1500)
    yield "The training has begun"
    for epoch in (1, 2):
        cell.get_by_text(f"epoch {epoch}.").wait_for()
        notebook.page.wait_for_timeout(1500)
        yield f"In epoch {epoch + 1} one more split trains"
    cell.locator("button:has-text('Stop')").click()
    cell.locator("button:has-text('Stopped')").wait_for()
    yield "Stop: the model keeps what it learned"


def replay(notebook: Any, cell: Any) -> Frames:
    """Predict the best point, then see."""
    yield "At first: all is covered"
    lr, ratio = (cell.get_by_role("slider", name=name, exact=True) for name in ("Base LR", "Ratio"))
    pull(notebook, lr, 0.5)
    pull(notebook, ratio, 0.75)
    cell.get_by_alt_text("Base LR 3e-3, ratio 100").wait_for()
    yield "Two sliders choose a point"
    cell.locator("button:has-text('I predict')").click()
    yield "The prediction is marked and compared"
    for _ in range(2):
        lr.press("ArrowRight")
    cell.get_by_alt_text("Base LR 3e-2, ratio 100").wait_for()
    yield "Then look around"


STRIPS: dict[str, Callable[[Any, Any], Frames]] = {
    each.__name__: each for each in (editor, explorer, rangepanel, liveview, replay)
}


def frames_of(notebook: Any, index: int, name: str) -> list[tuple[str, Image.Image]]:
    """Show a widget, use it, and return what is seen each time, with its words."""
    cell, frames = notebook.cell(index), []
    notebook.start(index)
    output = cell.locator(notebook.OUTPUT).first
    output.locator("img.widget-image").wait_for()
    for words in STRIPS[name](notebook, cell):
        notebook.page.mouse.move(0, 0)
        if name != "liveview":  # whose kernel is never idle
            notebook.rest(index)
        output.evaluate("area => area.scrollIntoView()")
        box, left = (
            output.bounding_box(),
            cell.locator(".jp-OutputArea-output").first.bounding_box(),
        )
        tall = min(TALL, box["height"])  # below it is the next cell
        area = {"x": left["x"], "y": box["y"], "width": WIDE, "height": tall}
        frame = Image.new("RGB", (WIDE, TALL), "white")
        frame.paste(Image.open(io.BytesIO(notebook.page.screenshot(clip=area))))
        frames.append((words, frame))
    return frames


def strip(frames: list[tuple[str, Image.Image]]) -> Image.Image:
    """Return the frames, two in a row, each below its number and its words."""
    wide, tall = round(SHOWN * WIDE), round(SHOWN * TALL)
    result = Image.new("RGB", (2 * wide + 12, 2 * (tall + MARGIN)), "white")
    pen, font = ImageDraw.Draw(result), ImageFont.load_default(18)
    for i, (words, frame) in enumerate(frames):
        x, y = (i % 2) * (wide + 12), (i // 2) * (tall + MARGIN)
        pen.text((x + 6, y + 2), f"{i + 1}  {words}", "black", font)
        result.paste(frame.resize((wide, tall), Image.Resampling.LANCZOS), (x, y + MARGIN))
    return result


def main() -> None:
    """Write a strip for each widget, or for those that are named."""
    names = sys.argv[1:] or list(CELLS)
    folder = ROOT / "docs" / "filmstrips"
    folder.mkdir(exist_ok=True)
    with browsing.opened(sources=[SETUP, *(CELLS[name] for name in names)]) as notebook:
        notebook.page.set_viewport_size(WINDOW)
        notebook.page.set_default_timeout(300_000)
        notebook.start(0)
        notebook.settle()
        for index, name in enumerate(names, 1):
            path = folder / f"{name}.webp"
            strip(frames_of(notebook, index, name)).save(path, quality=80, method=6)
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
