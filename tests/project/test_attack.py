"""The short form of ``make attack``: a few hundred hostile inputs, none of which is answered by a mistake."""

import subprocess
import sys
from pathlib import Path

ATTACK = Path(__file__).parents[1] / "fuzz" / "attack.py"


def test_hostile_inputs_are_taken_or_refused():
    """Each part of difflr gets its share, and no exception but ``DifflrError`` comes out."""
    line = [sys.executable, str(ATTACK), "--inputs", "400", "--kills", "0", "--no-pictures"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "command lines" in done.stdout
