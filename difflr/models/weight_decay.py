"""Which parameters a model itself wants to be spared weight decay: tokens and tables of positions."""

import re
from fnmatch import fnmatchcase

from torch import nn

__all__ = ["without_decay"]

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
