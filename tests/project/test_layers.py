"""The layers that CONTRIBUTING.md draws are those that import-linter holds."""

import ast
import importlib
import re
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 has it")

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]
(CONTRACT,) = (c for c in CONTRACTS if c["type"] == "layers")
_DEFINES = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
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


def test_every_module_says_what_is_public():
    """``__all__`` is written out and holds what is there; what defines nothing needs none."""
    for path in sorted((ROOT / "difflr").rglob("*.py")):
        nodes = ast.parse(path.read_text("utf-8")).body
        if path.name == "__main__.py" or not any(isinstance(node, _DEFINES) for node in nodes):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        module = importlib.import_module(name)
        assert "__all__" in vars(module), name
        assert [public for public in module.__all__ if not hasattr(module, public)] == [], name


def test_the_core_can_be_read_in_a_sitting():
    """As CONTRIBUTING.md promises: what is added to it has to be worth as many lines elsewhere."""
    assert "fewer than 1,800 lines" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    core = (ROOT / "difflr").glob("*.py")
    assert sum(len(path.read_text("utf-8").splitlines()) for path in core) < 1800
