"""What the workflows may do, and whose code they run."""

import re
from pathlib import Path

import pytest

WORKFLOWS = sorted((Path(__file__).parents[2] / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.name for path in WORKFLOWS])
def test_a_workflow_reads_alone_and_pins_what_it_runs(path):
    """Jobs may read the repository unless they say more; every action is a commit, its version beside it."""
    text = path.read_text("utf-8")
    assert re.search(r"^permissions: \{ contents: read \}$", text, re.M)
    used = re.findall(r"uses: *(\S+)(.*)", text)
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment), action


def test_a_release_is_tested_and_published_without_a_token():
    """The wheel is tested first; PyPI trusts the workflow, and attestations say where files are from."""
    text = next(path for path in WORKFLOWS if path.name == "release.yml").read_text("utf-8")
    build, publish = text.split("  publish:\n")
    assert "python -m build" in build
    assert "python -m pytest" in build
    assert "id-token" not in build
    assert "needs: build" in publish
    assert "id-token: write" in publish
    assert "attestations: true" in publish
    assert "secrets." not in text
