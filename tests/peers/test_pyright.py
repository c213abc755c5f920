"""Editors check types with pyright, which knows a user's right code from mistakes as mypy does.

basedpyright is pyright as a Python package; it runs on the Node.js that comes with Playwright.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typed_user import RIGHT, WRONG

import difflr

pyright = pytest.importorskip("basedpyright", reason="tests/support/peers.sh installs it")
playwright = pytest.importorskip("playwright", reason="playwright is not installed")

MISTAKES = {"reportArgumentType", "reportAttributeAccessIssue", "reportCallIssue"}


def check(folder, code):
    """Return which rules of strict pyright each line breaks."""
    (folder / "user.py").write_text(code)
    settings = {
        "include": ["user.py"],
        "typeCheckingMode": "strict",
        "extraPaths": [str(Path(difflr.__file__).parents[1])],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    node, script = (
        Path(package.__file__).parent / file
        for package, file in ((playwright, "driver/node"), (pyright, "index.js"))
    )
    command = [node, script, "--project", folder, "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {}
    for one in json.loads(done.stdout)["generalDiagnostics"]:
        found.setdefault(one["range"]["start"]["line"] + 1, set()).add(one["rule"])
    return found


def test_right_code_is_accepted_and_each_mistake_is_reported(tmp_path):
    """In strict mode a user's module has no remark, and every mistake one that says what it is."""
    found = check(tmp_path, RIGHT + "\n".join(WRONG) + "\n")
    first = RIGHT.count("\n") + 1
    assert {line: rules for line, rules in found.items() if line < first} == {}
    for line, code in enumerate(WRONG, first):
        assert found.get(line, set()) & MISTAKES, code
