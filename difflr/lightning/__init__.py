"""Differential learning rates in a Lightning module: the glue, and nothing else."""

from difflr.extras import require

require("difflr.lightning", ("pytorch_lightning", "lightning"))
