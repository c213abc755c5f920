"""How long a picture takes to follow a slider: with six splits and six phases, and with 48 splits.

Goals: a median of at most 60 ms in the kernel, and of 150 ms seen in a browser (``--browser``).
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

from timing import against_goal, table

from difflr.milestones import MILESTONES_2020, from_milestones
from difflr.recipes import make_plan
from difflr.widgets import PlanEditor

NAMES = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
MANY = ("stem", *(f"blocks.{i}" for i in range(46)), "head")


def kernel(rounds: int = 60) -> dict[str, float]:
    """Return the median milliseconds from a slider's new value to new PNG bytes, by kind of change."""
    editor = PlanEditor(NAMES, from_milestones(MILESTONES_2020))
    editor.selected = 5
    controls = editor.controls
    many = PlanEditor(MANY, make_plan("layer_decay", len(MANY), 6, decay=0.9))
    changes = {
        "learning rate": (editor, lambda i: setattr(controls.rows[5].slider, "index", 80 - i % 9)),
        "largest LR of a shape": (editor, lambda i: setattr(controls.base, "index", 60 + i % 9)),
        "pct_start": (editor, lambda i: setattr(controls.rise, "index", 20 + i)),
        # A row there stands for several splits, which move together.
        "learning rate, 48 splits": (
            many,
            lambda i: setattr(many.controls.rows[5].slider, "index", 80 - i % 9),
        ),
    }
    medians = {}
    for name, (edited, change) in changes.items():
        times = []
        edited.controls.shape.value = "geometric"  # an LR set by hand leaves it again
        for i in range(rounds):
            before = edited.picture.value
            start = time.perf_counter()
            change(i + 1)
            times.append(time.perf_counter() - start)
            assert edited.picture.value != before, f"{name} did not change the picture"
        medians[name] = 1000 * statistics.median(times)
    return medians


def browser(rounds: int = 30) -> float:
    """Return the median milliseconds from an arrow key on a slider to the new picture loaded."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    import browsing

    with browsing.opened() as notebook:
        notebook.start(0)
        notebook.cell(0).locator("img.widget-image").wait_for()
        notebook.cell(0).locator("input[type='range']").nth(5).focus()
        times = []
        for i in range(rounds):
            # The clock runs in the page, from the key event to the load of the next picture.
            notebook.page.evaluate(
                """() => {
                    const img = document.querySelector('img.widget-image');
                    window.seen = new Promise(done => {
                        document.addEventListener('keydown', () => {
                            const start = performance.now();
                            img.addEventListener('load', () => done(performance.now() - start),
                                                 {once: true});
                        }, {once: true, capture: true});
                    });
                }"""
            )
            notebook.page.keyboard.press("ArrowRight" if i % 2 else "ArrowLeft")
            times.append(notebook.page.evaluate("() => window.seen"))
            notebook.page.wait_for_timeout(100)
        return statistics.median(times)


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", action="store_true", help="measure in JupyterLab, too")
    options = parser.parse_args()
    rows = [
        (f"kernel, {name}", f"{median:.0f}", against_goal(median, "≤", 60, " ms"))
        for name, median in kernel().items()
    ]
    if options.browser:
        seen = browser()
        rows.append(
            ("browser, arrow key on a slider", f"{seen:.0f}", against_goal(seen, "≤", 150, " ms"))
        )
    print(table(("until the new picture", "median, ms", "goal"), rows))


if __name__ == "__main__":
    main()
