"""Differential learning rates in a Lightning module: the glue, and nothing else."""
