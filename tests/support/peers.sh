#!/bin/sh
# Test the cuts with timm, transformers and PEFT; all else is the environment of the python given
# (default: python3). Nothing is downloaded but the packages: the models have random weights.
set -eu
cd "$(dirname "$0")/../.."
python="${1:-python3}"
peers="${2:-.venv/model-peers}"
if [ ! -e "$peers/ready" ]; then
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$peers" \
        timm transformers peft accelerate
    # What these need and torch does not bring; their own versions, beside those installed.
    "$python" -m pip install --quiet --disable-pip-version-check --upgrade --target "$peers/needs" \
        huggingface_hub tokenizers regex
    touch "$peers/ready"
fi
PYTHONPATH="$PWD:$peers:$peers/needs" OMP_NUM_THREADS=1 "$python" -m pytest \
    tests/core/test_architectures.py tests/core/test_layer_decay.py tests/core/test_heads.py
