#!/bin/sh
# Test with the package `lightning` in the place of `pytorch_lightning`, and what is said where both are
# imported; all else is the environment of the python given (default: python3).
set -eu
cd "$(dirname "$0")/../.."
python="${1:-python3}"
version=$("$python" -c 'import pytorch_lightning; print(pytorch_lightning.__version__)')
other="${2:-.venv/lightning}/$version"
if [ ! -e "$other/ready" ]; then
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
        --target "$other" "lightning==$version" torchdata jsonargparse docstring-parser typeshed-client \
        importlib-resources
    touch "$other/ready"
fi
PYTHONPATH="$other:$PWD" DIFFLR_LIGHTNING_PACKAGE=lightning.pytorch "$python" -m pytest -n "${WORKERS:-2}" --dist loadfile \
    tests/lightning tests/models/test_held.py tests/project/test_versions.py \
    tests/models/test_prefix.py::test_a_lightning_module_of_ones_own_can_use_it \
    tests/core/test_splits.py::test_a_lightning_module_around_a_network_is_cut_like_the_network \
    tests/project/test_reported_elsewhere.py tests/lessons/test_lossline.py \
    tests/widgets/test_widgets.py::test_live_view_shows_what_happens \
    tests/widgets/test_widgets.py::test_live_view_measures_how_far_a_step_moves_each_split
