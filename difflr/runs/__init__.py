"""Runs, however they were made: how they are kept, and what is computed from them. Without torch."""
