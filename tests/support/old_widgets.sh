#!/bin/sh
# Test the widgets with the versions that Colab has (August 2026), in an environment of their own, also in
# Notebook 6 and a browser, and there the set-up cell of lesson 1: difflr is built as a wheel, installed by
# the cell, and used.
# The environment borrows torch and all else from that of the python given (default: python3).
set -eu
cd "$(dirname "$0")/../.."
python="${1:-python3}"
old="${2:-$PWD/.venv/old-widgets}" # an absolute path
if [ ! -e "$old/ready-3" ]; then
    rm -rf "$old"
    "$python" -m venv "$old"
    "$old/bin/python" -m pip install --quiet --disable-pip-version-check \
        ipywidgets==7.7.1 ipython==7.34.0 ipykernel==6.17.1 \
        notebook==6.5.7 nbclassic==1.3.3 jupyter_client==7.4.9 anywidget==0.11.0
    # What the old environment does not have itself comes from the one it was made with: all but difflr.
    mkdir "$old/borrowed"
    "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' | while read -r base; do
        for item in "$base"/*; do
            case "$(basename "$item")" in
                *difflr*) ;;
                *) ln -s "$item" "$old/borrowed/" ;;
            esac
        done
    done
    echo "$old/borrowed" \
        > "$("$old/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz_base.pth"
    touch "$old/ready-3"
fi
PYTHONPATH="$PWD" DIFFLR_WIDGETS=7 "$old/bin/python" -m pytest -n "${WORKERS:-2}" --dist loadfile \
    tests/widgets/test_notebook6.py tests/widgets/test_widgets.py tests/lessons/test_lesson_quiz.py

# As on Colab: no difflr there, the set-up cell installs it (here from the wheel), the lesson is solved.
"$old/bin/python" -m pip uninstall --quiet --yes difflr
rm -rf "$old/colab"
mkdir "$old/colab"
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$old/colab" .
"$python" notebooks/derive.py --solved "$old/colab"
DIFFLR_SOURCE="$(ls "$old"/colab/difflr-*.whl)[kit]"
export DIFFLR_SOURCE
cd "$old/colab"
"$old/bin/python" -m nbconvert --to notebook --execute --output ran 01_splits.ipynb
"$old/bin/python" - <<'END'
import importlib.metadata as m, json
import difflr
assert "old-widgets" in difflr.__file__, difflr.__file__
found = {name: m.version(name) for name in ("ipywidgets", "ipython")}
assert found == {"ipywidgets": "7.7.1", "ipython": "7.34.0"}, f"The set-up cell left {found}."
cells = json.load(open("ran.ipynb"))["cells"]
text = json.dumps([c["outputs"] for c in cells if c["cell_type"] == "code"], ensure_ascii=False)
assert "4 of 4 done" in text, "not every exercise is done"
print("Lesson 1 runs from the wheel, installed by its set-up cell.")
END
"$old/bin/python" -m pip uninstall --quiet --yes difflr
