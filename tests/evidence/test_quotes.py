"""Numbers in README, docs and lessons are those of the recordings that they quote."""

import re
from itertools import product
from pathlib import Path
from statistics import fmean

import pytest
from made_up import plateau

from difflr.errors import DifflrError
from difflr.evidence import quotes
from difflr.evidence.nested import tuned_difference
from difflr.evidence.summaries import grouped
from difflr.runs.statistics import detectable, holm, p_value
from difflr.studies.recordings import load_recording

ROOT = Path(__file__).parents[2]


def against(measure, size, within=None):
    """Return what compares ratio 100 with uniform: on validation pictures where LRs are compared."""
    also = f" within={within}" if within else ""
    also += "" if measure in ("accuracy", "source_old_bn") else " measured_on=validation"
    sides = (f"train_size={size} ratio={ratio}{also}" for ratio in (100, 1))
    return f"plateau {measure} {' vs '.join(sides)}"


def bn(measure, shift):
    """Return what compares drifting statistics with kept ones, for the head alone."""
    sides = (f"recipe=head_only shift={shift} bn={mode}" for mode in ("drifting", "kept"))
    return f"frozen_bn {measure} {' vs '.join(sides)}"


def shifted(shift, ours, rival, bn="kept"):
    """Return what compares two recipes under a shift."""
    sides = (f"recipe={recipe} shift={shift} bn={bn}" for recipe in (ours, rival))
    return f"which_splits accuracy {' vs '.join(sides)}"


def equal_at(epochs):
    """Return what ratio 100 keeps more than uniform at equal accuracy, with 1,000 pictures."""
    sides = (f"recipe={recipe} epochs={epochs}" for recipe in ("differential", "uniform"))
    return f"forgetting kept_at_equal_accuracy {' vs '.join(sides)}"


def text_at(size, recipe):
    """Return what compares a recipe with uniform on so many questions."""
    return f"text tuned train_size={size} {recipe} vs train_size={size} recipe=uniform"


def anew_at(epochs):
    """Return what compares ratio 100 with uniform by what is kept, statistics estimated anew."""
    sides = (f"recipe={recipe} epochs={epochs}" for recipe in ("differential", "uniform"))
    return f"recipes source_recalibrated {' vs '.join(sides)}"


def head_follows(shift):
    """Return what compares the head alone, statistics drifting, with itself, statistics kept."""
    sides = (f"recipe=head_only shift={shift} bn={bn}" for bn in ("drifting", "kept"))
    return f"which_splits accuracy {' vs '.join(sides)}"


SIZES = (500, 1000, 5000)
LESSON_6 = "notebooks/06_uniform_or_differential.py"
LESSON_7 = "notebooks/07_when_the_recipe_is_wrong.py"
LOW = [
    f"plateau accuracy train_size=500 ratio={ratio} base_lr=1e-4 measured_on=validation"
    for ratio in (1, 100, 1000)
]
# Page, a sentence with a place for each number, and what the numbers quote. {} is the number, {p} has
# "points" behind it, {m} is a loss without its sign, {v} is said in the words of
# ``describe_difference``.
CONSTANT = "recipe=gradual shape=constant"
AT = "train_size=500 epochs=6 augment=False"  # where `peak` has twenty pairs of every recipe
TEN = f"{AT} recipe=differential ratio=10"
PEAK = f"{AT} recipe=differential ratio=100 vs {AT} recipe=uniform"
SHORT, THOUSAND, MANY = (
    f"train_size={size} epochs={epochs} augment=False"
    for size, epochs in ((500, 3), (1000, 6), (5000, 6))
)
AUGMENTED, SHORT_AUGMENTED = (f"train_size=500 epochs={n} augment=True" for n in (6, 3))
LONG = "train_size=500 epochs=12 augment=False"
PEAK_TEN_TWO = f"peak tuned {TEN} vs {AT} recipe=two_rates"
HALF, THREE_QUARTERS = "recipe=layer_decay decay=0.5", "recipe=layer_decay decay=0.75"
CHOSEN_ON = "measured_on=validation"
FIVE = "plateau detectable train_size=500 ratio=100 vs train_size=500 ratio=1"
UNDER = [
    f"optimizer={name} bn={bn} augment=False"
    for name, bn in (("AdamW", "kept"), ("AdamW", "frozen"), ("SGD", "kept"), ("SGD", "frozen"))
]
FOLLOWS, FROZEN = UNDER[::2], UNDER[1::2]  # what BatchNorm's statistics do
TWO, GRADED = "recipe=two_rates ratio=10", "recipe=differential ratio=100"
RATIO_10 = "recipe=differential ratio=10"
EQUAL = f"forgetting_500 kept_at_equal_accuracy {UNDER[0]} {TWO} vs {UNDER[0]} recipe=uniform"
SENTENCES = [
    (
        "README.md",
        "against uniform is at {p} in six epochs ({} could have been seen) and at {p} in three;",
        [
            f"peak tuned {PEAK}",
            f"peak tuned_detectable {PEAK}",
            f"peak tuned {SHORT} {GRADED} vs {SHORT} recipe=uniform",
        ],
    ),
    (
        "README.md",
        "by {} decades with 500 pictures and {} with 1,000 (`plateau`, augmented).",
        [against("width", size, 0.05) for size in SIZES[:2]],
    ),
    (
        "docs/evidence.md",
        "in decades: {} with 500 pictures, {} with 1,000; {} with 5,000",
        [against("width", size, 0.05) for size in SIZES],
    ),
    (
        "docs/evidence.md",
        "not established everywhere: {}; {}; {}.",
        [against("width", size, 0.02) for size in SIZES],
    ),
    (
        "docs/evidence.md",
        "ratio 100 against uniform {p} with 500 pictures, {} with 1,000, {} with 5,000.",
        [against("accuracy", size) for size in SIZES],
    ),
    (
        "docs/evidence.md",
        "than uniform by {p} with 500 pictures; with 1,000 it is {} and with 5,000 {}.",
        [against("ten_times_too_high", size) for size in SIZES],
    ),
    ("docs/evidence.md", "ratios of 1, 100 and 1000 reach {}, {} and {} on", LOW),
    (
        "README.md",
        "than its head keeps {p} more of the old task",
        [EQUAL],
    ),
    (LESSON_7, "At equal accuracy it is {v} in twelve (`forgetting`).", [equal_at(12)]),
    ("docs/advice.md", "twelve epochs, ratio 100: {v}, not", [equal_at(12)]),
    ("README.md", "twelve epochs ratio 100 keeps {p} more,", [equal_at(12)]),
    (
        LESSON_7,
        "ratio 100 keeps {v} more with 500 pictures (recording `forgetting_500`); with 1,000, at each one's "
        "best rate, {p} in three epochs and {p} in twelve",
        [
            f"forgetting_500 kept_at_equal_accuracy {UNDER[0]} {GRADED} vs {UNDER[0]} recipe=uniform",
            anew_at(3),
            anew_at(12),
        ],
    ),
    (
        "docs/evidence.md",
        "ahead of uniform by {p}.",
        ["recipes accuracy recipe=differential epochs=3 vs recipe=uniform epochs=3"],
    ),
    ("docs/evidence.md", "Under low contrast it is {p}:", [bn("accuracy", "contrast")]),
    ("docs/evidence.md", "drifting against kept is {p} on", [bn("accuracy", "none")]),
    (
        "docs/evidence.md",
        "the source task goes from {} to {}.",
        [
            f"frozen_bn source_accuracy recipe=head_only shift=none bn={mode}"
            for mode in ("kept", "drifting")
        ],
    ),
    (
        "docs/history.md",
        "tuned by the same grid as its rivals it loses {m}, at the upper end",
        ["recipes accuracy recipe=milestones_2020 epochs=6 vs recipe=uniform epochs=6"],
    ),
    ("docs/evidence.md", "five pairs see a difference of {v} (ratio 100", [FIVE]),
    (
        "docs/evidence.md",
        "Ratio 10 against uniform is {p}, p = {} after",
        [f"peak {measure} {TEN} vs {AT} recipe=uniform" for measure in ("tuned", "tuned_holm")],
    ),
    (
        "docs/evidence.md",
        "With one cycle per phase it loses {p} to",
        ["recipes accuracy recipe=gradual epochs=6 vs recipe=uniform epochs=6"],
    ),
    (
        "docs/evidence.md",
        "the same unfreezing reaches {}: {p} on the cycles, and against uniform {v} (recording `gradual`).",
        [
            f"gradual accuracy {CONSTANT}",
            f"gradual accuracy {CONSTANT} vs recipe=gradual shape=one_cycle",
            f"gradual accuracy {CONSTANT} vs recipe=uniform",
        ],
    ),
    (
        "docs/evidence.md",
        "with neither warm-up nor moving momentum, loses as well: {v}.",
        ["gradual accuracy recipe=gradual shape=cosine vs recipe=uniform"],
    ),
    (
        "docs/evidence.md",
        "A decay of 0.5 loses to uniform, {v} with 100 questions and {v} with 300; 0.75 against uniform, "
        "with 100: {v}; with 300: {v}.",
        [text_at(size, decay) for decay in (HALF, THREE_QUARTERS) for size in (100, 300)],
    ),
    (
        "docs/evidence.md",
        "gradual unfreezing**: {v} with 100 questions, {v} with 300.",
        [text_at(size, "recipe=gradual") for size in (100, 300)],
    ),
    (
        "docs/evidence.md",
        "lose about a point** against uniform: decay 0.75 {v}, decay 0.5 {v}, gradual unfreezing {v}, which",
        [text_at(4000, recipe) for recipe in (THREE_QUARTERS, HALF, "recipe=gradual")],
    ),
    (
        "docs/evidence.md",
        "uniform is {v} from its best, decay 0.75 {v}, decay 0.5 {v}.",
        [
            f"text accuracy train_size=300 {recipe} base_lr={high} {CHOSEN_ON} vs "
            f"train_size=300 {recipe} base_lr={best} {CHOSEN_ON}"
            for recipe, high, best in (
                ("recipe=uniform", "3e-4", "1e-4"),
                (THREE_QUARTERS, "1e-3", "3e-4"),
                (HALF, "3e-3", "1e-3"),
            )
        ],
    ),
    ("docs/evidence.md", "told apart from {v} on", [f"peak tuned_detectable {PEAK}"]),
    (
        "docs/evidence.md",
        "are as good as ratio 10: {v}.",
        [PEAK_TEN_TWO],
    ),
    (
        "README.md",
        "(ratio 10 against them: {p}).",
        [PEAK_TEN_TWO],
    ),
    (
        "docs/how-we-know.md",
        "five pairs see a difference of {v} in `plateau` (ratio 100 against uniform, 500 pictures), "
        "twenty pairs {v} in `peak`.",
        [FIVE, f"peak tuned_detectable {PEAK}"],
    ),
    ("docs/advice.md", "by this many decades: {} within five", [against("width", 500, 0.05)]),
    (
        "docs/advice.md",
        "the head alone {v} against uniform",
        ["recipes accuracy recipe=head_only epochs=6 vs recipe=uniform epochs=6"],
    ),
    (
        "docs/advice.md",
        "with as many seconds as uniform: {v} |",
        ["recipes accuracy_at_equal_seconds recipe=lp_ft vs recipe=uniform epochs=6"],
    ),
    (
        "docs/advice.md",
        "rising against uniform, low contrast {v} |",
        [shifted("contrast", "differential", "uniform")],
    ),
    (
        "docs/advice.md",
        "the first split alone against uniform, noise {v} |",
        [shifted("noise", "first_splits", "uniform")],
    ),
    (
        "docs/advice.md",
        "falling against rising {v} |",
        [shifted("none", "falling", "differential")],
    ),
    (
        LESSON_6,
        "Uniform reached {}. A ratio of 100, against it: {v}.",
        ["plateau accuracy train_size=500 ratio=1", against("accuracy", 500)],
    ),
    (LESSON_6, "In four cases of five, a difference of {v};", [FIVE]),
    (LESSON_6, "Five pairs see {v}.", [FIVE]),
    ("notebooks/teaching.md", "Five pairs see {v}.", [FIVE]),
    (
        LESSON_6,
        "the choice of the rates included: {v}, where {} could have been seen.",
        [f"peak tuned {PEAK}", f"peak tuned_detectable {PEAK}"],
    ),
    *(
        ("docs/evidence.md", sentence, what)
        for sentence, what in (
            (
                "times it for the head it is a {v} under AdamW and a {v} under SGD; with BatchNorm frozen "
                "{v}, and {v}.",
                [
                    f"causes tuned {under} {GRADED} vs {under} {TWO}"
                    for under in (*FOLLOWS, *FROZEN)
                ],
            ),
            (
                "under either optimizer, {v} and {v}. With statistics that follow the pictures it is {v} "
                "under AdamW, and under SGD, where uniform is as good as anything here, {v}.",
                [
                    f"causes tuned {under} {TWO} vs {under} recipe=uniform"
                    for under in (*FROZEN, *FOLLOWS)
                ],
            ),
            (
                "two rates gain {v}, ratio 10 {v} and ratio 100 {v}, all of which survives",
                [
                    f"peak tuned {SHORT} {recipe} vs {SHORT} recipe=uniform"
                    for recipe in (TWO, RATIO_10, GRADED)
                ],
            ),
            (
                "all three are ties, ratio 100 a {v}. With 5,000 (474 steps) ratio 100 is {v}, "
                "and two rates are a {v}. A reading",
                [
                    f"peak tuned {at} {recipe} vs {at} recipe=uniform"
                    for at, recipe in ((THOUSAND, GRADED), (MANY, GRADED), (MANY, TWO))
                ],
            ),
            *(
                (
                    sentence,
                    [
                        f"peak tuned {at} {recipe} vs {at} recipe=uniform"
                        for recipe in (TWO, RATIO_10, GRADED)
                    ],
                )
                for at, sentence in (
                    (SHORT_AUGMENTED, "two rates then gain {v}, ratio 10 {v} and ratio 100 {v};"),
                    (AUGMENTED, "in six two rates gain {v}, ratio 10 {v} and ratio 100 {v}."),
                )
            ),
            (
                "In twelve epochs (96 steps) ratio 100 against uniform is a {v}.",
                [f"peak tuned {LONG} {GRADED} vs {LONG} recipe=uniform"],
            ),
            (
                "In three epochs ratio 100 against them is {v}.",
                [f"peak tuned {SHORT} {GRADED} vs {SHORT} {TWO}"],
            ),
            (
                "two rates {v}, ratio 100 {v}, gradient norms {v}.",
                [
                    f"causes source_recalibrated {UNDER[0]} {recipe} vs {UNDER[0]} recipe=uniform"
                    for recipe in (TWO, GRADED, "recipe=auto_rgn")
                ],
            ),
            (
                "at equal accuracy too**, though the advantage shrinks, from {p} at the best rates (AdamW) "
                "and {p} (SGD): {v} under AdamW, {v} under SGD. A head ten times as fast as an even body "
                "does as well, {v} and {v} (recording `forgetting_500`, eight seeds, held-out pictures). "
                "From three seeds: a hundred times as fast, under AdamW, {v}; with augmented pictures {v} "
                "for ratio 100 and {v} for the head ten times as fast.",
                [
                    f"causes source_recalibrated {under} {GRADED} vs {under} recipe=uniform"
                    for under in FOLLOWS
                ]
                + [
                    f"{name} kept_at_equal_accuracy {under} {recipe} vs {under} recipe=uniform"
                    for name, recipe, under in (
                        *(("forgetting_500", GRADED, under) for under in FOLLOWS),
                        *(("forgetting_500", TWO, under) for under in FOLLOWS),
                        ("causes", "recipe=two_rates ratio=100", UNDER[0]),
                        ("causes", GRADED, UNDER[0].replace("False", "True")),
                        ("causes", TWO, UNDER[0].replace("False", "True")),
                    )
                ],
            ),
            (
                "from {p} in three epochs to {p} in twelve,",
                [anew_at(3), anew_at(12)],
            ),
            (
                "At equal accuracy it stays: {v}, {v} and {v} in three, six and twelve epochs",
                [equal_at(epochs) for epochs in (3, 6, 12)],
            ),
            (
                "Under AdamW uniform at 3e-4 keeps {} and reaches {}; at 5.6e-4, its best, {} and {} (three",
                [
                    f"causes {measure} {UNDER[0]} recipe=uniform base_lr={lr} {CHOSEN_ON}"
                    for lr in ("3e-4", "5.6e-4")
                    for measure in ("source_recalibrated", "accuracy")
                ],
            ),
            (
                "(own statistics, {p}); not augmented, at the rates that `peak` chose on a finer one, it "
                "keeps {v} more, and at equal accuracy {v} (`forgetting_5000`",
                [
                    "plateau source_accuracy train_size=5000 ratio=100 vs train_size=5000 ratio=1",
                    "forgetting_5000 source_recalibrated recipe=differential base_lr=1.8e-3 "
                    f"{CHOSEN_ON} vs recipe=uniform base_lr=5.6e-4 {CHOSEN_ON}",
                    "forgetting_5000 kept_at_equal_accuracy recipe=differential vs recipe=uniform",
                ],
            ),
            (
                "with the statistics that training left, ratio 100 keeps {v} more under AdamW, and {v} under "
                "SGD.",
                [
                    f"causes source_accuracy {under} {GRADED} vs {under} recipe=uniform"
                    for under in FOLLOWS
                ],
            ),
            (
                "need no ratio. Against uniform: {v}. **LP-FT** is a {v} in less time. **WiSE-FT**, "
                "halfway back, is at {v}.",
                [
                    f"causes tuned {UNDER[0]} recipe={recipe} vs {UNDER[0]} recipe=uniform"
                    for recipe in ("auto_rgn", "lp_ft", "wise_ft")
                ],
            ),
            (
                "against it ratio 100 is at {v}, a head ten times as fast as the body at {v}; "
                "ratio 10 is {v}.",
                [
                    f"networks tuned {recipe} vs recipe=uniform"
                    for recipe in (GRADED, TWO, RATIO_10)
                ],
            ),
            (
                "Against uniform, decay 0.75: {v}; decay 0.5: {v}. Of the source task they keep "
                "{v} and {v} more, each at its best rate. At [equal accuracy](#what-is-forgotten) it is {v}, "
                "and {v} (recording `forgetting_vit`, eight seeds, held-out pictures). Decays",
                [
                    f"{measure} decay={decay} vs decay=1"
                    for measure in (
                        *("vit tuned", "vit source_accuracy"),
                        "forgetting_vit kept_at_equal_accuracy",
                    )
                    for decay in ("0.75", "0.5")
                ],
            ),
        )
    ),
    (
        LESSON_6,
        "it gains under either optimizer, {v} and {v}; with statistics that follow it loses under SGD: {v}.",
        [
            f"causes tuned {under} {TWO} vs {under} recipe=uniform"
            for under in (*FROZEN, FOLLOWS[1])
        ],
    ),
    (
        LESSON_6,
        "In half as many epochs there is a gain: {v}.",
        [f"peak tuned {SHORT} {GRADED} vs {SHORT} recipe=uniform"],
    ),
    (
        LESSON_6,
        "With augmentation, which costs uniform three points in so short a training, it is {v} in six.",
        [f"peak tuned {AUGMENTED} {GRADED} vs {AUGMENTED} recipe=uniform"],
    ),
    (
        "docs/advice.md",
        "augmented pictures: {v} and {v}; lesson 6",
        [
            f"peak tuned {AUGMENTED} {recipe} vs {AUGMENTED} recipe=uniform"
            for recipe in (TWO, GRADED)
        ],
    ),
    (
        "docs/advice.md",
        "three epochs: two rates {v} against uniform, ratio 100 {v};",
        [f"peak tuned {SHORT} {recipe} vs {SHORT} recipe=uniform" for recipe in (TWO, GRADED)],
    ),
    (
        "docs/advice.md",
        "is at {v} against uniform, unless BatchNorm is frozen.",
        [f"causes tuned {FOLLOWS[1]} {TWO} vs {FOLLOWS[1]} recipe=uniform"],
    ),
    *(
        (place, sentence, ["networks_96 tuned recipe=head_only vs recipe=uniform"])
        for place, sentence in (
            (LESSON_6, "the head alone is best: {v} (`networks_96`)."),
            ("docs/advice.md", "at 96 pixels, `networks_96`: {v}"),
        )
    ),
    (
        "docs/evidence.md",
        "ahead of all**, {v} against uniform; ratio 10 is at {v}, ratio 100 at {v}, the head first, then "
        "all, at {v}.",
        [
            f"networks_96 tuned {recipe} vs recipe=uniform"
            for recipe in ("recipe=head_only", RATIO_10, GRADED, "recipe=lp_ft")
        ],
    ),
    (
        "docs/evidence.md",
        "with 64 pixels the head alone is at {v}.",
        ["networks tuned recipe=head_only vs recipe=uniform"],
    ),
    (
        LESSON_6,
        "a ratio of 100 against it is at {v} (rec",
        [f"networks tuned {GRADED} vs recipe=uniform"],
    ),
    (
        "README.md",
        "With augmentation ratio 100 gains {p} in six (`peak`).",
        [f"peak tuned {AUGMENTED} {GRADED} vs {AUGMENTED} recipe=uniform"],
    ),
    (
        "README.md",
        "uniform is ahead of two rates by {m} points under SGD, of ratio 100 by {m} on EfficientNet-Lite0 (",
        [
            f"causes tuned {FOLLOWS[1]} {TWO} vs {FOLLOWS[1]} recipe=uniform",
            f"networks tuned {GRADED} vs recipe=uniform",
        ],
    ),
    (
        LESSON_6,
        "at equal accuracy the faster head keeps {v} more of the source task.",
        [EQUAL],
    ),
    (
        "docs/advice.md",
        "at equal accuracy, of the source task {v}; `forgetting_vit`, decay 0.75: {v};",
        [EQUAL, "forgetting_vit kept_at_equal_accuracy decay=0.75 vs decay=1"],
    ),
    ("docs/advice.md", "`networks`: {v})", [f"networks tuned {GRADED} vs recipe=uniform"]),
    (
        "docs/advice.md",
        "ratio 10 against two rates: {v};",
        [PEAK_TEN_TWO],
    ),
    (
        LESSON_6,
        "The peaks with 5,000, ratio 100 against uniform: {v}.",
        [against("accuracy", 5000)],
    ),
    (
        LESSON_6,
        "on the test pictures: {v}.",
        ["plateau accuracy train_size=500 ratio=0.1 vs train_size=500 ratio=1"],
    ),
    (
        LESSON_6,
        "At three epochs differential is ahead: {v}.",
        ["recipes accuracy recipe=differential epochs=3 vs recipe=uniform epochs=3"],
    ),
    (
        LESSON_7,
        "with new labels: {v}, and with noise: {v}.",
        [shifted(shift, "first_splits", "head_only") for shift in ("none", "noise")],
    ),
    (
        LESSON_7,
        "*not* for low contrast: {v}.",
        [shifted("contrast", "first_splits", "head_only")],
    ),
    (
        LESSON_7,
        "rates against rising ones, with new labels: {v}.",
        [shifted("none", "falling", "differential")],
    ),
    (
        LESSON_7,
        "it has become a gain: {v}.",
        [shifted("contrast", "falling", "differential")],
    ),
    (
        "docs/evidence.md",
        "under noise they are ahead by {v}, and",
        [shifted("noise", "falling", "uniform")],
    ),
    (
        "docs/evidence.md",
        "under noise only, {v}, and the head alone gains {v} (blur) and {v} (low contrast) by it.",
        [
            shifted("noise", "first_splits", "head_only", "drifting"),
            head_follows("blur"),
            head_follows("contrast"),
        ],
    ),
    ("docs/evidence.md", "the last by {v}, and all", [shifted("contrast", "wise_ft", "uniform")]),
    (
        "docs/evidence.md",
        "they alone gain {v} under low contrast and {v} under noise. What the way back adds is {v} with "
        "turned colours; under low contrast, {v},",
        [
            *(shifted(shift, "recalibrated", "uniform") for shift in ("contrast", "noise")),
            *(shifted(shift, "wise_ft", "recalibrated") for shift in ("colour", "contrast")),
        ],
    ),
    ("docs/evidence.md", "gain under noise, {v}.", [shifted("noise", "auto_rgn", "uniform")]),
    (
        LESSON_7,
        "(`difflr.suggest_lrs`): {v} against uniform under noise,",
        [shifted("noise", "auto_rgn", "uniform")],
    ),
    ("docs/advice.md", "the head alone, blur {v};", [head_follows("blur")]),
    (LESSON_7, "wins a point under noise, {v}, and", [shifted("noise", "falling", "uniform")]),
    (
        LESSON_7,
        "under low contrast {v}. Again most of it is statistics: estimated anew after training at uniform "
        "rates, they alone bring {v}. Only with turned colours is the way back itself seen to help: {v}.",
        [
            shifted("contrast", "wise_ft", "uniform"),
            shifted("contrast", "recalibrated", "uniform"),
            shifted("colour", "wise_ft", "recalibrated"),
        ],
    ),
    (
        LESSON_7,
        "and *rising* loses under low contrast: {v}.",
        [shifted("contrast", "differential", "uniform")],
    ),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which the made-up recording can be named by its file."""
    plateau(tmp_path)
    monkeypatch.chdir(tmp_path)
    quotes._load.cache_clear()
    yield tmp_path
    quotes._load.cache_clear()


QUOTE = "plateau.json.gz accuracy train_size=40 ratio=1 base_lr=0.01"


@pytest.mark.parametrize(
    ("page", "sentence", "what"),
    SENTENCES,
    ids=lambda part: part[:30] if isinstance(part, str) else "",
)
def test_sentences_say_what_was_recorded(page, sentence, what):
    """A number in a sentence is the recorded one, to the digit."""
    numbers = iter(what)

    def number(place):
        found = quotes.quoted(next(numbers), verdict=place[0] == "{v}")
        if place[0] == "{m}":
            return found.split(" ")[0].removeprefix("-")
        return f"{found} points" if place[0] == "{p}" else found

    sentence = re.sub(r"\{[pmv]?\}", number, sentence)
    text = (ROOT / page).read_text("utf-8")
    text = re.sub(r"^# ", "", text, flags=re.MULTILINE) if page.endswith(".py") else text
    assert sentence in " ".join(text.split())
    assert not list(numbers)


def test_what_the_readme_calls_a_tie_is_one():
    """Twenty pairs, and an interval with the choice inside that two one-sided tests keep within a point."""
    assert quotes.quoted(f"peak tuned {PEAK}").startswith("tie (")
    tested = load_recording("peak").where(
        measured_on="test", train_size=500, epochs=6, augment=False
    )
    assert {
        len({r.seed for r in tested if r.cell.recipe == n}) for n in ("uniform", "differential")
    } == {20}


def test_augmentation_costs_more_than_a_ratio_gains():
    """As Evidence says: in few epochs of 500 pictures, each at its best rate."""
    for epochs in (3, 6):
        tested = load_recording("peak").where(measured_on="test", train_size=500, epochs=epochs)
        of = {
            key: fmean(run.accuracy for run in runs)
            for key, runs in grouped(tested, "recipe", "augment").items()
        }
        best = max(accuracy for (_, augment), accuracy in of.items() if augment)
        assert of["uniform", False] > best + 0.01


@pytest.mark.parametrize(
    ("recipe", "page", "sentence"),
    [
        (
            "head_only",
            "difflr/lessons/own_images/threeplans.py",
            "head alone, {} to {} points were lost",
        ),
        ("first_splits", "difflr/lessons/own_images/threeplans.py", "it lost {} to {} points"),
        ("first_splits", LESSON_7, "*only first* loses {} to {} points against plain uniform"),
    ],
)
def test_what_one_split_alone_loses_under_shifts_is_what_was_recorded(recipe, page, sentence):
    """The least and the most of four shifts, in whole points."""
    lost = sorted(
        -float(quotes.quoted(shifted(shift, recipe, "uniform"), verdict=False).split(" ")[0])
        for shift in ("noise", "blur", "contrast", "colour")
    )
    assert sentence.format(f"{lost[0]:.0f}", f"{lost[-1]:.0f}") in (ROOT / page).read_text("utf-8")


def test_the_text_names_the_causes_that_survive_correction():
    """Of ten differences to uniform in each of eight rows, those below 5%; and what five pairs see."""
    rivals = [f"recipe=two_rates ratio={ratio}" for ratio in (3, 10, 30, 100)]
    rivals += [f"recipe=differential ratio={ratio}" for ratio in (10, 100, 1000)]
    rivals += [f"recipe={name}" for name in ("lp_ft", "auto_rgn", "wise_ft")]
    found, seen = {}, []
    for under, augment, ours in product(UNDER, ("False", "True"), rivals):
        under = under.replace("augment=False", f"augment={augment}")
        sides = f"{under} {ours} vs {under} recipe=uniform"
        p = quotes.quoted(f"causes tuned_holm {sides}")
        if p == "< 0.001" or float(p) < 0.05:
            found[under, ours] = p
        if augment == "True":
            seen.append(float(quotes.quoted(f"causes tuned_detectable {sides}").split(" ")[0]))
    assert {*found} == {(UNDER[1], TWO), (UNDER[2], TWO), (UNDER[3], TWO), (UNDER[2], GRADED)}
    text = " ".join((ROOT / "docs" / "evidence.md").read_text("utf-8").split())
    assert f"ratio 100's under SGD, p = {found[UNDER[2], GRADED]}, survive" in text
    assert f"could have seen {min(seen)} to {max(seen)} points of difference to uniform" in text


def test_the_text_says_what_five_pairs_see_under_shifts():
    """The smallest and the largest of what could have been seen, new labels among them."""
    ranges = []
    for recipe in ("differential", "falling"):
        seen = [
            quotes.quoted(shifted(shift, recipe, "uniform").replace("accuracy", "detectable"))
            for shift in ("none", "noise", "blur", "contrast", "colour")
        ]
        numbers = sorted(float(text.split(" ")[0]) for text in seen)
        ranges.append(f"{numbers[0]} to {numbers[-1]}")
    text = " ".join((ROOT / "docs" / "evidence.md").read_text("utf-8").split())
    assert f"{ranges[0]} points of rising rates and {ranges[1]} of falling ones" in text


def test_the_text_names_the_rates_that_were_chosen():
    """One per rival on the test pictures, and a neighbour on either side was tried by five seeds."""
    runs = load_recording("peak")
    text = " ".join((ROOT / "docs" / "evidence.md").read_text("utf-8").split())
    rates = {}
    tags = ("train_size", "epochs", "augment", "recipe", "ratio")
    for key, found in grouped(runs.where(measured_on="test"), *tags).items():
        (chosen,) = {run.tags["base_lr"] for run in found}
        tried = runs.where(measured_on="validation", **dict(zip(tags, key, strict=True)))
        enough = [lr for (lr,), some in grouped(tried, "base_lr").items() if len(some) == 5]
        assert min(enough) < chosen < max(enough), key
        rates[key] = f"{chosen:g}"
    assert {key[3:]: lr for key, lr in rates.items() if key[:3] == (500, 6, False)} == {
        ("uniform", 1.0): "0.00056",
        ("two_rates", 10.0): "0.0032",
        ("differential", 10.0): "0.001",
        ("differential", 100.0): "0.0018",
    }
    assert "5.6e-4 (uniform), 3.2e-3 (two rates), 1e-3 (ratio 10) and 1.8e-3 (ratio 100)" in text


def test_p_and_power_of_tuned_differences_hold_the_choice():
    """Those of the interval that the text shows, for all three rivals of uniform at once."""
    runs = load_recording("peak").where(train_size=500, epochs=3, augment=True)
    sides = grouped(runs, "recipe", "ratio")
    uniform = sides.pop(("uniform", 1.0))
    gaps = {key: tuned_difference(own, uniform) for key, own in sides.items()}
    p = dict(zip(gaps, holm([p_value(gap) for gap in gaps.values()]), strict=True))
    at = "train_size=500 epochs=3 augment=True"
    for (recipe, ratio), gap in gaps.items():
        sides = f"{at} recipe={recipe} ratio={ratio:g} vs {at} recipe=uniform"
        said = quotes.quoted(f"peak tuned_holm {sides}")
        assert said == ("< 0.001" if p[recipe, ratio] < 0.001 else f"{p[recipe, ratio]:.2g}")
        assert (
            quotes.quoted(f"peak tuned_detectable {sides}") == f"{100 * detectable(gap):.1f} points"
        )


def test_a_table_is_generated_and_its_stale_rows_are_named():
    """Between its two comments stands what was recorded; an unknown table is refused."""
    stale = "<!-- table: plateau -->\n\n| 1 (uniform) | 99% |\n\n<!-- end of table -->"
    fresh, changes = quotes.rewritten(stale)
    assert "| 1 (uniform) | 59.5% ± 1.6 |" in fresh
    assert changes
    assert quotes.rewritten(fresh) == (fresh, [])
    with pytest.raises(DifflrError, match="beauty"):
        quotes.rewritten(stale.replace("plateau", "beauty"))


def test_the_tables_of_the_docs_say_what_was_recorded():
    """Every row is the recorded one, to the digit."""
    text = (ROOT / "docs" / "evidence.md").read_text("utf-8")
    assert text.count("<!-- table:") == len(quotes.TABLES)
    assert quotes.rewritten(text)[1] == []


def test_a_stale_table_is_said_and_written_anew(tmp_path, capsys, monkeypatch):
    """The command ends with 1 where a row differs and, with --write, mends it; the rest stays."""
    path = tmp_path / "text.md"
    empty = "Above.\n\n<!-- table: which_splits -->\n<!-- end of table -->\n\nBelow.\n"
    page, _ = quotes.rewritten(empty)
    path.write_text(page.replace("| noise |", "| noise | 99% |"), "utf-8")
    assert path.read_text("utf-8") != page
    monkeypatch.setattr("sys.argv", ["quotes", str(path)])
    assert quotes.main() == 1
    assert "99%" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["quotes", str(path), "--write"])
    assert quotes.main() == 0
    assert path.read_text("utf-8") == page
    assert quotes.main() == 0


@pytest.mark.parametrize(
    ("what", "like"),
    [
        (
            f"{QUOTE} vs train_size=40 ratio=100 base_lr=0.01",
            r"(tie \(|not told apart: between )?[+-]\d+\.\d",
        ),
        (
            "plateau.json.gz accuracy_at_equal_seconds train_size=40 ratio=0.1 base_lr=0.01 "
            "vs train_size=40 ratio=1 base_lr=0.01",
            r"(tie \(|not told apart: between )?[+-]\d+\.\d",
        ),
        ("plateau.json.gz width measured_on=validation train_size=40 ratio=1", r"\d\.\d \(\d"),
        ("plateau.json.gz flops train_size=40 ratio=1 base_lr=0.01", r"3\.00"),
        ("plateau.json.gz source_accuracy train_size=40 ratio=1 base_lr=0.01", r"\d+\.\d% ± "),
        ("plateau.json.gz cpu_seconds train_size=40 ratio=1 base_lr=0.01", r"\d+\.\d s ± "),
    ],
)
def test_what_can_be_quoted(folder, what, like):
    """Means, paired differences, widths, costs."""
    assert re.match(like, quotes.quoted(what))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nowhere accuracy", "cannot be read"),
        ("plateau.json.gz beauty ratio=1", "beauty"),
        (f"plateau.json.gz accuracy_at_equal_seconds {QUOTE.partition(' accuracy ')[2]}", "whose"),
        ("plateau.json.gz accuracy depth=1", "depth"),
        ("plateau.json.gz accuracy ratio=7", "No run"),
    ],
)
def test_a_quote_of_nothing_is_refused(folder, what, message):
    """Unknown recordings, measures, tags and values are named."""
    with pytest.raises(DifflrError, match=message):
        quotes.quoted(what)
