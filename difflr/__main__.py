"""``python -m difflr``: the same as the command ``difflr``."""

import sys

from difflr.cli.command import main

sys.exit(main())
