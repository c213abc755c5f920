"""What notebooks of before import from here; it is at home in ``difflr.runs.statistics``."""

from difflr.runs.statistics import format_estimate, paired, summarise

__all__ = ["format_estimate", "paired", "summarise"]
