"""What people write: paths and files, a recipe or a cut in words. Read without torch, and never trusted."""
