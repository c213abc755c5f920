"""Each test of the lessons has a file of progress of its own."""

import pytest


@pytest.fixture(autouse=True)
def _progress_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFLR_PROGRESS", str(tmp_path))
