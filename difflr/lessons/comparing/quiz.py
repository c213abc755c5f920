"""Lesson 6, Uniform or differential: its self-test."""

from difflr.lessons.quiz import Question, Quiz

__all__ = ["quiz"]

quiz = Quiz(
    "Self-test: uniform or differential",
    [
        Question(
            "A paired difference is +0.6 points ± 1.1. What do you report?",
            (
                "differential is better, by 0.6 points",
                "not told apart: between -0.5 and +1.7 points",
                "both are equally good",
                "nothing, until it becomes significant",
            ),
            1,
            (
                "From other seeds it might as well have been below 0.",
                "That is a result. A tie would need an interval within a point.",
                "Not to see a difference is no proof of equality: up to 1.7 points fit as well.",
                "To go on until the answer pleases is to choose the answer.",
            ),
        ),
        Question(
            "Why are learning rates not chosen on the test pictures?",
            (
                "test pictures are harder",
                "it would take longer",
                "the best of several looks better than it is",
                "the test pictures would be trained on",
            ),
            2,
            (
                "They come from the same drawer.",
                "The time is the same.",
                "Part of the best result is luck, and luck does not come back on new pictures.",
                "Choosing moves no weight, and still lets what is in them leak into the result.",
            ),
        ),
        Question(
            "Why is the difference taken seed by seed?",
            (
                "a seed draws easy or hard pictures for both sides alike",
                "to have more numbers",
                "so that the mean becomes larger",
                "because accuracies are not normally distributed",
            ),
            0,
            (
                "What both sides share cancels, and the interval becomes narrower.",
                "There are fewer numbers, one for each seed.",
                "The mean difference is the same, paired or not.",
                "Pairing has nothing to do with the shape of the distribution.",
            ),
        ),
        Question(
            "What does a large ratio between last and first LR protect against?",
            (
                "a base LR that is too low",
                "a base LR that is too high",
                "too few pictures",
                "a wrong order of the splits",
            ),
            1,
            (
                "The head then learns too slowly, and the splits before it more slowly still.",
                "The head bears a high rate, the first splits get a fraction of it.",
                "It has no influence on how many there are.",
                "In the wrong order it is the head that hardly learns: lesson 1.",
            ),
        ),
        Question(
            "Freezing first and then training all lies below uniform after six epochs each. And now?",
            (
                "uniform has won",
                "only the seconds count: freezing has won",
                "give both the same seconds, and compare once more",
                "go on with each until it is best",
            ),
            2,
            (
                "Its epochs are dearer: nothing was frozen in them.",
                "What is cheap and bad is no gain.",
                "So it was here: with as many seconds, the two were not told apart.",
                "Then whoever stops at a lucky epoch wins.",
            ),
        ),
    ],
)
