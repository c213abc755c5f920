"""What a type checker says to somebody who uses difflr: right code is accepted, mistakes are reported."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

from typed_user import RIGHT, WRONG

import difflr
from difflr.recipes import RECIPES, Recipe


def check(folder, code):
    """Return what mypy --strict says of the code, a line each."""
    file = folder / "user.py"
    file.write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir"]
    # As an installed package is seen: by its types alone, without errors inside of it.
    command += [str(folder / "cache"), "--follow-imports", "silent", str(file)]
    root = str(Path(difflr.__file__).parents[1])
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={"MYPYPATH": root, "PATH": ""}
    )
    return done.stdout.splitlines()


def test_right_code_is_accepted_and_each_mistake_is_reported(tmp_path):
    """``mypy --strict`` takes a user's module, and finds each of the mistakes in its line."""
    first = RIGHT.count("\n") + 1
    lines = check(tmp_path, RIGHT + "\n".join(WRONG) + "\n")
    found = {}
    for line in lines:
        if match := re.match(r"user\.py:(\d+): error: (.*)", line):
            found.setdefault(int(match[1]), []).append(match[2])
    early = {number: errors for number, errors in found.items() if number < first}
    assert not early, early
    for number, (code, message) in enumerate(WRONG.items(), first):
        assert any(message in error for error in found.get(number, [])), (code, found.get(number))


def test_every_public_name_has_its_type_and_its_home():
    """What checkers see (``__init__.pyi``) is what is loaded at run time, from the same module."""
    text = Path(difflr.__file__).with_suffix(".pyi").read_text("utf-8")
    seen = re.findall(r"^from (difflr[\w.]*) import (\w+) as \2$", text, re.MULTILINE)
    assert sorted(name for _, name in seen) == difflr.__all__
    for module, name in seen:
        assert getattr(difflr, name) is getattr(importlib.import_module(module), name)


def test_the_recipes_names_are_those_of_the_type():
    """A misspelt recipe is reported because the type lists the names: all of them, and no other."""
    assert set(Recipe.__args__) == set(RECIPES)


def test_the_help_of_make_plan_names_recipes_and_options():
    """``help(make_plan)`` says what one can ask for, without a look at the source."""
    for name in RECIPES:
        assert f"``{name}`` (lr=" in difflr.make_plan.__doc__
    assert "ratio=100" in difflr.make_plan.__doc__


def test_completion_shows_the_public_names_only():
    """``difflr.<Tab>`` lists what is documented."""
    assert set(dir(difflr)) == {*difflr.__all__, "__version__"}
