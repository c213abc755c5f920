"""Which answers nobody has begun: what is or holds ``...``, and functions that do nothing."""

import dis
from types import FunctionType
from typing import Any

__all__ = ["is_unfinished"]

# All that a function does whose body is `...`, `pass`, `return ...` or a docstring.
_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "POP_TOP"}


def is_unfinished(answer: Any, depth: int = 4) -> bool:
    """Whether ``answer`` is ``...``, holds it (lists, dictionaries, …), or is a function left empty."""
    if answer is ...:
        return True
    if isinstance(answer, FunctionType):
        return _does_nothing(answer)
    if depth and isinstance(answer, dict):
        return any(is_unfinished(value, depth - 1) for value in answer.values())
    if depth and isinstance(answer, (list, tuple, set, frozenset)):
        return any(is_unfinished(value, depth - 1) for value in answer)
    return False


def _does_nothing(function: FunctionType) -> bool:
    # The compiled code, not the text: a comment or a docstring changes nothing.
    constants = [c for c in function.__code__.co_consts if c is not None and c is not ...]
    plain = [c for c in constants if c != function.__doc__]
    return not plain and {step.opname for step in dis.get_instructions(function)} <= _NOTHING
