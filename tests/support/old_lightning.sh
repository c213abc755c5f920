#!/bin/sh
# Test the core with the oldest Lightning that pyproject.toml declares; all else is the environment
# of the python given (default: python3).
set -eu
cd "$(dirname "$0")/../.."
python="${1:-python3}"
oldest=$(sed -n 's/.*"pytorch-lightning>=\([0-9.]*\)".*/\1/p' pyproject.toml)
old="${2:-.venv/old-lightning}/$oldest"
if [ ! -e "$old/ready" ]; then
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
        --target "$old" "pytorch-lightning==$oldest.*"
    touch "$old/ready"
fi
PYTHONPATH="$old:$PWD" DIFFLR_LIGHTNING="$oldest" "$python" -m pytest -n "${WORKERS:-2}" --dist loadfile \
    tests/project/test_versions.py tests/lightning/test_lightning.py tests/lightning/test_resume.py \
    tests/lightning/test_trainer_options.py tests/lightning/test_modules.py tests/lightning/test_kill.py
