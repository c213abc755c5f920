"""The command line: ``difflr COMMAND``."""

from difflr.cli.main import main

__all__ = ["main"]
