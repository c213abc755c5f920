"""The Lightning that the tests train with: DIFFLR_LIGHTNING_PACKAGE, or ``pytorch_lightning``.

To be imported before difflr, which then belongs to the same package.
"""

import os
from importlib import import_module

NAME = os.environ.get("DIFFLR_LIGHTNING_PACKAGE", "pytorch_lightning")
pl = import_module(NAME)
