"""What an optimizer treats apart: what is spared weight decay, matrices for Muon, LoRA's B matrices."""

import re
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

__all__ = ["lora_b", "matrices", "spared", "without_decay"]

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)

_TOKENS = re.compile(
    r"(^|[._])(cls|class|dist|distillation|reg|register|mask)_?(tokens?|embedding)$"
    r"|(^|\.)(abs_|absolute_)?pos(ition)?_embed(ding)?s?$|relative_position_bias_table$"
)


def without_decay(model: nn.Module) -> set[str]:
    """Return the names of the parameters that no weight decay is for.

    A module with a method ``no_weight_decay()`` (timm's) says so itself for all that it holds, by names or
    patterns; of the rest they are the parameters called ``cls_token``, ``pos_embed`` and the like.
    """
    spared: set[str] = set()
    spoken: list[str] = []  # prefixes of what lies in a module that says so itself
    for path, module in model.named_modules():
        inside = f"{path}." if path else ""
        if inside.startswith(tuple(spoken)):
            continue
        # By class: wrappers pass attributes on, and have other names.
        if callable(getattr(type(module), "no_weight_decay", None)):
            spoken.append(inside)
            patterns = list(module.no_weight_decay())
            spared |= {
                inside + name
                for name, _ in module.named_parameters()
                if any(fnmatchcase(name, pattern) for pattern in patterns)
            }
    return spared | {
        name
        for name, _ in model.named_parameters()
        if _TOKENS.search(name) and not name.startswith(tuple(spoken))
    }


def spared(model: nn.Module) -> set[int]:
    """Return the ids of biases, scales of normalisation layers, other vectors, and ``without_decay``."""
    tokens = without_decay(model)
    named = model.named_parameters()
    small = {id(p) for n, p in named if p.ndim <= 1 or n.endswith("bias") or n in tokens}
    return small | _held_by(model, _NORMS)  # a LayerNorm over several dimensions has as many


def matrices(model: nn.Module) -> set[int]:
    """Return the ids of the two-dimensional weights, without those of embeddings and what is ``spared``."""
    two = {id(p) for p in model.parameters() if p.ndim == 2}
    return two - _held_by(model, _EMBEDDINGS) - spared(model)


def lora_b(model: nn.Module) -> set[int]:
    """Return the ids of the parameters of what is called ``lora_B``."""
    return {id(p) for name, p in model.named_parameters() if "lora_B" in name.split(".")}


def _held_by(model: nn.Module, kinds: tuple[type[nn.Module], ...]) -> set[int]:
    """Return the ids of the parameters that modules of these classes have of their own."""
    return {id(p) for m in model.modules() if isinstance(m, kinds) for p in m.parameters(False)}
