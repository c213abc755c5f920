"""Keep Lightning's greeting and its advice out of what many short runs, or a lesson's cell, show."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]

_PACKAGES = ("pytorch_lightning", "lightning.pytorch")


@contextmanager
def quiet(*, all_warnings: bool = False) -> Iterator[None]:
    """Silence Lightning's log below errors and its warnings (``all_warnings``: those of others too)."""
    levels = {log: log.level for log in map(logging.getLogger, _PACKAGES)}
    for log in levels:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            if all_warnings:
                warnings.simplefilter("ignore")
            else:
                for package in _PACKAGES:
                    warnings.filterwarnings("ignore", module=package)
            yield
    finally:
        for log, level in levels.items():
            log.setLevel(level)
