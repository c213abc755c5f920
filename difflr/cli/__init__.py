"""The command line: ``difflr COMMAND``."""

from difflr.cli.command import main

__all__ = ["main"]
