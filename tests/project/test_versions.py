"""The versions that are declared are the versions that are tested."""

import os
import re
from pathlib import Path

import pytest
from colab_versions import SHARED, python_version, requirements
from which_lightning import pl

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 has it")

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))[
    "project"
]
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = [*PROJECT["dependencies"], *EXTRAS["lightning"], *EXTRAS["kit"], *EXTRAS["studies"]]


@pytest.mark.skipif(
    "DIFFLR_LIGHTNING" not in os.environ, reason="set by tests/support/old_lightning.sh"
)
def test_this_is_the_oldest_lightning_that_is_declared():
    """The run of the core tests with the oldest version does not test the newest by mistake."""
    assert pl.__version__.startswith(os.environ["DIFFLR_LIGHTNING"])


def test_only_floors_are_declared():
    """So that an installation replaces nothing that Colab or a learner has in a newer version."""
    floor = re.compile(r"[\w-]+(\[\w+\])?>=[\d.]+|difflr\[\w+\]")
    assert all(map(floor.fullmatch, DECLARED))


def test_colabs_list_covers_all_that_difflr_needs_but_lightning():
    """The weekly run against Colab's versions leaves nothing to chance."""
    lessons = [*PROJECT["dependencies"], *EXTRAS["lightning"], *EXTRAS["kit"]]
    names = {line.partition(">")[0] for line in lessons}
    assert names - set(SHARED) == {"pytorch-lightning", "anywidget", "difflr[lightning]"}


def test_colabs_list_is_read_in_both_of_its_forms():
    """By version or by the address of a file; builds for a GPU are left out."""
    freeze = [f"{name}==1.{i}.0" for i, name in enumerate(SHARED)]
    freeze[0] = "torch @ https://x/whl/cu126/torch-2.8.0%2Bcu126-cp312-cp312-linux_x86_64.whl"
    freeze[1] = "torchvision==0.23.0+cu126"
    freeze += ["# a comment", "google-colab @ file:///google-colab-1.0.0.tar.gz", "-e git+x"]
    assert requirements("\n".join(freeze))[:3] == ["torch==2.8.0", "torchvision==0.23.0", freeze[2]]
    assert python_version("Ubuntu 22.04.4 LTS\nPython 3.12.11\nR version 4.5.1\n") == "3.12"


def test_a_list_in_another_form_is_an_error():
    """Rather than a run that tests nothing."""
    with pytest.raises(SystemExit, match="no torch, torchvision"):
        requirements("nothing")
    with pytest.raises(SystemExit, match="no Python"):
        python_version("Ubuntu")
