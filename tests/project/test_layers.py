"""The layers that CONTRIBUTING.md draws are those that import-linter holds."""

import re
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 has it")

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]
LAYERS = next(c["layers"] for c in CONTRACTS if c["type"] == "layers")


def test_the_diagram_shows_the_contract():
    """Every layer in its order, and the core below them all."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (diagram,) = re.findall(r"^```\n(cli .*?)^```", text, re.MULTILINE | re.DOTALL)
    assert [line.split()[0] for line in diagram.splitlines()] == [*LAYERS, "core"]


def test_no_room_is_left_out():
    """Every folder of the package is a layer, and the core is held apart from each of them."""
    assert {path.parent.name for path in ROOT.glob("difflr/*/__init__.py")} == set(LAYERS)
    (apart,) = (c for c in CONTRACTS if c["type"] == "protected")
    rooms = [f"difflr.{layer}" for layer in LAYERS]
    assert apart["protected_modules"] == apart["allowed_importers"] == rooms
