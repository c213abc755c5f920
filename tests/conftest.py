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


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def net() -> TinyNet:
    """Six splits, four classes, pictures of 3×8×8."""
    return TinyNet()
