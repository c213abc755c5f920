"""Keep Lightning's greeting and its advice out of what many short runs, or a lesson's cell, show."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet(*, all_warnings: bool = False) -> Iterator[None]:
    """Silence Lightning's log below errors and its warnings (``all_warnings``: those of others too)."""
    log = logging.getLogger("pytorch_lightning")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            if all_warnings:
                warnings.simplefilter("ignore")
            else:
                warnings.filterwarnings("ignore", module="pytorch_lightning")
            yield
    finally:
        log.setLevel(level)
