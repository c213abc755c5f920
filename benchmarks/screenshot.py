"""Take the README's picture of the plan editor: ``python benchmarks/screenshot.py``."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import browsing  # noqa: E402

CELL = """\
import torchvision
from difflr import make_plan, split_model
from difflr.widgets import PlanEditor
splits = split_model(torchvision.models.resnet18())
editor = PlanEditor(splits, make_plan("gradual", splits, 8))
editor.selected = 5
editor.controls.freeze_to.value = 0
editor.controls.epochs.value = "3"
editor"""


def main() -> None:
    """Write images/editor.png."""
    with browsing.opened(sources=[CELL]) as notebook:
        notebook.start(0)
        picture = notebook.cell(0).locator("img.widget-image")
        picture.wait_for()
        notebook.page.wait_for_timeout(1500)
        top = picture.bounding_box()
        bottom = notebook.cell(0).locator("table").bounding_box()
        right = notebook.cell(0).locator("input[type='text']").first.bounding_box()
        notebook.page.screenshot(
            path=ROOT / "images" / "editor.png",
            clip={
                "x": top["x"] - 5,
                "y": top["y"] - 5,
                "width": right["x"] + right["width"] - top["x"] + 12,
                "height": bottom["y"] + bottom["height"] - top["y"] + 12,
            },
        )


if __name__ == "__main__":
    main()
