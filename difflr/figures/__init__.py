"""Pictures: one style, and the plan before anything is trained."""
