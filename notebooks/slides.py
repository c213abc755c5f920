"""A lesson as slides of 1280 × 720 for reveal.js, none of which is cut off; ``derive.py`` writes them.

A heading begins a slide. What no longer fits on it goes on the next one below (a sub-slide): text is cut
between paragraphs, and a cell's output goes on a slide of its own where its code leaves no room.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from math import ceil

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

__all__ = ["CONFIG", "slides"]

#: For ``jupyter nbconvert --config``.
CONFIG = """\
c = get_config()
c.SlidesExporter.reveal_width = "1280"
c.SlidesExporter.reveal_height = "720"
c.SlidesExporter.exclude_input_prompt = True
c.SlidesExporter.exclude_output_prompt = True
c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_input_tags = {"output-only"}
"""

_STYLE = """\
<style>
.reveal .slides { text-align: left; }
.reveal h1 { font-size: 42px; }
.reveal h2 { font-size: 34px; }
.reveal h3 { font-size: 28px; }
.reveal .jp-Cell { padding: 2px 5px; }
.reveal .jp-Cell { --jp-code-font-size: 16px; }
.reveal .jp-Cell.celltag_long-code { --jp-code-font-size: 12px; }
.reveal pre { font-size: var(--jp-code-font-size); line-height: 1.25; white-space: pre-wrap; margin: 0; }
.reveal .celltag_long-output :is(pre, table, p, li, h1, h2, h3) { font-size: 11px; line-height: 14px; }
.reveal .celltag_long-output :is(pre, table, p, li, h1, h2, h3) { margin: 3px; }
.reveal .celltag_long-output :is(td, th) { padding: 1px 6px; }
.reveal .jp-OutputArea img { max-height: 500px; max-width: 1120px; width: auto; margin: 0; }
.reveal .celltag_long-output .jp-OutputArea img { max-height: 240px; }
</style>"""

_TALL = 620  # pixels of a slide that are filled
_PLOTS = ("Picture(", "figure = ", "title = ")
_LINE, _CODE, _PICTURE, _CHARACTERS = 30, 20, 510, 105


def slides(lesson: NotebookNode) -> NotebookNode:
    """Return the lesson with its outputs as slides: no set-up, no imports, no checks, no solutions."""
    result, left = deepcopy(lesson), 0
    style = new_markdown_cell(_STYLE, id="slides-style", metadata={"tags": ["slides-style"]})
    style.metadata["slideshow"] = {"slide_type": "-"}
    cells: list[NotebookNode] = []
    for cell in result.cells:
        tags = {*cell.metadata.get("tags", [])}
        if tags & {"setup", "solution", "check"} or cell.source.startswith(("import ", "from ")):
            cell.metadata["slideshow"] = {"slide_type": "skip"}
            cells.append(cell)
            continue
        pieces = _of_text(cell) if cell.cell_type == "markdown" else _of_code(cell, left)
        for number, (piece, height) in enumerate(pieces):
            piece.id = f"{cell.id}-{number}"
            heading = piece.cell_type == "markdown" and piece.source.startswith("#")
            kind = "slide" if heading else "subslide" if height > left else "fragment"
            left = (left if kind == "fragment" else _TALL) - height
            before = cells[-1] if cells else None
            joins = kind == "fragment" and piece.cell_type == "markdown" and number
            if joins and before is not None and before.cell_type == "markdown":
                before.source += f"\n\n{piece.source}"
                continue
            piece.metadata["slideshow"] = {"slide_type": kind}
            cells.append(piece)
    result.cells = [cells[0], style, *cells[1:]]
    return result


def _of_text(cell: NotebookNode) -> Iterator[tuple[NotebookNode, int]]:
    """Cut text before headings and between paragraphs; a heading stays with what follows it, and
    so does what ends in a colon."""
    parts, head = re.split(r"\n\n+(?!(?:[^`]*```\n)[^`]*$)", cell.source.strip()), ""
    for part, after in zip(parts, [*parts[1:], "#"], strict=True):
        head = f"{head}\n\n{part}" if head else part
        if (part.startswith("#") or part.endswith(":")) and not after.startswith("#"):
            continue
        piece = deepcopy(cell)
        piece.source, head = head, ""
        yield piece, _height(piece.source)


def _of_code(cell: NotebookNode, left: int) -> Iterator[tuple[NotebookNode, int]]:
    """Let code and output share a slide if they can; very long code is small."""
    lines = cell.source.count("\n") + 1
    small = lines * _CODE > _TALL - 60
    code = lines * (15 if small else _CODE) + 30
    output = sum(map(_seen, cell.outputs))
    if small:
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "long-code"]
    if not cell.outputs or code + output <= (left if code <= left else _TALL):
        yield cell, code + output
        return
    if output > _TALL - 60:
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "long-output"]
    if cell.source.startswith(_PLOTS) and code + output > _TALL:  # the picture speaks for itself
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "output-only"]
        yield cell, output
        return
    shown = deepcopy(cell)
    shown.source, cell.outputs = "", []
    shown.metadata["tags"] = [*shown.metadata.get("tags", []), "output-only"]
    yield cell, code
    yield shown, output


def _height(text: str) -> int:
    """Return about how many pixels text takes."""
    lines = text.splitlines()
    plain = " ".join(line for line in lines if not line.startswith(("#", "-", "|", "```", "    ")))
    heads = sum(line.startswith("#") for line in lines)
    items = sum(ceil(len(i) / _CHARACTERS) for i in re.findall(r"^- (?:.|\n(?!- ))*", text, re.M))
    rows = sum(ceil(len(line) / 150) for line in lines if line.startswith("|"))
    fenced = sum(len(block.splitlines()) for block in re.findall(r"```.*?```", text, re.DOTALL))
    return (
        56 * heads + _LINE * (ceil(len(plain) / _CHARACTERS) + items + rows) + _CODE * fenced + 20
    )


def _seen(output: NotebookNode) -> int:
    """Return about how many pixels an output takes."""
    data = output.get("data", {})
    if any(kind.startswith("image/") for kind in data):
        return _PICTURE
    text = output.get("text", "") or data.get("text/plain", "")
    if "text/markdown" in data:
        return _height(data["text/markdown"])
    return _CODE * sum(ceil((len(line) or 1) / 120) for line in text.splitlines()) + 15
