"""Sphinx configuration: the site of ``make docs``."""

import re
import shutil
from pathlib import Path

import difflr

HERE = Path(__file__).parent

project = "difflr"
author = "The difflr authors"
copyright = author
version = release = difflr.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

# Lessons are shown as they were executed; a build runs nothing.
nb_execution_mode = "off"
nb_render_markdown_format = "gfm"  # what a cell shows as Markdown may hold tables
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"

html_theme = "furo"
html_title = "difflr"
html_static_path = ["_static"]
html_css_files = ["difflr.css"]
_project = (HERE.parent / "pyproject.toml").read_text("utf-8")
html_theme_options = {
    "source_repository": re.findall(r'^Repository = "(.*)"', _project, re.MULTILINE)[0],
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_exclude = ".linenos, .gp, .go"

# Sphinx reads only what lies below its own folder.
for _notebook in sorted((HERE.parent / "notebooks").glob("[0-9]*.ipynb")):
    shutil.copy2(_notebook, HERE / "lessons" / _notebook.name)
