"""Lesson 8, Your own images: its self-test."""

from difflr.lessons.quiz import Question, Quiz

__all__ = ["quiz"]

quiz = Quiz(
    "Self-test: your own images",
    [
        Question(
            "A test picture lies in train/ too, saved again as JPEG. What finds it?",
            (
                "comparing the names of the files",
                "comparing the bytes of the files",
                "comparing pixels exactly",
                "only a comparison that allows small differences",
            ),
            3,
            (
                "A copy may have any name.",
                "Saving again changes the bytes.",
                "JPEG changes the pixels a little, so no two need be equal.",
                "Shrink both pictures and compare with a tolerance, or look: there is no sure way.",
            ),
        ),
        Question(
            "Which pictures may decide the learning rate?",
            (
                "the test pictures, if they are looked at only once per rate",
                "held-out training pictures",
                "the pictures that the network trains on",
                "whichever are most",
            ),
            1,
            (
                "Each look is a try, and the best of many tries looks better than it is.",
                "They cost some training pictures, and leave the test pictures untouched.",
                "There the rate that learns by heart wins.",
                "Many pictures make the choice less noisy, not more honest.",
            ),
        ),
        Question(
            "What does a range test on your pictures tell you?",
            (
                "a base learning rate at which the loss falls fast, from some steps",
                "the best learning rate",
                "which recipe is best",
                "the ratio between the splits' learning rates",
            ),
            0,
            (
                "It says where to begin to look; validation pictures decide.",
                "The loss of a few steps is not the accuracy after a training.",
                "It tests one plan at a time and measures no accuracy.",
                "The ratios are held, so it cannot say anything of them.",
            ),
        ),
        Question(
            "Over three seeds, B is better than A by 1.2 ± 2.0 points. What do you report?",
            (
                "B is better by 1.2 points",
                "A and B are equally good",
                "not told apart: between -0.8 and +3.2 points",
                "nothing: no difference is no result",
            ),
            2,
            (
                "The interval holds differences below 0 as well.",
                "It also holds a lead of 3 points: not to see a difference is not to see equality.",
                "And the interval says how large a difference could have hidden.",
                "Whoever hides such results shows only lucky draws.",
            ),
        ),
        Question(
            "All runs used the same training pictures, and the interval is narrow. What is not in it?",
            (
                "another order of the batches",
                "another random head",
                "other pictures of the same classes",
                "the augmentation",
            ),
            2,
            (
                "The order follows the seed, so the interval holds it.",
                "The head follows the seed, so the interval holds it.",
                "Had you collected other pictures, all runs would have moved together.",
                "The augmentation follows the seed, so the interval holds it.",
            ),
        ),
    ],
)
