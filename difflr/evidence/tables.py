"""The tables of the docs that come from recordings, as plain data: what each cell quotes (``quotes``)."""

from collections.abc import Iterable
from itertools import product

__all__ = ["TABLES"]

_RECIPES = {
    **{
        f"`{name}`": name
        for name in (
            *("uniform", "differential", "fine_tune", "lp_ft", "gradual", "milestones_2020"),
            *("head_only", "falling"),
        )
    },
    "fastai's `fine_tune`": "fastai.fine_tune",
    "the same at its default LR": "fastai.fine_tune:defaults",
    "Lightning's `BackboneFinetuning`, unfreezing after one epoch": "lightning.BackboneFinetuning",
    "the same at its defaults: head and BatchNorm only": "lightning.BackboneFinetuning:defaults",
    "finetuning-scheduler, a split more in each epoch": "finetuning_scheduler",
    "the same with the schedule that it generates": "finetuning_scheduler:defaults",
}
_PLAIN = "optimizer=AdamW bn=kept augment=False"
_GAINS = " | best LR | test accuracy | against uniform | p (Holm)"
_CONDITIONS = {
    f"{label}, {statistics}{', augmented' if augment else ''}": (
        f"optimizer={optimizer} bn={bn} augment={augment}"
    )
    for augment, (optimizer, label), (bn, statistics) in product(
        (False, True),
        (("AdamW", "AdamW"), ("SGD", "SGD with momentum")),
        (("kept", "BatchNorm follows"), ("frozen", "BatchNorm frozen")),
    )
}
_FORGETTING = ("accuracy", "source_accuracy", "source_old_bn", "source_recalibrated")
_AT_5000 = (  # at the rates that ``peak`` chose
    "recipe=differential base_lr=1.8e-3 measured_on=validation vs "
    "recipe=uniform base_lr=5.6e-4 measured_on=validation"
)
_SHIFTS = {
    "new labels": "none",
    "noise": "noise",
    "blur": "blur",
    "low contrast": "contrast",
    "colours turned": "colour",
}


def _recipe_row(recipe: str) -> list[str]:
    ours, uniform = f"recipe={recipe} epochs=6", "recipe=uniform epochs=6"
    other = "" if recipe == "uniform" else f"recipes accuracy {ours} vs {uniform}"
    lengths = recipe in ("differential", "fine_tune", "lp_ft", "gradual", "head_only")
    equal = f"recipes accuracy_at_equal_seconds recipe={recipe} vs {uniform}" if lengths else ""
    return [
        *(f"recipes accuracy {ours}", other),
        other.replace(" accuracy ", " holm "),
        *(f"recipes cpu_seconds {ours}", equal),
        f"recipes source_accuracy {ours}",
    ]


def _plateau_row(ratio: str) -> list[str]:
    ours, uniform = f"train_size=500 ratio={ratio}", "train_size=500 ratio=1"
    widths = [
        ""
        if ratio == "1"
        else f"plateau width {ours} within={within} measured_on=validation "
        f"vs {uniform} within={within} measured_on=validation"
        for within in (0.05, 0.02)
    ]
    return [
        f"plateau accuracy {ours}",
        "" if ratio == "1" else f"plateau accuracy {ours} vs {uniform}",
        *widths,
        f"plateau source_accuracy {ours}",
        f"plateau source_old_bn {ours}",
    ]


def _peak_row(ours: str) -> list[str]:
    at = "train_size=500 epochs=6 augment=False"
    uniform, two, own = (f"{at} recipe={side}" for side in ("uniform", "two_rates", ours))
    return [
        *(f"peak {measure} {own}" for measure in ("best_rate", "accuracy")),
        *_against("peak", own, uniform),
        "" if own in (uniform, two) else f"peak tuned {own} vs {two}",
    ]


def _peak_at_row(at: str, ratio_10: bool = True) -> list[str]:
    """Return uniform's accuracy, what the others gain over it, and ratio 100 over two rates."""
    uniform, two, ten, graded = (
        f"{at} recipe={side}"
        for side in ("uniform", "two_rates", "differential ratio=10", "differential ratio=100")
    )
    return [
        f"peak accuracy {uniform}",
        f"peak tuned {two} vs {uniform}",
        f"peak tuned {ten} vs {uniform}" if ratio_10 else "",  # else it was not run
        *_against("peak", graded, uniform),
        f"peak tuned {graded} vs {two}",
    ]


def _rival_row(recipe: str, uniform: str, *more: str) -> list[str]:
    """Return a recipe's best rate and accuracy, what it gains over uniform, and ``more`` measures."""
    study, _, ours = recipe.partition(" ")
    return [
        *(f"{study} {measure} {ours}" for measure in ("best_rate", "accuracy")),
        *_against(study, ours, uniform),
        *(f"{study} {measure} {ours}" for measure in more),
    ]


def _against(study: str, ours: str, uniform: str) -> list[str]:
    """Return the two cells that compare a recipe with uniform, empty for uniform itself."""
    return [
        "" if ours == uniform else f"{study} {measure} {ours} vs {uniform}"
        for measure in ("tuned", "tuned_holm")
    ]


def _cause_row(recipe: str) -> list[str]:
    return _rival_row(
        f"causes {_PLAIN} {recipe}", f"{_PLAIN} recipe=uniform", "source_recalibrated"
    )


def _under_row(under: str) -> list[str]:
    """Return uniform's accuracy, and what faster heads and graded rates gain over it."""
    rivals = [f"two_rates ratio={ratio}" for ratio in (3, 10, 30, 100)]
    rivals += [f"differential ratio={ratio}" for ratio in (10, 100, 1000)]
    return [f"causes accuracy {under} recipe=uniform", *_gained(under, rivals)]


def _others_row(under: str) -> list[str]:
    """Return what the other recipes gain over uniform, and ratio 100 over the head ×10."""
    graded, head = (
        f"{under} recipe={own}" for own in ("differential ratio=100", "two_rates ratio=10")
    )
    return [*_gained(under, ("lp_ft", "auto_rgn", "wise_ft")), f"causes tuned {graded} vs {head}"]


def _gained(under: str, recipes: Iterable[str]) -> list[str]:
    return [f"causes tuned {under} recipe={own} vs {under} recipe=uniform" for own in recipes]


def _forgetting_row(study: str, ours: str, uniform: str) -> list[str]:
    """Return what is gained in accuracy, and of the source task by three gauges, then at equal accuracy."""
    cells = [f"{study} {measure} {ours} vs {uniform}" for measure in _FORGETTING]
    if study == "plateau":  # recorded before statistics were estimated anew
        return [*cells[:3], "", ""]
    many = {"recipes": "forgetting", "causes": "forgetting_500"}[study]  # more seeds at all rates
    return [*cells, f"{many} kept_at_equal_accuracy {ours} vs {uniform}"]


def _gradual_row(shape: str) -> list[str]:
    ours, uniform, constant = (
        f"recipe=gradual shape={shape}",
        "recipe=uniform",
        "recipe=gradual shape=constant",
    )
    return [
        *(f"gradual {measure} {ours}" for measure in ("best_rate", "accuracy")),
        f"gradual accuracy {ours} vs {uniform}",
        "" if ours == constant else f"gradual accuracy {ours} vs {constant}",
    ]


def _vit_row(decay: str) -> list[str]:
    return _rival_row(f"vit decay={decay}", "decay=1", "source_accuracy")


def _shift_row(shift: str, measure: str) -> list[str]:
    at = f"shift={shift} bn=kept"
    rivals = ("first_splits", "head_only", "differential", "falling", "auto_rgn")
    return [f"which_splits {measure} {at} recipe={name} vs {at} recipe=uniform" for name in rivals]


def _first_or_head_row(shift: str) -> list[str]:
    """Return the first split alone and the head alone, with kept and with drifting statistics."""
    first, head = (f"shift={shift} recipe={name} bn=" for name in ("first_splits", "head_only"))
    return [
        *(f"which_splits accuracy {own}drifting" for own in (first, head)),
        *(f"which_splits accuracy {first}{bn} vs {head}{bn}" for bn in ("kept", "drifting")),
        *(f"which_splits accuracy {own}drifting vs {own}kept" for own in (first, head)),
    ]


def _halfway_row(shift: str) -> list[str]:
    """Return what statistics estimated anew gain over uniform, and what going halfway back adds to them."""
    uniform, anew, halfway = (
        f"shift={shift} bn=kept recipe={name}" for name in ("uniform", "recalibrated", "wise_ft")
    )
    gained = [
        f"which_splits {measure} {ours} vs {uniform}"
        for ours in (anew, halfway)
        for measure in ("accuracy", "holm")
    ]
    return [*gained, f"which_splits accuracy {halfway} vs {anew}"]


# name: heads of the columns, then label of a row -> what its cells quote ("" for an empty one)
TABLES: dict[str, tuple[str, dict[str, list[str]]]] = {
    "plateau": (
        "last LR to first | test accuracy | against uniform | decades wider, within 5 points | "
        "within 2 points | source task kept | with old BatchNorm statistics",
        {
            f"{ratio}{note}": _plateau_row(ratio)
            for ratio, note in (
                *(("0.1", " (falls with depth)"), ("1", " (uniform)")),
                *(("10", ""), ("100", ""), ("1000", "")),
            )
        },
    ),
    "peak": (
        f"{_GAINS} | against two rates",
        {
            label: _peak_row(side)
            for label, side in (
                ("uniform", "uniform"),
                ("two rates: the head ten times the body", "two_rates"),
                ("ratio 10", "differential ratio=10"),
                ("ratio 100", "differential ratio=100"),
            )
        },
    ),
    "peak_elsewhere": (
        " | uniform | two rates | ratio 10 | ratio 100 | its p (Holm) | "
        "ratio 100 against two rates",
        {
            label: _peak_at_row(f"train_size={size} epochs={epochs} augment={augment}", size < 5000)
            for label, size, epochs, augment in (
                ("500 pictures, 3 epochs", 500, 3, False),
                ("500 pictures, 3 epochs, augmented", 500, 3, True),
                ("500 pictures, 6 epochs, augmented", 500, 6, True),
                ("500 pictures, 12 epochs, twelve pairs", 500, 12, False),
                ("500 pictures, 12 epochs, twelve pairs, augmented", 500, 12, True),
                ("1,000 pictures, 6 epochs", 1000, 6, False),
                ("5,000 pictures, 6 epochs, ten pairs", 5000, 6, False),
            )
        },
    ),
    "causes": (
        f"{_GAINS} | source task kept, statistics estimated anew",
        {
            label: _cause_row(f"recipe={tags}")
            for label, tags in (
                ("uniform", "uniform"),
                ("the head ten times the body", "two_rates ratio=10"),
                ("graded, ratio 100", "differential ratio=100"),
                ("graded by gradient norms (Auto-RGN)", "auto_rgn"),
                ("the head first, then all (LP-FT)", "lp_ft"),
                ("halfway back to the start (WiSE-FT)", "wise_ft"),
            )
        },
    ),
    "causes_under": (
        " | uniform | head ×3 | head ×10 | head ×30 | head ×100 | ratio 10 | ratio 100 | ratio 1000",
        {label: _under_row(under) for label, under in _CONDITIONS.items()},
    ),
    "causes_others": (
        " | head first (LP-FT) | gradient norms (Auto-RGN) | halfway back (WiSE-FT) | "
        "ratio 100 against head ×10",
        {label: _others_row(under) for label, under in _CONDITIONS.items()},
    ),
    "forgetting": (
        " | test accuracy | own statistics | those of before | estimated anew | "
        "estimated anew, at equal accuracy",
        {
            **{
                f"500 pictures, {label}": _forgetting_row(
                    "causes",
                    f"{under} recipe=differential ratio=100",
                    f"{under} recipe=uniform",
                )
                for label, under in (
                    ("AdamW", _PLAIN),
                    ("SGD with momentum", "optimizer=SGD bn=kept augment=False"),
                )
            },
            **{
                f"1,000 pictures, {epochs} epochs": _forgetting_row(
                    "recipes",
                    f"recipe=differential epochs={epochs}",
                    f"recipe=uniform epochs={epochs}",
                )
                for epochs in (3, 6, 12)
            },
            "5,000 pictures": _forgetting_row(
                "plateau", "train_size=5000 ratio=100", "train_size=5000 ratio=1"
            ),
            "5,000 pictures, not augmented": [
                *(f"forgetting_5000 {measure} {_AT_5000}" for measure in _FORGETTING),
                "forgetting_5000 kept_at_equal_accuracy recipe=differential vs recipe=uniform",
            ],
        },
    ),
    "networks": (
        _GAINS,
        {
            f"{pixels} pixels: {label}": _rival_row(f"{recording} recipe={tags}", "recipe=uniform")
            for recording, pixels in (("networks", 64), ("networks_96", 96))
            for label, tags in (
                ("uniform", "uniform"),
                ("the head ten times the body", "two_rates ratio=10"),
                ("graded, ratio 10", "differential ratio=10"),
                ("graded, ratio 100", "differential ratio=100"),
                ("the head first, then all (LP-FT)", "lp_ft"),
                ("the head alone", "head_only"),
            )
        },
    ),
    "vit": (
        f"{_GAINS} | source task kept",
        {
            "uniform": _vit_row("1"),
            **{f"layer decay {decay}": _vit_row(decay) for decay in ("0.9", "0.75", "0.65", "0.5")},
        },
    ),
    "recipes": (
        "recipe | test accuracy, 6 epochs | against uniform | p (Holm) | "
        "processor seconds | against uniform, with as many seconds | source task kept",
        {label: _recipe_row(recipe) for label, recipe in _RECIPES.items()},
    ),
    "gradual": (
        "rates of the unfreezing | best LR | test accuracy | against uniform | "
        "against a constant rate",
        {
            "constant": _gradual_row("constant"),
            "one cycle over all phases": _gradual_row("one_cycle:continues"),
            "a cosine over all phases": _gradual_row("cosine:continues"),
            "a cosine in each phase": _gradual_row("cosine"),
            "one cycle in each phase": _gradual_row("one_cycle"),
        },
    ),
    "text": (
        _GAINS,
        {
            f"{number} questions: {label}": _rival_row(
                f"text train_size={size} {tags}", f"train_size={size} recipe=uniform"
            )
            for size, number in ((100, "100"), (300, "300"), (4000, "4,000"))
            for label, tags in (
                ("uniform", "recipe=uniform"),
                ("layer decay 0.75", "recipe=layer_decay decay=0.75"),
                ("layer decay 0.5", "recipe=layer_decay decay=0.5"),
                ("gradual unfreezing", "recipe=gradual"),
            )
        },
    ),
    "which_splits": (
        " | uniform | only the first split | only the head | rising with depth | "
        "falling with depth | by gradient norms",
        {
            label: [
                f"which_splits accuracy shift={shift} bn=kept recipe=uniform",
                *_shift_row(shift, "accuracy"),
            ]
            for label, shift in _SHIFTS.items()
        },
    ),
    "which_splits_p": (
        " | only the first split | only the head | rising with depth | falling with depth | "
        "by gradient norms",
        {label: _shift_row(shift, "holm") for label, shift in _SHIFTS.items()},
    ),
    "first_or_head": (
        " | only the first split, drifting | only the head, drifting | "
        "first against head, both kept | both drifting | drifting against kept: first split | head",
        {label: _first_or_head_row(shift) for label, shift in _SHIFTS.items()},
    ),
    "halfway": (
        " | statistics anew, against uniform | p (Holm) | and halfway back, against uniform | "
        "p (Holm) | halfway back against statistics anew",
        {label: _halfway_row(shift) for label, shift in _SHIFTS.items()},
    ),
}
