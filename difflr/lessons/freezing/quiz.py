"""Lesson 2, Freezing: its self-test."""

from difflr.lessons.quiz import Question, Quiz

__all__ = ["quiz"]

quiz = Quiz(
    "Self-test: freezing",
    [
        Question(
            "You freeze layer3 only; everything before and after it trains. What do you save?",
            (
                "the whole backward pass of layer3",
                "the gradients of layer3's weights, and nothing else",
                "the backward pass of layer3 and all before it",
                "the forward pass of layer3",
            ),
            1,
            (
                "What lies before layer3 needs its gradient, and that must come through layer3.",
                "The gradient must still pass through layer3 to reach what lies before it.",
                "That would be so if everything before layer3 were frozen too.",
                "Without its forward pass there is nothing to pass on to layer4.",
            ),
        ),
        Question(
            "No parameter of a network requires a gradient. In train mode it sees new pictures.",
            (
                "nothing in it can change",
                "its BatchNorm weights change",
                "its BatchNorm statistics change, and with them its answers",
                "torch raises an error",
            ),
            2,
            (
                "Buffers can: forward writes them, without any gradient.",
                "Those are parameters, which only an optimizer moves.",
                "Running mean and variance follow whatever comes by in train mode.",
                "Without a backward pass nothing is missing.",
            ),
        ),
        Question(
            "A frozen weight has gradient 0, not None. AdamW, lr=0.1, weight_decay=0.1, no momentum "
            "yet. What does a step do?",
            (
                "nothing: 0 times anything is 0",
                "it makes the weight 1% smaller",
                "it makes the weight 10% smaller",
                "it adds noise",
            ),
            1,
            (
                "AdamW's weight decay does not go through the gradient.",
                "Decay multiplies by 1 - lr × weight_decay = 0.99, whatever the gradient is.",
                "Decay is scaled by the learning rate: 0.1 × 0.1.",
                "There is no noise in an optimizer's step.",
            ),
        ),
        Question(
            "Somebody freezes a split by giving it a learning rate of 0. What is different?",
            (
                "nothing",
                "its weights shrink all the same",
                "backward is paid for all the same, and BatchNorm statistics move",
                "it cannot be thawed again",
            ),
            2,
            (
                "The weights stay, but that is not all that freezing is for.",
                "In AdamW and SGD the learning rate multiplies weight decay too.",
                "Gradients are computed and then multiplied by 0, and train mode is still on.",
                "A learning rate can be raised at any time.",
            ),
        ),
        Question(
            "An optimizer was made from the parameters that required gradients. Then you thaw all.",
            (
                "the thawed ones get gradients, but never move",
                "the optimizer finds the new ones by itself",
                "torch raises an error at the next step",
                "the thawed ones move without momentum",
            ),
            0,
            (
                "You pay for their gradients, and nobody uses them. Nothing says so.",
                "It holds a list, made once.",
                "Nothing is wrong for torch: they are simply not in its list.",
                "They do not move at all.",
            ),
        ),
    ],
)
