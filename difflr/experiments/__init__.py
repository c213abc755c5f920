"""The main job: recipes side by side on the same pictures, with intervals."""
