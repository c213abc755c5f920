"""What the tests of all lessons share: right answers are taken, wrong ones named, junk does no harm."""

from types import ModuleType
from typing import ClassVar

import pytest

__all__ = ["Answers"]

#: Answers that are none: not what any exercise asks for, nor functions that return it.
JUNK = [
    None,
    3,
    "fc",
    [],
    {},
    [[]],
    (1, 2, 3),
    object(),
    int,
    lambda: 1,
    lambda n: n,
    lambda *a: 3,
    lambda *a: "x",
    lambda *a: [],
]


class Answers:
    """Answers to the exercises of one lesson. A subclass ``Test…`` has the tables, and gets the tests.

    ``right[name]`` and ``wrong[name]`` hold answers for ``check_<name>`` by what sets them apart; a wrong
    one comes with words of the misconception that it should meet. ``said[name]`` is in the verdict on
    every right answer. ``junk`` adds to the answers that are none.
    """

    lesson: ModuleType
    number: int
    right: ClassVar[dict] = {}
    wrong: ClassVar[dict] = {}
    said: ClassVar[dict] = {}
    junk: ClassVar[tuple] = ()

    def check(self, name, answer):
        """Return the verdict on an answer."""
        return getattr(self.lesson, f"check_{name}")(answer)

    @pytest.fixture(autouse=True)
    def _new(self):
        self.lesson.lesson.reset()

    @classmethod
    def checks(cls):
        """Return the names of the lesson's checks."""
        return [n.removeprefix("check_") for n in dir(cls.lesson) if n.startswith("check_")]

    @property
    def nothing_done(self):
        """The lesson's progress before anything is done."""
        count = len(self.checks())
        marks = " ".join(f"{self.number}.{i} ○" for i in range(1, count + 1))
        return f"Lesson {self.number}: 0 of {count} done ({marks})"

    def pytest_generate_tests(self, metafunc):
        """Give each test its part of the tables."""
        needed = metafunc.fixturenames
        if "answer" in needed:
            wrong = "misconception" in needed
            cases = {
                f"{name}: {what}": (name, *answer) if wrong else (name, answer)
                for name, table in (self.wrong if wrong else self.right).items()
                for what, answer in table.items()
            }
            arguments = ("name", "answer", "misconception") if wrong else ("name", "answer")
            metafunc.parametrize(arguments, cases.values(), ids=cases)
        elif "name" in needed:
            metafunc.parametrize("name", self.checks())
        if "junk" in needed:
            junk = [*JUNK, *self.junk]
            metafunc.parametrize("junk", junk, ids=range(len(junk)))

    def test_right_answers_are_taken(self, name, answer):
        """Whatever way leads to it, an answer that does what is asked is done."""
        verdict = self.check(name, answer)
        assert verdict.done, verdict
        assert self.said.get(name, "") in verdict.message, verdict

    def test_wrong_answers_are_named(self, name, answer, misconception):
        """A typical mistake meets its own misconception."""
        verdict = self.check(name, answer)
        assert verdict.state == "wrong", verdict
        assert misconception in verdict.message, verdict

    def test_junk_gets_a_verdict(self, name, junk):
        """No answer makes a check raise, and none of these is done."""
        verdict = self.check(name, junk)
        assert verdict.state == "wrong", verdict
        assert repr(verdict).endswith(self.nothing_done), verdict

    def test_a_stub_is_unfinished(self, name):
        """Dots where an answer belongs are neither right nor wrong."""
        verdict = self.check(name, ...)
        assert verdict.state == "unfinished", verdict
        assert repr(verdict).endswith(self.nothing_done), verdict
