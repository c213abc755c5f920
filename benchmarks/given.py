"""What the parts of ``make bench`` are given: their command line, the pictures and the network."""

import argparse
import logging
import warnings

from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images
from difflr.studies.design import Task
from difflr.studies.material import load_parts, load_start

__all__ = ["command_line", "pictures", "start"]


def command_line(doc: str, *, rounds: int = 5, count: int = 512) -> argparse.ArgumentParser:
    """Return the parser that all parts share; Lightning's greetings are silenced for them."""
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    job = argparse.ArgumentParser(description=doc.partition("\n")[0])
    job.add_argument("--data", required=True, help="folder with train/<class>/ and test/<class>/")
    job.add_argument("--weights", required=True, help="of a ResNet-18")
    job.add_argument("--pictures", type=int, default=count, help=f"default: {count}")
    job.add_argument("--rounds", type=int, default=rounds, help=f"default: {rounds}")
    job.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    return job


def _task(arguments: argparse.Namespace) -> Task:
    return Task(arguments.data, "resnet18", arguments.weights, source=None)


def pictures(arguments: argparse.Namespace) -> Images:
    """Return as many training pictures as the command line asks for (at most all)."""
    pool = load_parts(_task(arguments)).pool
    return pool.subset(min(arguments.pictures, len(pool)), seed=0)


def start(arguments: argparse.Namespace) -> Backbone:
    """Return the pre-trained network."""
    return load_start(_task(arguments))
