"""Recipes make a plan from splits, epochs and a base learning rate, always the largest one.

Defaults are for AdamW at batch size 64.
"""

import inspect
from collections.abc import Callable, Sequence, Sized
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal, get_args

from difflr.errors import DifflrError, as_int, as_number, short_repr
from difflr.milestones import MILESTONES_2020, from_milestones
from difflr.plan import Phase, Plan
from difflr.rates import MOST_SPLITS, LayerDecay, LRs, Ratio, Ulmfit, expand_lrs
from difflr.shapes import Constant, Cosine, shape_from_dict

__all__ = ["RECIPES", "Recipe", "as_recipe", "make_plan"]

N = Sized | int
Recipe = Literal[
    "uniform",
    "head_only",
    "differential",
    "two_rates",
    "layer_decay",
    "gradual",
    "lp_ft",
    "fine_tune",
    "first_splits",
    "falling",
    "freeze_then_cosine",
    "milestones_2020",
]


def uniform(splits: N, epochs: int = 6, lr: float = 3e-4) -> Plan:
    """Train everything at one learning rate: plain fine-tuning."""
    return Plan([_phase(splits, epochs, lr)])


def head_only(splits: N, epochs: int = 6, lr: float = 3e-3) -> Plan:
    """Train the last split only, on frozen features: linear probing."""
    return Plan([_phase(splits, epochs, lr, freeze_to=-1)])


def differential(splits: N, epochs: int = 6, lr: float = 1e-3, ratio: float = 100.0) -> Plan:
    """Train everything, the first split at ``lr / ratio``, geometric up to ``lr`` at the last.

    Source: fastai's ``slice(lo, hi)``.
    """
    return Plan([_phase(splits, epochs, Ratio(lr, ratio))])


def two_rates(splits: N, epochs: int = 6, lr: float = 3e-3, ratio: float = 10.0) -> Plan:
    """Train everything, the last split at ``lr`` and all before it at ``lr / ratio``.

    Source: fastai's ``slice(hi)``.
    """
    n = _count(splits)
    first, last = expand_lrs(Ratio(lr, ratio), 2)
    return Plan([_phase(n, epochs, [*[first] * (n - 1), last])])


def layer_decay(splits: N, epochs: int = 6, lr: float = 1e-3, decay: float = 0.75) -> Plan:
    """Train everything, each split at ``decay`` times the rate of the one after it.

    For one split per block. Source: see ``LayerDecay``.
    """
    return Plan([_phase(splits, epochs, LayerDecay(lr, decay))])


def falling(splits: N, epochs: int = 6, lr: float = 1e-3, ratio: float = 100.0) -> Plan:
    """Train everything, the *first* split fastest, falling geometrically to ``lr / ratio``.

    For shifts of the input.
    """
    n = _count(splits)
    return Plan([_phase(n, epochs, expand_lrs(Ratio(lr, ratio), n)[::-1])])


def first_splits(splits: N, epochs: int = 6, lr: float = 1e-3, count: int = 1) -> Plan:
    """Train the first ``count`` splits only; the head, and so the classes, stay the old ones.

    For shifts of the input. Source: surgical fine-tuning (arXiv 2210.11466).
    """
    n = _count(splits)
    kept = as_int("count", count, 1)
    if kept >= n:
        raise DifflrError(f"Received count={kept}, expected fewer than {n}.", "Or use uniform.")
    return Plan([_phase(n, epochs, lr, frozen=range(kept, n))])


def gradual(splits: N, epochs: int = 6, lr: float = 1e-3, factor: float = 2.6) -> Plan:
    """Unfreeze one more split per phase, from the last to the first, at ULMFiT's rates.

    With fewer epochs than splits, several at once. Source: ULMFiT (arXiv 1801.06146), section 3.3.
    """
    n, epochs = _count(splits), as_int("epochs", epochs, 1)
    count = min(n, epochs)
    firsts = [n - round((i + 1) * n / count) for i in range(count)]
    pairs = zip(firsts, _shared_out(epochs, count), strict=True)
    return Plan([_phase(n, length, Ulmfit(lr, factor), first) for first, length in pairs])


def lp_ft(splits: N, epochs: int = 6, lr: float = 3e-3, tune_lr: float = 3e-4) -> Plan:
    """Train the head for the first half, then everything at ``tune_lr``.

    Source: linear probing, then fine-tuning (arXiv 2202.10054).
    """
    epochs = as_int("epochs", epochs, 2)
    probe = epochs // 2
    return Plan([_phase(splits, probe, lr, -1), _phase(splits, epochs - probe, tune_lr)])


def fine_tune(splits: N, epochs: int = 6, lr: float = 2e-3, freeze_epochs: int = 1) -> Plan:
    """Do what fastai's ``Learner.fine_tune`` does, at its defaults.

    The head at ``lr``, warming up nearly to its end, with BatchNorm training everywhere; then
    everything at ``slice(lr / 200, lr / 2)``. ``epochs`` counts both.
    """
    freeze = as_int("freeze_epochs", freeze_epochs, 1)
    rest = as_int("epochs", epochs, freeze + 1) - freeze
    # fastai's final LR is peak / 1e5, OneCycleLR's peak / div_factor / final_div_factor.
    head = _phase(
        splits, freeze, slice(lr), -1, train_bn=True, pct_start=0.99, final_div_factor=1e5 / 25
    )
    body = _phase(splits, rest, Ratio(lr / 2, 100), div_factor=5.0, final_div_factor=1e5 / 5)
    return Plan([head, body], train_bn=True)


def freeze_then_cosine(
    splits: N,
    epochs: int = 6,
    lr: float = 1e-3,
    ratio: float = 1.0,
    freeze_epochs: int = 1,
    warmup: float = 0.1,
) -> Plan:
    """Train the head at ``lr``, then everything with one warm-up and cosine decay.

    As most fine-tuning of today; ``ratio`` as in ``differential``.
    """
    freeze = as_int("freeze_epochs", freeze_epochs, 1)
    rest = as_int("epochs", epochs, freeze + 1) - freeze
    head = _phase(splits, freeze, lr, -1, shape=Constant())
    return Plan([head, _phase(splits, rest, Ratio(lr, ratio), shape=Cosine(warmup=warmup))])


def milestones_2020(splits: N, epochs: int = 6, lr: float = 1e-3) -> Plan:
    """Return the milestones of the 2020 recipe, stretched to ``epochs`` and scaled to ``lr``."""
    plan = from_milestones(MILESTONES_2020)
    plan.check(_count(splits))
    lengths = _shared_out(as_int("epochs", epochs, len(plan.phases)), len(plan.phases))
    scale = as_number("lr", lr, 0.0, above=True) / 1e-3
    return Plan(
        [
            replace(phase, epochs=length, lrs=[rate * scale for rate in phase.lrs])
            for phase, length in zip(plan.phases, lengths, strict=True)
        ]
    )


#: Every recipe by the name of its function.
RECIPES: dict[Recipe, Callable[..., Plan]] = {name: globals()[name] for name in get_args(Recipe)}


def make_plan(name: Recipe, splits: N, epochs: int = 6, **options: float | str) -> Plan:
    """Return the plan of the recipe called ``name``.

    Args:
        name: a key of ``RECIPES`` (see below).
        splits: of the model, or how many there are.
        epochs: of the whole plan.
        options: of the recipe, and for each of its phases: ``pct_start``, ``div_factor`` and
            ``final_div_factor`` of one cycle, or ``shape="cosine"`` (``"linear"``, ``"constant"``,
            ``"steps"``) with its fields such as ``warmup`` (see ``difflr.shapes``);
            ``continues=True`` lets it run on over all phases.

    Raises:
        DifflrError: for an unknown name or option.

    >>> make_plan("differential", 3, epochs=2, lr=1e-2, ratio=4).phases[0].lrs
    (0.0025, 0.005, 0.01)
    """
    recipe = RECIPES[as_recipe(name)]
    known = _options(recipe)
    own = {key: options.pop(key) for key in known if key in options}
    changes: dict[str, Any] = options
    continues = changes.pop("continues", False)
    if "shape" in changes:
        changes = {"shape": shape_from_dict({"kind": changes.pop("shape"), **changes})}
    elif other := [key for key in changes if key not in _CYCLE]:
        raise DifflrError(
            f"The recipe {name} has no option {', '.join(other)}.",
            f"It has {', '.join(known)}, and of one cycle {', '.join(_CYCLE)}; other shapes need shape=….",
        )
    plan = recipe(splits, epochs, **own)
    first, *rest = (replace(phase, **changes) for phase in plan.phases)
    return replace(plan, phases=[first, *(replace(phase, continues=continues) for phase in rest)])


_CYCLE = ("pct_start", "div_factor", "final_div_factor")


def as_recipe(name: object) -> Recipe:
    """Return ``name`` if a recipe has it; raise DifflrError otherwise."""
    if not isinstance(name, str) or name not in RECIPES:
        raise DifflrError(
            f"Received recipe {short_repr(name)}.", f"The recipes are {', '.join(RECIPES)}."
        )
    return name


def _options(recipe: Callable[..., Plan]) -> dict[str, Any]:
    """Return a recipe's options, all after ``splits`` and ``epochs``, with their defaults."""
    parameters = list(inspect.signature(recipe).parameters.values())
    return {option.name: option.default for option in parameters[2:]}


def _summary(name: Recipe, recipe: Callable[..., Plan]) -> str:
    options = ", ".join(f"{key}={value:g}" for key, value in _options(recipe).items())
    what = (recipe.__doc__ or "").partition("\n")[0]
    return f"    ``{name}`` ({options}): {what}"


# From the recipes themselves: ``help`` cannot fall behind.
_summaries = "\n".join(_summary(name, recipe) for name, recipe in RECIPES.items())
make_plan.__doc__ = f"{inspect.cleandoc(make_plan.__doc__ or '')}\n\nRecipes:\n{_summaries}"


def _shared_out(epochs: int, phases: int) -> list[int]:
    """Return even lengths of the phases; the last takes the rest."""
    even, rest = divmod(epochs, phases)
    return [even] * (phases - 1) + [even + rest]


def _count(splits: Any) -> int:
    with suppress(TypeError):  # a number, or an array without dimensions
        splits = len(splits)
    return as_int("splits", splits, 1, MOST_SPLITS)


def _phase(
    splits: N,
    epochs: int,
    lr: LRs,
    freeze_to: int = 0,
    *,
    frozen: Sequence[int] = (),
    train_bn: bool = False,
    **shape: Any,
) -> Phase:
    """Build a phase; the rates of its frozen splits are 0 unless their BatchNorm trains."""
    phase = Phase(freeze_to, epochs, expand_lrs(lr, _count(splits)), frozen=frozen, **shape)
    if train_bn:
        return phase
    pairs = zip(phase.lrs, phase.trainable, strict=True)
    return replace(phase, lrs=[rate if trains else 0.0 for rate, trains in pairs])
