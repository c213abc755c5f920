"""Which answers nobody has begun: what is or holds ``...``, functions that do nothing or are as they came."""

import dis
import hashlib
import inspect
import io
import textwrap
import tokenize
from types import FunctionType
from typing import Any

__all__ = ["fingerprint", "is_unfinished"]

# Tokens that no one means: comments, and how the lines are broken. What is indented means something.
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE}
_BLOCK = {tokenize.INDENT: "<indent>", tokenize.DEDENT: "<dedent>"}  # however wide

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


def fingerprint(function: Any) -> str:
    """Return 12 digits of a hash of a function's source, or of this text.

    Comments and line breaks are left out; what is indented counts, and how far does not. It tells
    whether a function to be mended was touched at all, and nothing of what it does. Empty for what
    has no source.
    """
    try:
        source = function if isinstance(function, str) else inspect.getsource(function)
        tokens = [*tokenize.generate_tokens(io.StringIO(textwrap.dedent(source)).readline)]
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):
        return ""
    words = " ".join(_BLOCK.get(t.type, t.string) for t in tokens if t.type not in _LAYOUT)
    return hashlib.sha256(words.encode()).hexdigest()[:12]
