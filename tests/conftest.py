import atexit
import os
import shutil
import tempfile

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir
from nets import TinyNet

set_hypothesis_home_dir(tempfile.gettempdir())  # no .hypothesis folder in the tree
settings.register_profile(
    "difflr",
    deadline=None,
    database=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("difflr")
# Lessons that run under nbval see no progress of the developer's own, and leave none.
os.environ["DIFFLR_PROGRESS"] = tempfile.mkdtemp(prefix="difflr-progress-")
atexit.register(shutil.rmtree, os.environ["DIFFLR_PROGRESS"], ignore_errors=True)
torch.set_num_threads(1)  # networks this small only lose by sharing the work


# One worker runs a file. These take longest, and come first: at the end one would be waited for alone.
LONG = (
    "notebooks",
    "tests/widgets/test_widgets.py",
    "tests/studies/test_study.py",
    "tests/widgets/test_browser.py",
    "tests/project/test_docs.py",
    "tests/studies/test_clusters.py",
    "tests/project/test_typing.py",
    "tests/project/test_attack.py",
    "tests/project/test_packaging.py",
    "tests/widgets/test_long_session.py",
    "tests/lessons/test_graders.py",
    "tests/lightning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first; xdist keeps the order with ``--no-loadscope-reorder``."""

    def place(item: pytest.Item) -> int:
        starts = (i for i, start in enumerate(LONG) if item.nodeid.startswith(start))
        return next(starts, len(LONG))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def net() -> TinyNet:
    """Six splits, four classes, pictures of 3×8×8."""
    return TinyNet()
