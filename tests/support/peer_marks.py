"""Tests that run where timm, transformers and PEFT are installed (tests/support/peers.sh)."""

import importlib.util

import pytest

HAS_TIMM = importlib.util.find_spec("timm") is not None
timm_only = pytest.mark.skipif(
    not HAS_TIMM, reason="timm is not installed (tests/support/peers.sh)"
)
hf_only = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="transformers is not installed (tests/support/peers.sh)",
)
peft_only = pytest.mark.skipif(
    importlib.util.find_spec("peft") is None,
    reason="peft is not installed (tests/support/peers.sh)",
)


def timm_families() -> list[str]:
    """One model of each of timm's modules."""
    if not HAS_TIMM:
        return ["none"]
    import timm

    return [timm.list_models(module=module)[0] for module in timm.list_modules()]
