"""Verdicts on exercises: what they say, what they hold back, and that they never raise."""

import random

import pytest
import torch

from difflr.errors import DifflrError
from difflr.lessons.checking import Lesson, Unfinished, Wrong, called
from difflr.lessons.feedback import Feedback
from difflr.lessons.stubs import is_unfinished


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
    with pytest.raises(Unfinished):
        called(returns_dots, 1)
