"""Verdicts on exercises: what they say, what they hold back, and that they never raise."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from difflr.cli import main
from difflr.errors import DifflrError
from difflr.lessons.checking import Lesson, NotAnswered, Wrong, called, tried
from difflr.lessons.feedback import Feedback
from difflr.lessons.plain import number, plain
from difflr.lessons.progress import FILE, LESSONS, progress, read
from difflr.lessons.stubs import fingerprint, is_unfinished


@pytest.fixture
def lesson():
    """A lesson with two exercises: a function that doubles, and the number 7."""
    lesson = Lesson("Lesson 0")

    @lesson.exercise("0.1", "Double")
    def check_double(double):
        if called(double, 3) == 3:
            raise Wrong("You give back what you got.", "Multiply.", "By 2.", "Write `2 * x`.")
        if called(double, 3) != 6:
            raise Wrong("That is not twice.", "Try it with 3.")
        return "Twice 3 is 6."

    @lesson.exercise("0.2", "Seven")
    def check_seven(number):
        if number != 7:
            raise Wrong("It is 7.")
        return ""

    lesson.double, lesson.seven = check_double, check_seven
    return lesson


def empty(x): ...  # noqa: D103 (a docstring is the next case)


def with_docstring(x):
    """Say what it will do."""


def returns_dots(x):  # noqa: D103
    return ...


@pytest.mark.parametrize(
    "stub",
    [..., [1, ...], {"a": {"b": (..., 2)}}, empty, with_docstring, returns_dots, lambda x: ...],
    ids=lambda stub: getattr(stub, "__name__", str(stub)),  # no addresses: workers compare names
)
def test_what_nobody_has_begun_is_unfinished(lesson, stub):
    """Dots, dots within, and functions without a body are not wrong, and take no attempt."""
    verdict = lesson.double(stub)
    assert (verdict.state, verdict.hints, verdict.done) == ("unfinished", (), False)


def test_an_answer_begun_is_not_unfinished():
    """A function that does something, even too little, is an attempt; so is an empty list."""
    answers = [lambda x: x, lambda x: 3, lambda x: print(x), None, [], {}, 0, "...", torch.ones(3)]
    assert not any(map(is_unfinished, answers))


def test_dots_found_only_by_running_are_unfinished(lesson):
    """A function that computes and then returns the dots of its stub is unfinished."""
    assert lesson.double(lambda x: [x + 1, ...]).state == "unfinished"


def test_hints_come_in_steps(lesson):
    """Each further attempt with one misconception shows one hint more; another starts anew."""
    seen = [lesson.double(lambda x: x) for _ in range(4)]
    assert [len(v.hints) for v in seen] == [1, 2, 3, 3]
    assert [v.more for v in seen] == [2, 1, 0, 0]
    assert "run the check again: 2 more" in repr(seen[0])
    assert "`2 * x`" not in repr(seen[1])
    assert "`2 * x`" in repr(seen[2])
    assert lesson.double(lambda x: 5 * x).hints == ("Try it with 3.",)
    lesson.reset()
    assert len(lesson.double(lambda x: x).hints) == 1


def test_progress_counts_what_is_done_now(lesson):
    """Each verdict ends with the lesson's progress; an answer broken again is no longer done."""
    assert lesson.double(lambda x: 2 * x).progress == "Lesson 0: 1 of 2 done (0.1 ✓ 0.2 ○)"
    assert repr(lesson.seven(7)).endswith("Lesson 0: 2 of 2 done (0.1 ✓ 0.2 ✓)")
    assert lesson.double(lambda x: x).progress == "Lesson 0: 1 of 2 done (0.1 ○ 0.2 ✓)"


def test_states_differ_in_sign_word_and_colour(lesson):
    """Nobody has to see colours: sign and word differ too, in the text and in the HTML."""
    verdicts = [lesson.double(f) for f in (empty, lambda x: x, lambda x: 2 * x)]
    starts = [repr(v).split(" |")[0] for v in verdicts]
    assert starts == ["○ not finished", "✗ not right yet", "✓ done"]
    for verdict, start in zip(verdicts, starts, strict=True):
        assert start in verdict._repr_html_()
    assert len({v._repr_html_().split("background:")[1][:7] for v in verdicts}) == 3


def breaks(x):
    """Fail for 3 in the third line."""
    if x == 3:
        return [][x]  # the learner's mistake
    return x


def refused(x):
    """Fail as difflr does."""
    raise DifflrError("Received 3, expected 4.", "Pass 4.")


def endless(x):
    """Never come to an end."""
    return endless(x)


def test_errors_in_the_learners_code_are_told_with_their_line(lesson):
    """The verdict names the line and the error, and shows none of difflr's own frames."""
    text = repr(lesson.double(breaks))
    line = breaks.__code__.co_firstlineno + 3
    assert f"line {line}" in text
    assert "return [][x]" in text
    assert "IndexError: list index out of range" in text
    assert "Traceback" not in text
    assert "checking.py" not in text
    assert "Received 3, expected 4. Pass 4." in repr(lesson.double(refused))
    assert "RecursionError" in repr(lesson.double(endless))


@pytest.mark.parametrize(
    "junk", [None, 3, "double", [], {}, object(), int, lambda: 6, torch.ones(2)]
)
def test_no_answer_makes_a_check_raise(lesson, junk):
    """Whatever is passed, there is a verdict, and it is not done."""
    assert lesson.double(junk).state == "wrong"
    assert lesson.double().state == "unfinished"
    assert lesson.double(junk, junk).state == "wrong"


def test_text_of_learners_is_no_markup(lesson):
    """An error's text cannot put markup into the page; `code` is shown as code."""
    verdict = lesson.double(lambda x: {}["<img src=x>`a`"])
    assert "<img" not in verdict._repr_html_()
    assert "<code" in verdict._repr_html_()


def test_code_and_stress_are_shown_as_such():
    """`code` and *stress* lose their signs in a notebook; other asterisks are left alone."""
    text = "Not *once per split*, but `a * b`: f(*args, **more), 2 * 3 * 4, *list and x*y*z."
    shown = Feedback("wrong", "1.1", text, (text,), 0, "")._repr_html_()
    assert shown.count("<em>once per split</em>") == 2
    assert shown.count("a * b</code>: f(*args, **more), 2 * 3 * 4, *list and x*y*z.") == 2
    assert text in repr(Feedback("wrong", "1.1", text, (), 0, ""))


def test_checks_leave_random_numbers_alone_and_repeat(lesson):
    """A check sees the same random numbers each time, and the learner's go on as without it."""
    drawn = []

    def draw(x):
        drawn.append(torch.rand(1).item())
        return 2 * x

    torch.manual_seed(5)
    random.seed(5)
    expected = torch.rand(2)[1]
    torch.manual_seed(5)
    torch.rand(1)
    lesson.double(draw)
    lesson.double(draw)
    assert torch.rand(1) == expected
    assert len(drawn) == 4
    assert drawn[:2] == drawn[2:]


def test_called_says_what_is_missing():
    """No function, and nothing returned, have words of their own."""
    with pytest.raises(Wrong, match="expected a function"):
        called(3, 1)
    with pytest.raises(Wrong, match="gives nothing back"):
        called(lambda x: None if x else 0, 1)
    with pytest.raises(NotAnswered):
        called(returns_dots, 1)


def bug(x):
    """A function to be mended."""
    return x  # as it came


def test_a_function_to_be_mended_is_not_tried_until_it_is_touched(lesson):
    """As it came it shows no diagnosis and takes no hint; a comment or a blank line changes nothing."""
    tries = []

    @lesson.exercise("0.3", "Mend", stub=fingerprint(bug))
    def check_bug(function):
        tries.append(function)
        raise Wrong("Still wrong.", "One.", "Two.")

    assert [check_bug(bug).state for _ in range(3)] == ["unfinished"] * 3
    assert not tries
    assert "as it came" in check_bug(bug).message
    assert check_bug(lambda x: x + 1).hints == ("One.",)
    text = 'def bug(x):\n\n    """A function to be mended."""\n    # hm\n    return x\n'
    assert (
        fingerprint(text) == fingerprint(bug) != fingerprint(text.replace("return x", "return 2"))
    )
    loop = "def f(x):\n    for _ in x:\n        x = 1\n        return x\n"
    assert fingerprint(loop.replace("    ", "  ")) == fingerprint(loop)
    assert fingerprint(loop) != fingerprint(loop.replace("        return", "    return"))
    assert fingerprint(3) == fingerprint(len) == ""


def test_answers_are_data_in_whatever_type_they_come():
    """Arrays, scalars and iterators become lists and numbers; parameters and objects stay."""
    weight = torch.nn.Parameter(torch.zeros(2))
    assert plain({"a": np.bool_(True), "b": torch.tensor(2)}) == {"a": True, "b": 2}
    assert plain(np.array([(1, 2), (3, 4)])) == [[1, 2], [3, 4]]
    assert plain(filter(None, (0, 1))) == plain(x for x in [1]) == [1]
    assert plain([weight])[0] is weight
    assert plain(print) is print
    assert number(np.array([2.5])) == number(torch.tensor(2.5)) == number(np.float32(2.5)) == 2.5
    for no_number in ("1", True, None, [1, 2], np.bool_(True)):
        with pytest.raises(Wrong, match="expected a number"):
            number(no_number)


def test_what_is_handed_out_is_a_copy_and_its_change_is_named():
    """Lists and dictionaries stay as they are, however deep a function changes them."""
    given = {"a": [{"b": 1}]}
    with pytest.raises(Wrong, match="changes what it was given: a dictionary"):
        tried(lambda d: d["a"][0].update(b=2), given)
    with pytest.raises(Wrong, match="a list is no longer the same"):
        tried(lambda numbers: numbers.sort(), [2, 1])
    assert given == {"a": [{"b": 1}]}
    assert tried(lambda d: None, given) is None
    for kind, data in (("an array", np.zeros(2)), ("a tensor", torch.zeros(2)), ("a set", {0.0})):
        change = (lambda s: s.add(1)) if isinstance(data, set) else (lambda a: a.__iadd__(1))
        with pytest.raises(Wrong, match=f"{kind} is no longer the same"):
            tried(change, data)
        assert 1.0 not in data
        with pytest.raises(Wrong, match="a list is no longer the same"):  # within a list too
            tried(lambda each, change=change: change(each[0]), [data])
        assert tried(lambda a: None, data) is tried(lambda a: None, [data, math.nan]) is None
    not_a_number = {"a": np.array([math.nan]), "t": torch.tensor([math.nan])}
    assert tried(lambda d: None, not_a_number) is None
    assert called(lambda: {"a": (x for x in "bc")}) == {"a": ["b", "c"]}


def test_progress_outlives_the_kernel(lesson, tmp_path):
    """Another kernel finds what was done; what was tried and is wrong now is not done; reset forgets."""
    lesson.seven(7)
    lesson.double(lambda x: x)
    lesson._states.clear()  # a new kernel
    assert lesson.progress == "Lesson 0: 1 of 2 done (0.1 ○ 0.2 ✓)"
    assert lesson.seven(...).progress.endswith("0.2 ✓)")
    assert lesson.seven(8).progress.endswith("0.2 ○)")
    lesson.seven(7)
    (tmp_path / FILE).write_text("{", "utf-8")
    lesson._states.clear()
    assert lesson.progress.startswith("Lesson 0: 0 of 2")
    assert lesson.seven(7).progress.startswith("Lesson 0: 1 of 2")
    lesson.reset()
    assert lesson.progress.startswith("Lesson 0: 0 of 2")


def test_two_notebooks_at_once_lose_no_attempt_of_each_other(tmp_path):
    """Each waits until the other has written what it read."""
    code = "from difflr.lessons.progress import note\nfor _ in range(60): note('Lesson 0', '{}', 'x', True)"
    both = [subprocess.Popen([sys.executable, "-c", code.format(n)], cwd=tmp_path) for n in "12"]
    assert [each.wait() for each in both] == [0, 0]
    found = read(tmp_path / FILE)["Lesson 0"]
    assert {number: own["tries"] for number, own in found.items()} == {"1": 60, "2": 60}


@pytest.mark.parametrize("folder", ["{}/file", "~nobody/here"])
def test_a_folder_that_cannot_be_written_stops_nothing(lesson, monkeypatch, tmp_path, folder):
    """Progress is then that of this kernel."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIFFLR_PROGRESS", folder.format(tmp_path))
    assert lesson.seven(7).done
    assert lesson.progress.startswith("Lesson 0: 1 of 2")


def test_a_folder_for_progress_that_is_missing_is_made(lesson, monkeypatch, tmp_path):
    """What was done is kept there, and nothing beside it."""
    monkeypatch.setenv("DIFFLR_PROGRESS", str(tmp_path / "kept" / "here"))
    lesson.seven(7)
    lesson._states.clear()  # a new kernel
    assert lesson.progress.startswith("Lesson 0: 1 of 2")
    assert [path.name for path in (tmp_path / "kept" / "here").iterdir()] == [FILE]


def test_progress_over_all_lessons_and_over_a_class(tmp_path, monkeypatch, capsys):
    """A learner sees all lessons; `difflr progress FOLDER` has a row for each learner."""
    from difflr.lessons.splits import check_prediction

    for name, answers in {"ann": ["layer4", "layer1"], "ben": ["layer4", "layer4"]}.items():
        home = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("DIFFLR_PROGRESS", str(home))
        check_prediction(dict(zip(("parameters", "operations"), answers, strict=True)))
    assert "0 of 33 exercises done" in repr(progress())
    monkeypatch.setenv("DIFFLR_PROGRESS", str(tmp_path / "ann"))
    shown = repr(progress()).splitlines()
    assert shown[0].startswith("1 of 33 exercises done")
    assert shown[1] == "Lesson 1: 1 of 4 done (1.1 ✓ 1.2 ○ 1.3 ○ 1.4 ○)"
    assert len(shown) == 1 + len(LESSONS)
    assert main(["progress", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["ann", "1/4", *["0/4"] * 6, "0/5", "1"]
    assert lines[2].split()[:2] == ["ben", "0/4"]
    assert next(line for line in lines if line.startswith("1.1")).split()[1:3] == ["1", "1.0"]
    (tmp_path / "ben" / "notes.json").write_text("[]", "utf-8")
    assert main(["progress", str(tmp_path)]) == 2
    assert main(["progress", str(tmp_path / "nobody")]) == 2
