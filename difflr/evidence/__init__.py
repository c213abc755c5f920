"""What recorded runs say: summaries, pictures and quoted numbers."""
