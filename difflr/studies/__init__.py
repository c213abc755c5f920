"""Declared studies, run through any number of processes, and their recordings."""
