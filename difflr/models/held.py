"""Who froze a parameter: difflr, which may wake it again, or the user, who alone decides about it.

A frozen parameter looks the same whoever froze it. So what difflr freezes is noted on the module that owns
the parameter, where copying and pickling the model keep the note; what is frozen without one is *held by
the user* (a teacher, the base below LoRA's adapters, a single layer) and is never woken.
"""

from collections.abc import Iterable, Iterator

from torch import nn

__all__ = [
    "all_frozen",
    "freeze",
    "held_parameters",
    "is_held",
    "notes",
    "restore",
    "wake",
    "wake_all",
]

_NOTE = "_frozen_by_difflr"


def freeze(model: nn.Module, name: str) -> None:
    """Freeze the parameter called ``name``, and note that it was difflr; one that is held stays held."""
    owner, own = _owner(model, name)
    parameter = owner._parameters[own]
    if parameter is not None and parameter.requires_grad:
        parameter.requires_grad_(False)
        owner.__dict__.setdefault(_NOTE, set()).add(own)


def wake(model: nn.Module, name: str) -> None:
    """Let the parameter called ``name`` require a gradient again, if it was difflr that froze it."""
    owner, own = _owner(model, name)
    parameter = owner._parameters[own]
    if parameter is not None and own in _noted(owner):
        parameter.requires_grad_(True)
        _noted(owner).discard(own)


def wake_all(model: nn.Module) -> None:
    """Wake every parameter that difflr froze."""
    for owner in model.modules():
        for own in list(_noted(owner)):
            wake(owner, own)


def is_held(model: nn.Module, name: str) -> bool:
    """Whether the parameter called ``name`` is frozen, and not by difflr."""
    owner, own = _owner(model, name)
    parameter = owner._parameters[own]
    return parameter is not None and not parameter.requires_grad and own not in _noted(owner)


def all_frozen(module: nn.Module) -> bool:
    """Whether a module has parameters of its own, of which none trains, whoever froze them."""
    own = [p.requires_grad for p in module._parameters.values() if p is not None]
    return bool(own) and not any(own)


def held_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that the user holds, by their (first) name in the model."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad and is_held(model, name)
    }


def notes(model: nn.Module) -> Iterator[tuple[nn.Module, set[str]]]:
    """Yield each module with a copy of its note, for ``restore``."""
    for owner in model.modules():
        yield owner, set(_noted(owner))


def restore(noted: Iterable[tuple[nn.Module, set[str]]]) -> None:
    """Put back the notes that ``notes`` gave, after something was tried out with the model."""
    for owner, names in noted:
        owner.__dict__[_NOTE] = names


def _noted(owner: nn.Module) -> set[str]:
    return owner.__dict__.get(_NOTE, set())


def _owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, own = name.rpartition(".")
    return model.get_submodule(path), own
