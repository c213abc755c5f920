"""Self-tests: what is shown, counted and left behind; and the questions of every lesson."""

import re
from importlib import import_module

import ipywidgets
import pytest
from ipywidgets.widgets import widget as registry

from difflr.errors import DifflrError
from difflr.lessons.progress import LESSONS
from difflr.lessons.quiz import Question, Quiz


def live():
    """Return how many widgets there are (ipywidgets 7 and 8 keep them in different places)."""
    old = vars(ipywidgets.Widget).get("widgets")
    return len(getattr(registry, "_instances", old) or ())


@pytest.fixture
def quiz():
    """Two questions."""
    quiz = Quiz(
        "Self-test",
        [
            Question("1 + 1 < 3?", ("yes", "no", "<b>"), 0, ("It is 2.", "Count.", "No.")),
            Question("2 + 2?", ("3", "4"), 1, ("One more.", "As it must be.")),
        ],
    )
    quiz.start()
    yield quiz
    quiz.close()


def pick(quiz, question, choice):
    """Press a choice; return what is said."""
    quiz.choices[question][choice].click()
    return quiz.feedback[question].value


def test_nothing_is_answered_before_the_learner_answers(quiz):
    """No choice stands out, nothing is explained, nothing is counted."""
    assert {b.button_style for row in quiz.choices for b in row} == {""}
    assert [b.description for b in quiz.choices[1]] == ["○ 3", "○ 4"]
    assert {f.value for f in quiz.feedback} == {""}
    assert "0 of 2 answered" in quiz.score.value


def test_each_choice_is_explained_and_the_first_try_counts(quiz):
    """A wrong choice is marked and says why; the right one afterwards does not mend the score."""
    assert "Not this one. Count." in pick(quiz, 0, 1)
    assert "Right. It is 2." in pick(quiz, 0, 0)
    assert [b.description for b in quiz.choices[0]] == ["✓ yes", "✗ no", "○ <b>"]
    assert "1 of 2 answered" in quiz.score.value
    assert "As it must be." in pick(quiz, 1, 1)
    assert "1 of 2 right at the first try" in quiz.score.value


@pytest.mark.parametrize(("ink", "paper"), [(33, 255), (224, 17)])  # light and dark
def test_explanations_can_be_read_in_every_theme(quiz, ink, paper):
    """Right or wrong, the ink is the theme's, and stands out against the tinted paper (WCAG: 4.5)."""

    def luminance(parts):
        parts = [part / 255 for part in parts]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for choice in (0, 1):
        style = pick(quiz, 0, choice)
        assert not re.search(r'[";]color:', style)
        *tint, share = map(float, re.search(r"background:rgba\((.*?)\)", style)[1].split(","))
        shown = luminance([share * t + (1 - share) * paper for t in tint])
        low, high = sorted([shown, luminance([ink] * 3)])
        assert (high + 0.05) / (low + 0.05) > 4.5


def test_a_quiz_shown_again_starts_anew_and_leaves_nothing_behind(quiz):
    """However often its cell runs, one set of widgets lives; closed, none does."""
    pick(quiz, 0, 0)
    before = live()
    for _ in range(3):
        quiz.start()
    assert live() == before
    assert "0 of 2 answered" in quiz.score.value
    quiz.close()
    assert live() < before - 10
    first = live()
    quiz.start()
    quiz.close()
    assert live() == first


def test_without_a_kernel_the_questions_are_text_without_answers(quiz, monkeypatch):
    """The output holds text beside the widget, with every choice and no explanation."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    quiz._ipython_display_()
    (data,) = shown
    assert set(data) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    for text in ("1 + 1 < 3?", "○ yes", "○ no", "○ 4"):
        assert text in data["text/plain"]
    assert "It is 2." not in data["text/plain"]


def test_questions_are_no_markup(quiz):
    """A question with < in it is shown as it is written."""
    html = [child.value for child in quiz.widget.children[1].children[:1]]
    assert "1 + 1 &lt; 3?" in html[0]


def test_questions_that_do_not_add_up_are_refused():
    """Each choice needs an explanation, and the answer must be one of them."""
    with pytest.raises(DifflrError, match="explanation"):
        Question("?", ("a", "b"), 0, ("why",))
    with pytest.raises(DifflrError, match="answer=2"):
        Question("?", ("a", "b"), 2, ("why", "why"))


@pytest.mark.parametrize("name", LESSONS.values())
def test_every_lessons_quiz_is_well_made(name):
    """Five questions; choices that fit a line; the right one is not always in the same place."""
    questions = import_module(f"difflr.lessons.{name}").quiz.questions
    assert len(questions) == 5
    assert len({question.answer for question in questions}) >= 2
    for question in questions:
        assert 3 <= len(question.choices) <= 5
        assert len(set(question.choices)) == len(question.choices)
        assert all(len(choice) <= 75 for choice in question.choices), "a button has one line"
        assert all(10 <= len(why) <= 120 for why in question.why), "there is room for two lines"
        assert "`" not in question.text + "".join(question.choices + question.why), "plain text"


def test_a_quiz_is_read_from_markdown(tmp_path):
    """Title, question, choices in their order, which is ticked, and why; none ticked is refused."""
    file = tmp_path / "quiz.md"
    text = "# Sums\n\n## 2 + 2?\n\n- [ ] 3\n  One more.\n- [x] 4 - [0]\n  As it must be.\n"
    file.write_text(text, "utf-8")
    quiz = Quiz.read(file)
    assert quiz.title == "Sums"
    assert quiz.questions == (
        Question("2 + 2?", ("3", "4 - [0]"), 1, ("One more.", "As it must be.")),
    )
    file.write_text(text.replace("[x]", "[ ]"), "utf-8")
    with pytest.raises(DifflrError, match="answer=-1"):
        Quiz.read(file)
