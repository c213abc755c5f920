#!/bin/sh
# Test the widgets with the versions that Colab has (August 2026), in an environment of their own.
# It borrows torch and all else from the environment of the python given (default: python3).
set -eu
cd "$(dirname "$0")/.."
python="${1:-python3}"
old="${2:-.venv/old-widgets}"
if [ ! -e "$old/ready" ]; then
    "$python" -m venv "$old"
    "$old/bin/python" -m pip install --quiet --disable-pip-version-check \
        ipywidgets==7.7.1 ipython==7.34.0 ipykernel==6.17.1
    # What the old environment does not have itself comes from the one it was made with.
    "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        > "$("$old/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz_base.pth"
    touch "$old/ready"
fi
PYTHONPATH="$PWD" DIFFLR_WIDGETS=7 "$old/bin/python" -m pytest tests/test_widgets.py
