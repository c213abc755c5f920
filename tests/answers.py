"""Answers that are no answers, for the checks of the lessons."""

__all__ = ["JUNK"]

JUNK = [
    None,
    3,
    "fc",
    [],
    {},
    [[]],
    object(),
    lambda: 1,
    lambda n: 3,
    lambda n: [],
    lambda n: n,
    int,
]
