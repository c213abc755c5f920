"""The verdict on an answer, as a notebook shows it: by colour, by sign and in words."""

import html
import re
from dataclasses import dataclass

__all__ = ["Feedback", "NotAnswered", "Wrong"]


class Wrong(Exception):
    """An answer that is not right yet: the misconception that it shows, and hints in steps.

    The first hint is shown at once; each further attempt with the same misconception shows the
    next. The last should nearly give the answer.
    """

    def __init__(self, misconception: str, *hints: str) -> None:
        super().__init__(misconception, *hints)
        self.misconception = misconception
        self.hints = hints


class NotAnswered(Exception):
    """An answer that nobody has begun."""


_LOOKS = {  # sign, word, edge, background
    "unfinished": ("○", "not finished", "#5f5f5f", "#f2f2f2"),
    "wrong": ("✗", "not right yet", "#9b0000", "#fdf0ef"),
    "done": ("✓", "done", "#1b5e20", "#eef7ee"),
}
_MARKS = re.compile(r"`([^`]+)`|(?<![\w*])\*(\w(?:[^*`]*\w)?)\*(?![\w*])")
_CODE = "background:none;color:inherit;font-weight:bold;padding:0"


@dataclass(frozen=True)
class Feedback:
    """What a check found. ``state`` is ``"unfinished"``, ``"wrong"`` or ``"done"``.

    ``hints`` are those to be shown now, ``more`` is the number of those still held back, and
    ``progress`` says how far the lesson is.
    """

    state: str
    exercise: str
    message: str
    hints: tuple[str, ...]
    more: int
    progress: str

    @property
    def done(self) -> bool:
        """Whether the answer is right."""
        return self.state == "done"

    def __repr__(self) -> str:
        sign, word, _, _ = _LOOKS[self.state]
        lines = [f"{sign} {word} | {self.exercise}", self.message]
        lines += [f"  Hint {number}: {hint}" for number, hint in enumerate(self.hints, 1)]
        return "\n".join([*lines, *self._more(), self.progress])

    def _repr_html_(self) -> str:
        sign, word, edge, paper = _LOOKS[self.state]
        hints = "".join(f"<li>{_marked(hint)}</li>" for hint in self.hints)
        lines = [
            f'<b style="color:{edge}">{sign} {word}</b> | {_marked(self.exercise)}',
            f"<br>{_marked(self.message)}",
            f'<ol style="margin:2px 0">{hints}</ol>' if hints else "",
            *(f"<small>{line}</small><br>" for line in self._more()),
            f"{'' if hints else '<br>'}<small>{_marked(self.progress)}</small>",
        ]
        # Its own colours for paper and ink, so that it reads the same in a dark theme.
        return (
            f'<div role="status" style="border-left:6px solid {edge};background:{paper};color:#111;'
            f'padding:6px 12px;max-width:56em;line-height:1.45">{"".join(lines)}</div>'
        )

    def _more(self) -> list[str]:
        if not self.more:
            return []
        return [f"If this does not help, run the check again: {self.more} more to come."]


def _marked(text: str) -> str:
    """Write `code` as code and *stress* as stress, and nothing else as markup."""

    def mark(found: re.Match[str]) -> str:
        return f'<code style="{_CODE}">{found[1]}</code>' if found[1] else f"<em>{found[2]}</em>"

    return _MARKS.sub(mark, html.escape(text))
