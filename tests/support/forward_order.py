"""Whether a model is cut in the order of its forward, at both levels."""

import torch

from difflr import Splits, split_model


def out_of_order(splits: Splits, call) -> str:
    """Return which splits ``call`` reaches before the one above them, nothing where all is well."""
    with splits.forward_order() as order, torch.no_grad():
        call()
    return order.out_of_order()


def check_cuts(model, call, least: int = 4) -> None:
    """Both levels: forward goes through the splits in their order, none holds nearly everything."""
    counts = []
    for level in ("stages", "blocks"):
        splits = split_model(model, level)
        tensors = [len(split.parameters) for split in splits]
        assert max(tensors) < 0.8 * sum(tensors)
        assert out_of_order(splits, call) == ""
        counts.append(len(splits))
    assert least <= counts[0] <= 9
    assert counts[1] >= counts[0] or counts[0] <= 8
