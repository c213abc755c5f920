"""Print the ideas on one page: a PDF in A4, made from the last section of teaching.md.

python notebooks/cheatsheet.py [cheatsheet.pdf]
"""

import io
import re
import sys
import textwrap
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread

import difflr
from difflr.figures.picture import Picture

HEADING = "## The ideas on one page"
WIDTH, SIZE, LINE = 92, 10.5, 0.0165  # characters, points, share of the page's height
PICTURE = 0.24  # of the page, from below


def ideas(guide: str) -> list[tuple[str, str]]:
    """Return the section's paragraphs: what is bold at their beginning, and the rest."""
    section = guide.split(f"{HEADING}\n", 1)[1].split("\n## ", 1)[0]
    found = [" ".join(part.split()) for part in section.split("\n\n") if part.strip()]
    pairs = []
    for text in found:
        match = re.fullmatch(r"\*\*(.+?)\*\*\s*(.*)", text)
        if match is None:
            raise ValueError(f"A paragraph does not begin with a bold word: {text[:60]}")
        pairs.append((match[1].rstrip(".:"), re.sub(r"[*`]", "", match[2])))
    return pairs


def page(guide: str) -> Figure:
    """Return the page; raises ``ValueError`` where the ideas need more than one."""
    figure = Figure(figsize=(8.27, 11.69))
    figure.text(0.06, 0.955, "difflr: the ideas on one page", size=17, weight="bold")
    figure.text(
        0.06, 0.935, "Differential learning rates for transfer learning", size=11, color="0.35"
    )
    y = 0.9
    for title, text in ideas(guide):
        figure.text(0.06, y, title, size=SIZE + 1, weight="bold", color="#0072b2", va="top")
        y -= 1.25 * LINE
        for line in textwrap.wrap(text[:1].upper() + text[1:], WIDTH):
            figure.text(0.06, y, line, size=SIZE, va="top")
            y -= LINE
        y -= 0.7 * LINE
    if y < PICTURE:
        raise ValueError("The ideas do not fit on one page: shorten the section of teaching.md.")
    names = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
    plan = Picture(
        difflr.plot_plan(difflr.make_plan("gradual", 6, epochs=8, lr=1e-2), names, 20), ""
    )
    axes = figure.add_axes((0.06, 0.03, 0.88, PICTURE - 0.04))
    axes.imshow(imread(io.BytesIO(plan.png)))
    axes.axis("off")
    figure.text(
        0.06, PICTURE - 0.01, "A plan: gradual unfreezing in phases", size=SIZE, color="0.35"
    )
    return figure


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "cheatsheet.pdf")
    page((Path(__file__).parent / "teaching.md").read_text("utf-8")).savefig(out)
    print(out)
