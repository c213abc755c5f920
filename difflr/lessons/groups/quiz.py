"""Lesson 3, Parameter groups: its self-test."""

from difflr.lessons.quiz import Question, Quiz

__all__ = ["quiz"]

quiz = Quiz(
    "Self-test: parameter groups",
    [
        Question(
            "Six groups have learning rates from 1e-5 to 1e-3. You add OneCycleLR(optimizer, "
            "max_lr=1e-3). Which rates do they reach?",
            (
                "their own, as they were given",
                "1e-3, all six",
                "their own, each scaled by 1e-3",
                "1e-3 the last, the others none",
            ),
            1,
            (
                "OneCycleLR overwrites them at once and never looks back.",
                "One max_lr is meant for every group. Give it a list, one number per group.",
                "Nothing is multiplied: max_lr replaces what was there.",
                "All groups are scheduled alike.",
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
            "A script adds a parameter group when it unfreezes the stem. OneCycleLR is running. Then?",
            (
                "the new group follows the same cycle",
                "the new group keeps its rate",
                "the next step of the scheduler fails: entries are missing",
                "the optimizer refuses the group",
            ),
            2,
            (
                "The cycle's ends were written into the groups of the first day only.",
                "So it is with some other schedulers; OneCycleLR looks for entries that are missing.",
                "A KeyError for initial_lr. With all groups there from the start nothing is missing.",
                "Optimizers take new groups at any time.",
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
