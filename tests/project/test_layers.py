"""The layers that CONTRIBUTING.md draws are those that import-linter holds."""

import re
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 has it")

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]
(CONTRACT,) = (c for c in CONTRACTS if c["type"] == "layers")
ROOMS = [path.parent.name for path in ROOT.glob("difflr/*/__init__.py")]


def test_the_diagram_shows_the_contract():
    """Every room in its order, the core between those that it knows nothing of and the one it stands on."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (diagram,) = re.findall(r"^```\n(cli .*?)^```", text, re.MULTILINE | re.DOTALL)
    layers = [layer if layer in ROOMS else "core" for layer in CONTRACT["layers"][:-1]]
    assert [line.split()[0] for line in diagram.splitlines()] == list(dict.fromkeys(layers))


def test_no_module_is_left_out():
    """import-linter refuses a module that is in no layer, but for the two of the package itself."""
    assert CONTRACT["exhaustive"] is True
    assert CONTRACT["exhaustive_ignores"] == ["__main__", "extras"]
    assert set(ROOMS) <= set(CONTRACT["layers"])
