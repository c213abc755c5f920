"""A self-test: a few questions with explained answers, as a widget or as plain text."""

import html
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as w

from difflr.errors import DifflrError
from difflr.widgets import button, message_html

__all__ = ["Question", "Quiz"]

_CHOICE = re.compile(r"^- \[([ x])\] (.+)(?:\n  (.+))?$", re.MULTILINE)


@dataclass(frozen=True)
class Question:
    """A question, its choices, the index of the right one, and for each choice why (not)."""

    text: str
    choices: tuple[str, ...]
    answer: int
    why: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.why) != len(self.choices) or not 0 <= self.answer < len(self.choices):
            raise DifflrError(
                f"Received {len(self.choices)} choices, {len(self.why)} explanations and answer="
                f"{self.answer}.",
                "Give one explanation per choice, and the index of the right one.",
            )


class Quiz:
    """Questions with a button for each choice; the first try at each counts for the score.

    Displaying it again starts it anew and closes the widgets of before. Where no kernel is (GitHub,
    print), the questions and choices stand there as text, without the answers.
    """

    def __init__(self, title: str, questions: Sequence[Question]) -> None:
        self.title = title
        self.questions = tuple(questions)
        self.first: dict[int, bool] = {}
        self.choices: list[list[w.Button]] = []
        self.feedback: list[w.HTML] = []
        self.score: w.HTML | None = None
        self.widget: w.VBox | None = None

    @classmethod
    def read(cls, module: str | Path) -> "Quiz":
        """Return the quiz in ``quiz.md`` beside a lesson's module (``__file__``).

        A heading for it and for each question, choices below: items of a task list, ticked where they are
        right; the next line says why (not).
        """
        content = Path(module).with_name("quiz.md").read_text("utf-8")
        title, *parts = re.split(r"^##? ", content, flags=re.MULTILINE)[1:]
        questions = []
        for part in parts:
            text, _, below = part.partition("\n")
            marks, choices, why = zip(*_CHOICE.findall(below), strict=True)
            questions.append(Question(text, choices, "".join(marks).find("x"), why))
        return cls(title.strip(), questions)

    def __repr__(self) -> str:
        lines = [self.title]
        for number, question in enumerate(self.questions, 1):
            lines += ["", *_wrapped(f"{number}. ", question.text)]
            for choice in question.choices:
                lines += _wrapped("   ○ ", choice)
        return "\n".join([*lines, "", "Run this cell to answer."])

    def start(self) -> w.VBox:
        """Return the widget with no question answered."""
        self.close()
        self.first = {}
        self.score = w.HTML()
        self._count()
        blocks: list[w.Widget] = [w.HTML(f"<b>{html.escape(self.title)}</b>")]
        for index, question in enumerate(self.questions):
            text = f"<b>{index + 1}.</b> {html.escape(question.text)}"
            # Buttons, not radio buttons: JupyterLab takes the arrow keys that those need.
            buttons = [
                button(f"○ {choice}", f"Answer question {index + 1}") for choice in question.choices
            ]
            for chosen, each in enumerate(buttons):
                each.on_click(partial(self._answer, index, chosen))
            # Room for two lines, so that an answer moves none of the questions below.
            feedback = w.HTML(layout=w.Layout(min_height="40px", max_width="50em"))
            heading = w.HTML(f'<div style="font-size:15px;max-width:50em">{text}</div>')
            layout = w.Layout(align_items="flex-start", margin="0 0 10px 0")
            blocks.append(w.VBox([heading, *buttons, feedback], layout=layout))
            self.choices.append(buttons)
            self.feedback.append(feedback)
        self.widget = w.VBox([*blocks, self.score])
        return self.widget

    def close(self) -> None:
        """Close all widgets, so that none is left behind in kernel and browser."""
        if self.widget is not None:
            _close(self.widget)
        self.widget = self.score = None
        self.choices, self.feedback = [], []

    def _answer(self, index: int, chosen: int, pressed: w.Button) -> None:
        question = self.questions[index]
        right = chosen == question.answer
        self.first.setdefault(index, right)
        pressed.button_style = "success" if right else "danger"
        pressed.description = f"{'✓' if right else '✗'} {question.choices[chosen]}"
        opening = "Right. " if right else "Not this one. "
        self.feedback[index].value = message_html(opening + question.why[chosen], good=right)
        self._count()

    def _count(self) -> None:
        done, n = len(self.first), len(self.questions)
        text = f"{done} of {n} answered"
        if done == n:
            text = f"Finished: {sum(self.first.values())} of {n} right at the first try"
        if self.score is not None:
            self.score.value = f'<div role="status" aria-live="polite"><b>{text}</b></div>'

    def _ipython_display_(self, **_: Any) -> None:
        from IPython.display import display

        view = {"version_major": 2, "version_minor": 0, "model_id": self.start().model_id}
        data = {"text/plain": repr(self), "application/vnd.jupyter.widget-view+json": view}
        display(data, raw=True)


def _close(widget: w.Widget) -> None:
    for child in getattr(widget, "children", ()):
        _close(child)
    for part in ("layout", "style"):  # widgets of their own, which close() leaves behind
        if hasattr(widget, part):
            getattr(widget, part).close()
    widget.close()


def _wrapped(mark: str, text: str) -> list[str]:
    return textwrap.wrap(text, 88, initial_indent=mark, subsequent_indent=" " * len(mark))
