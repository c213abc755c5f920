"""Lesson 7, When the recipe is wrong: its self-test."""

from difflr.lessons.quiz import Question, Quiz

__all__ = ["quiz"]

quiz = Quiz(
    "Self-test: when the recipe is wrong",
    [
        Question(
            "A hospital gets a new X-ray machine; the diagnoses stay the same. What kind of shift?",
            ("of the labels", "of the input", "of both", "none: the task is the same"),
            1,
            (
                "The labels are the diagnoses, and they stay.",
                "The same things look different now.",
                "No label changed its meaning.",
                "For the network the pictures are new, whatever we call the task.",
            ),
        ),
        Question(
            "Under an input shift you train only the first split. Why must the old head stay?",
            (
                "a new one would stay random, since it is frozen",
                "it has too many parameters",
                "BatchNorm would drift",
                "it would learn too fast",
            ),
            0,
            (
                "Only the first split learns. What is frozen at random stays at random.",
                "It has next to none: lesson 1.",
                "The head has no BatchNorm, and frozen BatchNorm keeps its statistics.",
                "What is frozen does not learn at all.",
            ),
        ),
        Question(
            "How do you freeze all splits behind the second of six?",
            ("freeze_to=2", "freeze_to=-2", "frozen=(2, 3, 4, 5)", "learning rates of 0 for them"),
            2,
            (
                "That freezes the first two and trains the rest.",
                "That trains the last two.",
                "freeze_to freezes the front only; frozen names any splits.",
                "A plan refuses it: they would pay for gradients, and their statistics would drift.",
            ),
        ),
        Question(
            "Fine-tuned at tiny learning rates, the old task is still mostly forgotten. By what?",
            (
                "by the weights of the stem",
                "by the new head",
                "by the running statistics of BatchNorm",
                "by weight decay",
            ),
            2,
            (
                "At tiny rates they have hardly moved.",
                "The old task is measured with the old head.",
                "They follow the new pictures at any learning rate. The old ones bring most of it back.",
                "It shrinks weights by the learning rate times 0.01: next to nothing.",
            ),
        ),
        Question(
            "You know that the input will shift, not how. Which recipe do you prepare?",
            (
                "the best one for the shift you saw last",
                "the one whose largest regret over the likely shifts is smallest",
                "rising learning rates, as always",
                "the head only, it is the fastest",
            ),
            1,
            (
                "It may be the worst for the next one.",
                "It may be best nowhere, and is never far from the best.",
                "They are advice for new labels.",
                "It cannot repair what the first splits no longer see.",
            ),
        ),
    ],
)
