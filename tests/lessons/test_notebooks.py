"""The lessons: each .py and its .ipynb are one, what GitHub shows is meant to be seen, exercises work.

The lessons run under nbval (see pyproject.toml), which also compares the verdicts on the untouched stubs,
and then their solutions (see ``notebooks/conftest.py``).
"""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import address
import derive
import jupytext
import nbformat
import pytest
import slides

import difflr
from difflr.lessons.progress import LESSONS as LESSON_FOLDERS
from difflr.lessons.stubs import fingerprint

ROOT = Path(__file__).parents[2]
HERE = ROOT / "notebooks"
LESSONS = sorted(HERE.glob("[0-9]*_*.py"))
WITH_EXERCISES = [path for path in LESSONS if not path.stem.startswith("00")]

KINDS = "predict|complete|debug|design"
HEADING = re.compile(rf"^### Exercise (\d)\.(\d) \(({KINDS}), (\d+) minutes?\): \S", re.MULTILINE)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    """The path of a lesson's .py."""
    return request.param


@pytest.fixture(params=WITH_EXERCISES, ids=lambda path: path.stem)
def practice(request):
    """The notebook of a lesson with exercises."""
    return nbformat.read(request.param.with_suffix(".ipynb"), 4)


def tagged(notebook, tag):
    """Return the cells with a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def prose(path):
    """Return a lesson's Markdown cells."""
    return [c.source for c in jupytext.read(path).cells if c.cell_type == "markdown"]


def test_there_are_lessons():
    """The tests below have something to look at."""
    assert len(LESSONS) > len(WITH_EXERCISES) >= 1


def test_script_and_notebook_are_one(lesson):
    """Both files hold the same cells with the same tags (jupytext's --sync goes by time stamps)."""
    script, notebook = jupytext.read(lesson), jupytext.read(lesson.with_suffix(".ipynb"))

    def cells(book):
        return [(c.cell_type, c.source, sorted(c.metadata.get("tags", []))) for c in book.cells]

    assert cells(script) == cells(notebook)


def test_only_outputs_meant_to_be_read_are_kept(lesson):
    """No volatile output, count, widget state or error is in the committed notebook."""
    notebook = json.loads(lesson.with_suffix(".ipynb").read_text("utf-8"))
    assert "widgets" not in notebook["metadata"]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            kept = {"NBVAL_CHECK_OUTPUT", "keep_output"} & set(cell["metadata"].get("tags", []))
            assert (cell["execution_count"] is not None) == bool(kept)  # nbval asks for both
            assert bool(cell["outputs"]) == bool(kept), cell["source"]
            for output in cell["outputs"]:
                assert output["output_type"] != "error"
                if "image/png" in output.get("data", {}):
                    assert len(output["metadata"]["image/png"]["alt"]) > 20


def test_lesson_opens_and_closes_as_every_lesson_does(lesson):
    """Link, questions, objectives and minutes come first; key points and sources come last."""
    first, *_, last = prose(lesson)
    assert re.match(rf"# {int(lesson.stem[:2])}\. \S", first)
    colab = re.search(r"\[Open this lesson in Colab\]\((\S+)\)", first)  # words, read offline too
    assert colab
    assert colab[1].endswith(f"/blob/v{difflr.__version__}/notebooks/{lesson.stem}.ipynb")
    parts = ("**Questions.**", "**After this lesson you can**", "**Time:**", "**You need:**")
    places = [first.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)
    assert re.search(r"\*\*Time:\*\* \d+ minutes to read", first)
    assert "## Key points" in last
    assert "**Sources:**" in last
    assert re.search(r"\]\(https://", last)


def test_set_up_cell_is_the_same_in_every_lesson(lesson):
    """It is the first code cell, folded, pinned to the version's tag, and there is one text of it."""
    cells = [
        next(cell for cell in jupytext.read(path).cells if cell.cell_type == "code")
        for path in (LESSONS[0], lesson)
    ]
    assert cells[0].source == cells[1].source
    assert cells[1].metadata["tags"] == ["setup"]
    folded = cells[1].metadata["cellView"], cells[1].metadata["jupyter"]
    assert folded == ("form", {"source_hidden": True})
    title, *_ = cells[1].source.splitlines()
    assert title.startswith("# @title ")
    assert f"install version {difflr.__version__}" in title
    assert f"{address.current()}@v{difflr.__version__}" in cells[1].source


def test_pictures_have_texts_and_links_lead_somewhere(lesson):
    """Every picture has an alt text; web links are https, local ones name files that exist."""
    text = "\n\n".join(prose(lesson))
    for alt in re.findall(r"!\[(.*?)\]\(", text, re.DOTALL):
        assert len(alt) > 10
    for tag in re.findall(r"<img[^>]*>", text):
        assert re.search(r'alt="[^"]{10,}"', tag)
    assert not re.search(r"\]\s+\(http|\]\([^)]*\s[^)]*\)", text)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        parts = urlparse(target)
        if parts.scheme or parts.netloc:
            assert parts.scheme == "https", target
            assert "." in parts.netloc, target
        elif parts.path:
            assert (lesson.parent / parts.path).exists(), target


def test_exercises_are_announced_as_they_are(practice):
    """Numbers run on, kinds vary, and the minutes of the exercises add up to those of the header."""
    text = "\n\n".join(cell.source for cell in practice.cells if cell.cell_type == "markdown")
    number = int(re.match(r"# (\d+)\.", text)[1])
    found = HEADING.findall(text)
    assert len(found) == text.count("### Exercise")
    assert [(int(a), int(b)) for a, b, _, _ in found] == [
        (number, i) for i in range(1, len(found) + 1)
    ]
    assert len(found) >= (1 if number == 8 else 3)
    assert len({kind for _, _, kind, _ in found}) >= min(3, len(found))
    announced = r"minutes to read, (\d+) minutes of exercises(?: and (\d+) of an optional one)?"
    minutes = re.search(announced, text)
    optional = re.findall(r"### Exercise \d\.\d \(\w+, (\d+) minutes\): optional", text)
    assert int(minutes[2] or 0) == sum(map(int, optional))
    assert int(minutes[1]) == sum(int(m) for *_, m in found) - sum(map(int, optional))
    assert len(found) == len(tagged(practice, "exercise")) == len(tagged(practice, "solution"))


def signatures(code):
    """Return the names that code defines at its top level, functions and classes with their shape."""
    found = {}
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = ast.dump(node.args)
        elif isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            found[node.name] = {n.name: ast.dump(n.args) for n in methods}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            stored = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            found |= {n.id: None for n in stored if isinstance(n.ctx, ast.Store)}
    return found


def test_stub_and_solution_belong_together(practice):
    """They define the same names with the same arguments, and are not the same."""
    for stub, solution in derive.exercises(practice):
        assert signatures(stub.source) == signatures(solution)
        assert signatures(solution)
        assert ast.dump(ast.parse(stub.source)) != ast.dump(ast.parse(solution))


def test_functions_to_be_mended_are_known_as_they_came(practice):
    """A check that is told its stub's fingerprint is told that of the lesson."""
    number = re.search(r"# (\d)\.", practice.cells[0].source)[1]
    folder = ROOT / "difflr" / "lessons" / LESSON_FOLDERS[f"Lesson {number}"]
    source = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    known = re.findall(r'stub="(\w+)"', source)
    text = "\n\n".join(cell.source for cell in practice.cells if cell.cell_type == "markdown")
    kinds = [kind for _, _, kind, _ in HEADING.findall(text)]
    found = []
    for cell, kind in zip(tagged(practice, "exercise"), kinds, strict=True):
        functions = [n for n in ast.parse(cell.source).body if isinstance(n, ast.FunctionDef)]
        if kind == "debug":
            found.append(fingerprint(ast.get_source_segment(cell.source, functions[-1])))
    assert found == known


def test_each_exercise_is_followed_by_its_check_and_folded_solution(practice):
    """Stub, check, solution come in this order; nobody sees a solution without unfolding it."""
    order = ("exercise", "check", "solution")
    tags = [cell.metadata.get("tags", []) for cell in practice.cells]
    roles = [next((role for role in order if role in cell), "") for cell in tags]
    assert [role for role in roles if role] == ["exercise", "check", "solution"] * roles.count(
        "exercise"
    )
    for cell in tagged(practice, "solution"):
        assert cell.source.startswith("<details><summary>Solution</summary>\n\n")
        assert cell.source.endswith("\n\n</details>")


def verdicts(notebook):
    """Return the texts that the check cells gave."""
    return [
        output["data"]["text/plain"]
        for cell in tagged(notebook, "check")
        for output in cell.outputs
        if "data" in output
    ]


def test_untouched_stubs_are_plainly_not_done(practice):
    """The committed verdicts (nbval holds them to what really comes out) call no exercise done."""
    texts = verdicts(practice)
    assert len(texts) == len(tagged(practice, "check"))
    for cell, text in zip(tagged(practice, "check"), texts, strict=True):
        assert "NBVAL_CHECK_OUTPUT" in cell.metadata["tags"]
        assert text.startswith(("○ not finished", "✗ not right yet"))
        assert re.search(r": 0 of \d done", text)


def test_derived_lessons_are_written_and_nothing_is_touched(tmp_path):
    """The command writes solved lessons, or lessons without solutions, and refuses its own folder."""
    before = {path: path.read_bytes() for path in HERE.glob("*.ipynb")}
    derive.main(["--solved", str(tmp_path / "s")])
    derive.main(["--without-solutions", str(tmp_path / "w")])
    with pytest.raises(SystemExit, match="2"):
        derive.main(["--solved", str(HERE)])
    assert {path: path.read_bytes() for path in HERE.glob("*.ipynb")} == before
    for path in before:
        hidden = nbformat.read(tmp_path / "w" / path.name, 4)
        assert not tagged(hidden, "solution")
        original = nbformat.read(path, 4)
        assert [c.source for c in tagged(hidden, "exercise")] == [
            c.source for c in tagged(original, "exercise")
        ]
        codes = [code for _, code in derive.exercises(original)]
        solved = nbformat.read(tmp_path / "s" / path.name, 4)
        assert [c.source for c in tagged(solved, "exercise")] == codes


def test_slides_hold_the_lesson_without_solutions(practice):
    """Every heading begins a slide, nothing of the text is lost, and no solution is shown."""
    made = slides.slides(practice)
    nbformat.validate(made)
    made.cells = [c for c in made.cells if "slides-style" not in c.metadata.get("tags", [])]
    shown = [c for c in made.cells if c.metadata["slideshow"]["slide_type"] != "skip"]
    assert not [c for c in shown if "solution" in c.metadata.get("tags", [])]
    for cell in shown:
        heads = re.findall(r"^#{1,3} ", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown":
            assert heads == heads[: cell.source.startswith("#")]
            assert (cell.metadata["slideshow"]["slide_type"] == "slide") == bool(heads)
    words = "".join(c.source for c in practice.cells).split()
    assert "".join(words) == "".join("".join(c.source for c in made.cells).split())
    outputs = [o for c in shown for o in c.get("outputs", [])]
    kept = [c for c in practice.cells if "check" not in c.metadata.get("tags", [])]
    assert outputs == [o for c in kept for o in c.get("outputs", [])]


def test_what_is_too_tall_for_one_slide_goes_on_the_next():
    """Paragraphs are cut apart, a picture leaves its code, and what belongs together stays together."""
    picture = nbformat.v4.new_output("display_data", {"image/png": "", "text/plain": ""})
    code = nbformat.v4.new_code_cell("x = 1\n" * 20, outputs=[picture])
    text = "## Title\n\n" + "word " * 700 + "\n\nThree things:\n\n- one\n- two\n\n" + "word " * 700
    made = slides.slides(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text), code])
    )
    found = [
        (c.metadata["slideshow"]["slide_type"], c.source[:12], bool(c.get("outputs")))
        for c in made.cells
    ]
    assert found == [
        ("slide", "## Title\n\nwo", False),
        ("-", "<style>\n.rev", False),
        ("subslide", "Three things", False),
        ("subslide", "word word wo", False),
        ("subslide", "x = 1\nx = 1\n", False),
        ("subslide", "", True),
    ]


def test_the_answer_key_has_every_exercise_with_its_code(practice):
    """On paper: heading, explanation, code, and nothing folded."""
    text = derive.key(practice)
    assert text.count("### Exercise") == len(tagged(practice, "exercise"))
    for _, code in derive.exercises(practice):
        assert code in text
    assert "<details>" not in text


MENTION = re.compile(
    r"(?:git\+https://github\.com|git clone https://github\.com|colab\.research\.google\.com/github)"
    r"/([\w-]+/[\w-]+)"
)


def mentions(root):
    """Return the addresses that stand in the texts: those to install, to clone, to open in Colab."""
    paths = {path for pattern in address.WHERE for path in root.glob(pattern)}
    return {path: found for path in paths if (found := MENTION.findall(path.read_text("utf-8")))}


def test_every_mention_of_the_address_is_that_of_pyproject():
    """README, set-up cells and badges name the repository that pyproject.toml names."""
    found = mentions(ROOT)
    assert {ROOT / "README.md", *LESSONS} <= set(found)
    assert {name for names in found.values() for name in names} == {address.current()}


def test_one_command_moves_the_repository(tmp_path):
    """On a copy: a fork's address replaces the old one everywhere, and can be replaced back."""
    for room in ("notebooks", "docs", "docs/howto"):
        (tmp_path / room).mkdir()
    for pattern in address.WHERE:
        for path in ROOT.glob(pattern):
            shutil.copy(path, tmp_path / path.relative_to(ROOT))
    old, before = address.current(), {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    changed = address.change("https://github.com/me/my-fork.git", tmp_path)
    assert address.current(tmp_path) == "me/my-fork"
    assert {name for names in mentions(tmp_path).values() for name in names} == {"me/my-fork"}
    assert "git clone https://github.com/me/my-fork && cd my-fork" in (
        tmp_path / "README.md"
    ).read_text("utf-8")
    assert not [p for p in changed if re.search(rf"github(\.com)?/{old}\b", p.read_text("utf-8"))]
    address.change(f"https://github.com/{old}", tmp_path)
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(ValueError, match="expected https"):
        address.change("git@github.com:me/fork", tmp_path)


def test_one_command_pins_the_lessons_to_a_release(tmp_path):
    """On a copy: set-up cells and links to Colab name the tag of pyproject's version, nothing else moves."""
    (tmp_path / "notebooks").mkdir()
    for path in (ROOT / "pyproject.toml", *LESSONS, *(p.with_suffix(".ipynb") for p in LESSONS)):
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    assert address.release(tmp_path) == []
    project = tmp_path / "pyproject.toml"
    own = f'version = "{difflr.__version__}"'
    assert own in project.read_text("utf-8")
    project.write_text(project.read_text("utf-8").replace(own, 'version = "12.3.4"', 1), "utf-8")
    assert len(address.release(tmp_path)) == 2 * len(LESSONS)
    for path in LESSONS:
        before, after = (p.read_text("utf-8") for p in (path, tmp_path / path.relative_to(ROOT)))
        assert after.count("12.3.4") == 3
        assert after.replace("12.3.4", difflr.__version__) == before


def test_spelling():
    """codespell knows no misspelt word in lessons, their checks and the texts for readers."""
    paths = [
        *HERE.glob("*.py"),
        *HERE.glob("*.md"),
        *ROOT.glob("*.md"),
        ROOT / "difflr" / "lessons",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", *paths], capture_output=True, text=True
    )
    assert not done.stdout
    assert done.returncode == 0, done.stderr
