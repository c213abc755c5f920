"""A range test that keeps the ratios between the splits."""
