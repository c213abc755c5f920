"""Pages link to what exists, pictures say what they show, and the site builds without a warning."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import difflr

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "notebooks" / "teaching.md", *sorted(DOCS.rglob("*.md"))]


def source(path):
    """Return where a target's text is kept: the site's lessons are copies of the notebooks."""
    if path.parent == DOCS / "lessons" and path.suffix == ".ipynb":
        return ROOT / "notebooks" / path.with_suffix(".py").name
    return path


def anchors(path):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    lines = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL).splitlines()
    heads = (re.match(r"(?:# )?#{1,3} (.*)", line) for line in lines)
    kept = (re.sub(r"[^\w\- ]", "", head[1].lower()) for head in heads if head)
    return {text.strip().replace(" ", "-") for text in kept}


def broken(page):
    """Return the relative links of a page that lead nowhere."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        path = source((page.parent / name).resolve()) if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every relative link names a file that is there, and a heading that it has."""
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path):
    """A missing file, and a heading that a page does not have."""
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](page.md#one) [b](#two) [c](none.md) [d](https://x.org/y)", "utf-8")
    assert broken(page) == ["#two", "none.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pictures_have_alt_text(page):
    """Every picture says in words what it shows."""
    for alt, path in re.findall(r"!\[(.*?)\]\((.*?)\)", page.read_text("utf-8"), flags=re.DOTALL):
        assert len(alt) > 40, path


def test_every_public_name_is_documented():
    """The reference has each name of ``difflr.__all__``."""
    text = (DOCS / "api.md").read_text("utf-8")
    assert [name for name in difflr.__all__ if not re.search(rf"difflr\.{name}\b", text)] == []


def test_every_page_and_lesson_is_in_the_table_of_contents():
    """Pages are reached from the index, and lessons from their own."""
    index = (DOCS / "index.md").read_text("utf-8").splitlines()
    names = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    assert names - {"index"} <= set(index)
    lessons = (DOCS / "lessons" / "index.md").read_text("utf-8")
    for lesson in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        assert f"({lesson.name})" in lessons


def test_the_site_builds_without_a_warning(tmp_path):
    """All pages, the lessons as they were executed, and the docstrings of the reference."""
    if missing := [n for n in ("sphinx", "myst_nb", "furo") if not importlib.util.find_spec(n)]:
        pytest.skip(f"The extra docs is not installed: {', '.join(missing)} missing.")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", DOCS, tmp_path / "html"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "html" / "lessons").glob("0*.html"))) == 9
    assert "split_model" in (tmp_path / "html" / "api.html").read_text("utf-8")
