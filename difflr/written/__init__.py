"""Text: what people write, never trusted (paths, files, a recipe, a cut); splits in few words. No torch."""
