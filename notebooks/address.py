"""Change the repository's address everywhere: in pyproject.toml, texts, set-up cells and links to Colab.

    python notebooks/address.py https://github.com/me/fork
    python notebooks/address.py release

Without an address it prints the one that stands in pyproject.toml. ``release`` lets the lessons' set-up cells
install, and their links to Colab open, the tag of pyproject.toml's version.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WHERE = (
    "pyproject.toml",
    "*.md",
    "docs/*.md",
    "docs/conf.py",
    "notebooks/*.md",
    "notebooks/[0-9]*.py",
    "notebooks/*.ipynb",
)


def current(root: Path = ROOT) -> str:
    """Return ``owner/name`` as pyproject.toml has it."""
    text = (root / "pyproject.toml").read_text("utf-8")
    (address,) = re.findall(r'^Repository = "https://github\.com/([\w.-]+/[\w.-]+)"', text, re.M)
    return address


def change(new: str, root: Path = ROOT) -> list[Path]:
    """Write the address ``new`` into every file that names the old one; return these files."""
    match = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", new)
    if not match:
        raise ValueError(f"Received {new!r}, expected https://github.com/OWNER/NAME.")
    old, new = current(root), match[1]
    # github.com/OWNER/NAME, and colab.research.google.com/github/OWNER/NAME in the badges.
    mention = re.compile(rf"(github\.com/|google\.com/github/){re.escape(old)}(?![\w-])")
    folder = re.compile(rf"(git clone \S+ && cd ){re.escape(old.split('/')[1])}\b")
    changed = []
    for path in sorted({path for pattern in WHERE for path in root.glob(pattern)}):
        text = path.read_text("utf-8")
        fresh = mention.sub(rf"\g<1>{new}", text)
        fresh = folder.sub(rf"\g<1>{new.split('/')[1]}", fresh)
        if fresh != text:
            path.write_text(fresh, "utf-8")
            changed.append(path)
    return changed


def release(root: Path = ROOT) -> list[Path]:
    """Write the version of pyproject.toml into set-up cells and links to Colab; return the files changed."""
    text = (root / "pyproject.toml").read_text("utf-8")
    (version,) = re.findall(r'^version = "([\d.]+)"', text, re.M)
    pinned = re.compile(r"(github\.com/[\w.-]+/[\w.-]+@v|/blob/v|install version )\d+(\.\d+)+")
    changed = []
    for pattern in ("notebooks/[0-9]*.py", "notebooks/*.ipynb"):
        for path in sorted(root.glob(pattern)):
            before = path.read_text("utf-8")
            after = pinned.sub(rf"\g<1>{version}", before)
            if after != before:
                path.write_text(after, "utf-8")
                changed.append(path)
    return changed


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(f"https://github.com/{current()}")
    elif sys.argv[1] == "release":
        print(*(path.relative_to(ROOT) for path in release()), sep="\n")
    else:
        try:
            print(*(path.relative_to(ROOT) for path in change(sys.argv[1])), sep="\n")
        except ValueError as error:
            sys.exit(str(error))
