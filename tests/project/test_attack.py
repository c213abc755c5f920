"""The short form of ``make attack``: a few hundred hostile inputs, none of which is answered by a mistake."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from difflr import DifflrError, Plan, make_plan

ATTACK = Path(__file__).parents[1] / "fuzz" / "attack.py"


def test_hostile_inputs_are_taken_or_refused():
    """Each part of difflr gets its share, and no exception but ``DifflrError`` comes out."""
    line = [sys.executable, str(ATTACK), "--inputs", "400", "--kills", "0", "--no-pictures"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "command lines" in done.stdout


def test_a_tensor_is_no_plan_and_no_number_of_splits():
    """What seems to have a length or entries, and has none, is refused in words."""
    with pytest.raises(DifflrError, match="or a dictionary"):
        Plan.from_dict(torch.zeros(3))
    with pytest.raises(DifflrError, match="expected a whole number"):
        make_plan("differential", torch.tensor(3), 6)
