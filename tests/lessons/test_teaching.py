"""The teachers' guide agrees with the lessons: minutes, exercises, schedules, commands."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import cheatsheet
import pytest
import timings
import torchvision

ROOT = Path(__file__).parents[2]
HERE = ROOT / "notebooks"
GUIDE = (HERE / "teaching.md").read_text("utf-8")

SCHEDULES = ("### 90 minutes", "### Three hours (180 minutes)", "### A full day (450 minutes)")


def rows(heading):
    """Return the cells of the first table below a heading, without its head."""
    below = GUIDE.split(f"{heading}\n", 1)[1]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def exercises():
    """Return the numbers of all exercises."""
    texts = (path.read_text("utf-8") for path in timings.lessons())
    return {number for text in texts for number in re.findall(r"### Exercise (\d\.\d)", text)}


def test_minutes_are_those_of_the_lessons_headers():
    """A lesson whose header changes must change the guide: run notebooks/timings.py."""
    table = rows(timings.BEGIN)
    assert [row[0] for row in table[:-1]] == [str(int(p.stem[:2])) for p in timings.lessons()]
    found = [(int(read), int(practice)) for _, _, read, practice, _ in table]
    expected = [timings.minutes(path) for path in timings.lessons()]
    assert found[:-1] == expected
    assert found[-1] == tuple(map(sum, zip(*expected, strict=True)))


def test_the_table_is_written_anew_and_keeps_what_was_measured(tmp_path, monkeypatch):
    """Minutes come from the headers, seconds stay until they are measured again."""
    copy = tmp_path / "teaching.md"
    wrong = re.sub(r"^(\| 1 \|[^|]*\|).*$", r"\1 99 | 99 | 7 |", GUIDE, count=1, flags=re.MULTILINE)
    copy.write_text(wrong, "utf-8")
    monkeypatch.setattr(timings, "TEACHING", copy)
    monkeypatch.setattr(timings, "state", lambda *stated: None)  # leaves the lessons alone
    timings.main([])
    read, practice = timings.minutes(timings.lessons()[1])
    assert f"| {read} | {practice} | 7 |" in copy.read_text("utf-8")
    monkeypatch.setattr(timings, "seconds", lambda script: 12.3)
    timings.main(["01"])
    assert f"| {read} | {practice} | 12 |" in copy.read_text("utf-8")
    assert copy.read_text("utf-8").count(timings.BEGIN) == 1
    assert copy.read_text("utf-8").split(timings.END)[1] == GUIDE.split(timings.END)[1]


def test_minutes_that_are_stated_are_those_that_are_computed():
    """To a minute, for a text that has just been mended: else run notebooks/timings.py."""
    measured = timings.known()
    for path in timings.lessons():
        stated = timings.minutes(path)[0]
        assert abs(stated - timings.computed(path, float(measured[path.stem[:2]]))) <= 1, path.stem


def test_no_lesson_takes_longer_than_45_minutes():
    """Self-test and exercises included, but for one that the lesson calls optional."""
    for path in timings.lessons():
        assert sum(timings.minutes(path)) <= 45, path.stem


def test_words_and_code_count_as_reading(tmp_path):
    """200 words or 15 lines are a minute; imports, assertions, solutions and sources are none."""

    def minutes(*cells):
        path = tmp_path / "00_x.py"
        path.write_text("\n\n".join(cells), "utf-8")
        return timings.computed(path, 0)

    text, code = "# %% [markdown]\n# " + "word " * 199, "# %%\n" + "a = 1\n" * 15
    assert minutes(text) == 1
    assert minutes(text, code, text) == 3
    assert minutes("# %% [markdown]\n# **Sources:** " + "word " * 500) == 0
    assert minutes('# %% [markdown] tags=["solution"]\n# ' + "word " * 500) == 0
    assert minutes("# %%\nimport os\n# why\nassert (\n    os\n)\n\n" * 9) == 0
    assert minutes("# %%\nquiz") == 3  # a line, and two minutes to answer


@pytest.mark.parametrize(
    ("heading", "minutes"),
    [
        ("### 90 minutes", 90),
        ("### Three hours (180 minutes)", 180),
        ("### A full day (450 minutes)", 450),
    ],
)
def test_schedules_last_as_long_as_they_say(heading, minutes):
    """The minutes add up, and no exercise that they name is unknown."""
    table = rows(heading)
    assert sum(int(row[0]) for row in table) == minutes
    named = set(re.findall(r"\b\d\.\d\b", " ".join(" ".join(row) for row in table)))
    assert named <= exercises()


def test_schedules_leave_time_for_what_they_keep():
    """Exercises that are kept fit into the minutes of their lesson; a whole lesson, reading too."""
    texts = "".join(path.read_text("utf-8") for path in timings.lessons())
    length = {n: int(m) for n, m in re.findall(r"### Exercise (\d\.\d) \(\w+, (\d+) minute", texts)}
    whole = {int(path.stem[:2]): sum(timings.minutes(path)) for path in timings.lessons()}
    for heading in (
        "### 90 minutes",
        "### Three hours (180 minutes)",
        "### A full day (450 minutes)",
    ):
        for minutes, what, _ in rows(heading):
            kept = re.findall(r"\b\d\.\d\b", what)
            alone = re.fullmatch(r"lesson (\d)( with the folder that it writes)?", what)
            need = whole[int(alone[1])] if alone else sum(length[number] for number in kept)
            assert need <= int(minutes), (heading, what)


def test_every_belief_has_a_question_and_an_exercise_that_meets_it():
    """Every lesson with exercises is there, and no exercise that is named is unknown."""
    table = rows("## What learners believe, and the question that shows it")
    known = exercises()
    for lesson, belief, question, exercise in table:
        assert exercise in known
        assert exercise[0] == lesson
        assert belief
        assert question.endswith("?")
    assert {row[0] for row in table} == {number[0] for number in known}


def test_files_commands_and_sums_that_are_named_exist():
    """What a teacher is told to run or to look for is there, and the check sum is torchvision's."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make (\w+)`", GUIDE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for script in re.findall(r"python (notebooks/\w+\.py)", GUIDE):
        assert (ROOT / script).exists()
    assert torchvision.datasets.CIFAR10.tgz_md5 in GUIDE
    assert torchvision.datasets.CIFAR10.filename in GUIDE
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)[1]
    assert f"difflr-{version}-py3-none-any.whl" in GUIDE


def test_the_lessons_are_handed_out_as_a_zip(tmp_path):
    """``git archive`` packs the repository, lessons included."""
    out = tmp_path / "difflr.zip"
    command = ["git", "archive", "--format=zip", f"--output={out}", "HEAD"]
    if subprocess.run(command, cwd=ROOT, capture_output=True).returncode:
        pytest.skip("This is no git repository (or there is no git).")
    assert "notebooks/00_start_here.ipynb" in zipfile.ZipFile(out).namelist()


def test_the_cheat_sheet_is_one_page_with_every_idea(tmp_path):
    """The command writes a PDF of one page; a section that grows too long is refused."""
    out = tmp_path / "sheet.pdf"
    command = [sys.executable, HERE / "cheatsheet.py", out]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    assert len(re.findall(rb"/Type /Page\b", out.read_bytes())) == 1
    section = GUIDE.split(cheatsheet.HEADING, 1)[1]
    titles = [title for title, _ in cheatsheet.ideas(GUIDE)]
    assert len(titles) == len(re.findall(r"^\*\*", section, re.MULTILINE)) >= 9
    with pytest.raises(ValueError, match="do not fit on one page"):
        cheatsheet.page(f"{GUIDE}\n**More.** " + "word " * 500)


def test_every_schedule_keeps_a_fifth_as_slack():
    """Questions and what does not start take time: the last row has it."""
    for heading in SCHEDULES:
        table = rows(heading)
        assert table[-1][1] == "slack"
        assert int(table[-1][0]) >= sum(int(row[0]) for row in table) / 5


def test_votes_say_that_their_distributions_are_estimated():
    """Percentages of each question make a hundred, and one answer is the right one."""
    below = GUIDE.split("## Questions for a vote", 1)[1]
    assert "**estimate**" in below
    for _, question, answers in rows("## Questions for a vote"):
        assert question
        assert sum(map(int, re.findall(r"(\d+)%", answers))) == 100
        assert answers.count("**") == 2
