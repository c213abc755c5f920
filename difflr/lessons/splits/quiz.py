"""Lesson 1, Splits: its self-test."""

from difflr.lessons.quiz import Question, Quiz

__all__ = ["quiz"]

quiz = Quiz(
    "Self-test: splits",
    [
        Question(
            "What must the splits of a network hold together?",
            (
                "every parameter at least once",
                "every parameter exactly once",
                "every layer that children() lists",
                "the parameters that are trained first",
            ),
            1,
            (
                "A parameter in two splits would have two learning rates, and torch refuses it.",
                "One that is missing never learns; one that is doubled has two learning rates.",
                "A parameter held by the network itself, such as a position embedding, is no child.",
                "What is frozen now belongs to a split too: it may be trained later.",
            ),
        ),
        Question(
            "Where are most of a ResNet's parameters, and where most of its operations?",
            (
                "both in the last layers",
                "both in the first layers",
                "parameters in the last layers, operations spread out",
                "parameters in the head, operations in the stem",
            ),
            2,
            (
                "The last layers have many channels, but their pictures are small.",
                "The first layers have large pictures, but few channels.",
                "Halving the picture and doubling the channels about keeps the operations, and "
                "quadruples the parameters.",
                "Head and stem are both small.",
            ),
        ),
        Question(
            "A network's children are fc, norm, blocks, patches. What does that say of its depth?",
            (
                "fc is the shallowest",
                "nothing: forward decides",
                "fc is the deepest, the list runs backwards",
                "blocks must come before patches",
            ),
            1,
            (
                "children() gives the order of __init__, which nobody has to keep in forward.",
                "Only forward says which layer sees the picture first.",
                "It may be so here, but the list does not say it.",
                "Only forward can say that.",
            ),
        ),
        Question(
            "The splits are in the reverse order. What does a differential plan do?",
            (
                "it raises an error",
                "it trains the stem fastest and the head slowest",
                "the same as before",
                "it trains nothing",
            ),
            1,
            (
                "No program can know which order you meant. That is why one looks at the report.",
                "The rates follow the splits, so the new head hardly learns.",
                "Each parameter gets another learning rate.",
                "Every split trains, but at the wrong rate.",
            ),
        ),
        Question(
            "readout.weight and embed.weight are one tensor. How many splits can hold it?",
            (
                "two, one for each name",
                "none, it must be frozen",
                "one; two networks would be needed for more",
                "as many as there are layers that use it",
            ),
            2,
            (
                "Two names, but one tensor, which can only be moved by one learning rate.",
                "It may well train.",
                "One tensor, one place in the optimizer, one learning rate.",
                "Layers may share a tensor; a learning rate applies to the tensor.",
            ),
        ),
    ],
)
