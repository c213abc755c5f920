"""Checks of exercises: an answer is tried out, and a verdict says what to do next."""

import traceback
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from difflr.errors import DifflrError, short_repr
from difflr.lessons.feedback import Feedback
from difflr.lessons.stubs import is_unfinished

__all__ = ["Lesson", "Unfinished", "Wrong", "called"]

_PACKAGE = str(Path(__file__).parents[1])
_STANDARD = str(Path(traceback.__file__).parent)


class Wrong(Exception):
    """An answer that is not right yet: the misconception that it shows, and hints in steps.

    The first hint is shown at once; each further attempt with the same misconception shows the
    next. The last should nearly give the answer.
    """

    def __init__(self, misconception: str, *hints: str) -> None:
        super().__init__(misconception, *hints)
        self.misconception = misconception
        self.hints = hints


class Unfinished(Exception):
    """An answer that nobody has begun."""


class Lesson:
    """The exercises of one lesson and how far the learner has got with them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._titles: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._attempts: Counter[tuple[str, str]] = Counter()

    def exercise(
        self, number: str, title: str
    ) -> Callable[[Callable[..., str]], Callable[..., Feedback]]:
        """Make a check of a function that raises ``Wrong`` or returns what there is to say when right.

        The check never raises: what goes wrong in the learner's code becomes part of the verdict.
        It runs from a fixed seed and leaves the learner's random numbers alone.
        """

        def decorate(check: Callable[..., str]) -> Callable[..., Feedback]:
            self._titles[number] = title

            @wraps(check)
            def checked(*answers: Any) -> Feedback:
                state, message, hints, more = self._judge(number, check, answers)
                self._states[number] = state
                return Feedback(
                    state, f"Exercise {number}: {title}", message, hints, more, self.progress
                )

            return checked

        return decorate

    @property
    def progress(self) -> str:
        """How many exercises are done, and which."""
        done = [number for number in self._titles if self._states.get(number) == "done"]
        marks = " ".join(f"{number} {'✓' if number in done else '○'}" for number in self._titles)
        return f"{self.name}: {len(done)} of {len(self._titles)} done ({marks})"

    def reset(self) -> None:
        """Forget all attempts."""
        self._states.clear()
        self._attempts.clear()

    def _judge(
        self, number: str, check: Callable[..., str], answers: tuple[Any, ...]
    ) -> tuple[str, str, tuple[str, ...], int]:
        try:
            if not answers or any(map(is_unfinished, answers)):
                raise Unfinished
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return "done", check(*answers), (), 0
        except Unfinished:
            return "unfinished", "Replace `...` above by your answer, then run this cell.", (), 0
        except Wrong as error:
            wrong = error
        except Exception as error:
            wrong = _explained(error)
        self._attempts[number, wrong.misconception] += 1
        seen = self._attempts[number, wrong.misconception]
        more = max(len(wrong.hints) - seen, 0)
        return "wrong", wrong.misconception, wrong.hints[:seen], more


def called(function: Any, *arguments: Any) -> Any:
    """Return what the learner's function returns, or say that it is none or returns nothing."""
    if not callable(function):
        raise Wrong(
            f"Received {short_repr(function)}, expected a function.",
            "Pass the function itself, without calling it: `check(cut)`, not `check(cut(…))`.",
        )
    result = function(*arguments)
    if is_unfinished(result):
        raise Unfinished
    if result is None:
        raise Wrong(
            "The function gives nothing back.",
            "Without a `return` a Python function returns `None`. End yours with `return …`.",
        )
    return result


def _explained(error: Exception) -> Wrong:
    """Say kindly where the learner's code stopped; our own frames are nobody's business."""
    text = " ".join(str(error).split())
    kind = text if isinstance(error, DifflrError) else f"{type(error).__name__}: {text}"
    kind = kind if len(kind) <= 400 else kind[:399] + "…"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _learners(frame)]
    if own:
        line = f": `{own[-1].line}`" if own[-1].line else ""
        return Wrong(f"Your code stops in line {own[-1].lineno} of its cell{line}", kind)
    return Wrong("This answer cannot be tried out.", kind)


def _learners(frame: traceback.FrameSummary) -> bool:
    libraries = (_PACKAGE, _STANDARD, "<frozen")
    return not frame.filename.startswith(libraries) and "site-packages" not in frame.filename
