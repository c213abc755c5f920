"""Checks of exercises: an answer is tried out, and a verdict says what to do next."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from difflr.errors import DifflrError
from difflr.lessons.feedback import Feedback, NotAnswered, Wrong
from difflr.lessons.plain import materialised, plain, same, torch_if_there, unexpected
from difflr.lessons.progress import forget, listed, note, read_kept
from difflr.lessons.stubs import fingerprint, is_unfinished

__all__ = ["Lesson", "NotAnswered", "Wrong", "called", "tried"]

_PACKAGE = str(Path(__file__).parents[1])
_STANDARD = str(Path(traceback.__file__).parent)
_COPIED = {  # what is handed out as a copy, how it is called, and how one works on a copy
    list: ("a list", "Work on a copy, `list(…)`; `sorted(…)` copies, `.sort()` does not."),
    dict: (
        "a dictionary",
        "Work on a copy, `copy.deepcopy(…)`; `dict(…)` copies its outside only.",
    ),
    set: ("a set", "Work on a copy, `set(…)`; `|` and `-` make new ones, `.add()` does not."),
    np.ndarray: (
        "an array",
        "Work on a copy, `.copy()`; `a = a + 1` makes a new one, `a += 1` does not.",
    ),
}
_TENSOR = ("a tensor", "Work on a copy, `.clone()`; methods that end in `_` work in place.")


class Lesson:
    """The exercises of one lesson and how far the learner has got with them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.titles: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._attempts: Counter[tuple[str, str]] = Counter()

    def exercise(
        self, number: str, title: str, *, stub: str = ""
    ) -> Callable[[Callable[..., str]], Callable[..., Feedback]]:
        """Make a check of a function that raises ``Wrong`` or returns what there is to say when right.

        The check never raises: what goes wrong in the learner's code becomes part of the verdict.
        It runs from a fixed seed and leaves the learner's random numbers alone. Answers that are
        data reach it as ``plain`` makes them.

        Args:
            number, title: of the exercise.
            stub: the ``fingerprint`` of a function to be mended; as it came it is not tried out.
        """

        def decorate(check: Callable[..., str]) -> Callable[..., Feedback]:
            self.titles[number] = title

            @wraps(check)
            def checked(*answers: Any) -> Feedback:
                state, message, hints, more = self._judge(number, stub, check, answers)
                self._states[number] = state
                if state != "unfinished":
                    note(self.name, number, title, state == "done")
                return Feedback(
                    state, f"Exercise {number}: {title}", message, hints, more, self.progress
                )

            return checked

        return decorate

    @property
    def progress(self) -> str:
        """How many exercises are done, and which; those of an earlier kernel too, from its file."""
        kept = read_kept().get(self.name, {})
        done = [
            number
            for number in self.titles
            if self._states.get(number) == "done"
            or (self._states.get(number) != "wrong" and kept.get(number, {}).get("done"))
        ]
        return listed(self.name, self.titles, done)

    def reset(self) -> None:
        """Forget all attempts, those in the file too."""
        forget(self.name)
        self._states.clear()
        self._attempts.clear()

    def _judge(
        self, number: str, stub: str, check: Callable[..., str], answers: tuple[Any, ...]
    ) -> tuple[str, str, tuple[str, ...], int]:
        if stub and answers and fingerprint(answers[0]) == stub:
            return "unfinished", "Not tried yet: the function above is as it came. Mend it.", (), 0
        try:
            answers = tuple(map(plain, answers))
            if not answers or any(map(is_unfinished, answers)):
                raise NotAnswered
            with _seeded():
                return "done", check(*answers), (), 0
        except NotAnswered:
            return "unfinished", "Replace `...` above by your answer, then run this cell.", (), 0
        except Wrong as error:
            wrong = error
        except Exception as error:
            wrong = _explained(error)
        self._attempts[number, wrong.misconception] += 1
        seen = self._attempts[number, wrong.misconception]
        more = max(len(wrong.hints) - seen, 0)
        return "wrong", wrong.misconception, wrong.hints[:seen], more


@contextmanager
def _seeded() -> Iterator[None]:
    """Let torch, where it is there, draw from a fixed seed, and give the learner's state back after it."""
    torch = torch_if_there()
    if not torch:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def tried(function: Any, *arguments: Any) -> Any:
    """Return what the learner's function returns, its iterators as lists; ``None`` may be right.

    Lists, dictionaries, sets, arrays and tensors are handed out as copies.

    Raises:
        Wrong: when ``function`` is none, or changes one of these that it was given.
        NotAnswered: when what it returns is or holds ``...``.
    """
    if not callable(function):
        hint = "Pass the function itself, without calling it: `check(cut)`, not `check(cut(…))`."
        raise unexpected(function, "a function", hint)
    torch = torch_if_there()
    copied = {**_COPIED, torch.Tensor: _TENSOR} if torch else _COPIED
    given = [deepcopy(each) if isinstance(each, tuple(copied)) else each for each in arguments]
    result = materialised(function(*given))
    for each, before in zip(given, arguments, strict=True):
        if isinstance(before, tuple(copied)) and not same(each, before):
            kind, hint = next(said for known, said in copied.items() if isinstance(before, known))
            raise Wrong(
                f"Your function changes what it was given: {kind} is no longer the same after the "
                "call. Whoever calls it twice gets something else.",
                hint,
            )
    if is_unfinished(result):
        raise NotAnswered
    return result


def called(function: Any, *arguments: Any) -> Any:
    """Return what the learner's function returns, as ``tried`` does, or say that it is nothing."""
    result = tried(function, *arguments)
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
    libraries = (_PACKAGE, _STANDARD, "<frozen", "<string>")  # the last: what dataclasses make
    return not frame.filename.startswith(libraries) and "site-packages" not in frame.filename
