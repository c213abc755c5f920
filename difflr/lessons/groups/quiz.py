"""Lesson 3, Parameter groups: its self-test."""

from difflr.lessons.quiz import Question, Quiz

__all__ = ["quiz"]

quiz = Quiz(
    "Self-test: parameter groups",
    [
        Question(
            "AdamW(groups, lr=1e-3), and each of the groups has an lr of its own. Which rate holds?",
            (
                "1e-3 for all",
                "each group's own; 1e-3 is for groups without one",
                "the smaller of the two",
                "the product of the two",
            ),
            1,
            (
                "The optimizer's options are defaults: what a group says for itself is kept.",
                "Options of the optimizer are defaults. The groups' own entries come first.",
                "Nothing is compared: what stands in the group holds.",
                "Nothing is multiplied: what stands in the group holds.",
            ),
        ),
        Question(
            "You cut a network into twelve splits instead of six. Which first rate stays the same?",
            (
                "that of Ulmfit(1e-3)",
                "that of Ratio(1e-3, 100)",
                "both",
                "neither",
            ),
            1,
            (
                "Ulmfit divides once per split: eleven times now, and not five.",
                "Its ratio is that of the two ends, however many splits lie between them.",
                "Ulmfit divides by 2.6 once per split.",
                "Ratio fixes both ends.",
            ),
        ),
        Question(
            "Why are BatchNorm's scales usually spared weight decay?",
            (
                "they have no gradient",
                "they are too small to matter",
                "their neutral value is 1, and decay pulls them towards 0",
                "torch does not allow it",
            ),
            2,
            (
                "They are parameters with gradients like others.",
                "There are few of them, but each one scales a whole channel.",
                "Decay is meant to keep weights small; a scale of 0 switches its channel off.",
                "torch decays whatever is in a group with weight_decay above 0.",
            ),
        ),
        Question(
            "A script gives the optimizer what trains at the start: the head. Later it thaws the stem. Then?",
            (
                "the stem learns at the optimizer's default rate",
                "the stem learns at the head's rate",
                "the stem has gradients, and does not move",
                "the optimizer raises an error",
            ),
            2,
            (
                "Only for what is in one of its groups. The stem is in none.",
                "Only what is in the head's group does. The stem is in none.",
                "It is in no group. Put all parameters in from the start: frozen ones are passed over.",
                "It does not know what it was not given, and says nothing.",
            ),
        ),
        Question(
            "for group, lr in zip(optimizer.param_groups, lrs): group['lr'] = lr. There are six "
            "groups and five rates. What happens?",
            (
                "an error at the sixth group",
                "the head, the last group, keeps the rate it had",
                "the stem keeps the rate it had",
                "the last rate is used twice",
            ),
            1,
            (
                "zip ends with the shorter list and says nothing.",
                "zip ends after five. Check the length first, or write zip(…, strict=True).",
                "zip begins at the front: it is the end that is left out.",
                "zip does not repeat anything.",
            ),
        ),
    ],
)
