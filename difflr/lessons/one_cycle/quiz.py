"""The self-test of lesson 4."""

from difflr.lessons.quiz import Question, Quiz

__all__ = ["quiz"]

quiz = Quiz(
    "Self-test: OneCycleLR",
    [
        Question(
            "A cycle of 50 steps has pct_start=0.3. At which step does it peak?",
            ("at step 15", "at step 14", "at step 30", "at step 25"),
            1,
            (
                "The rise takes 15 steps, but they are numbered from 0.",
                "The rise takes 0.3 × 50 = 15 steps, numbers 0 to 14.",
                "pct_start is a share of all steps, not a number of steps.",
                "pct_start=0.5 would put it there, or one step before.",
            ),
        ),
        Question(
            "max_lr=1, div_factor=10, final_div_factor=100. Which learning rate comes last?",
            ("0", "0.1", "0.01", "0.001"),
            3,
            (
                "A cycle stops a little above 0.",
                "That is the first one.",
                "final_div_factor divides the first learning rate, not the peak.",
                "1 / 10 is the first one, and a hundredth of that is the last.",
            ),
        ),
        Question(
            "What does the momentum do while the learning rate rises?",
            (
                "it falls",
                "it rises too",
                "it stays, unless it is AdamW",
                "it falls with SGD and rises with AdamW",
            ),
            0,
            (
                "It moves against the learning rate: SGD's momentum and AdamW's first beta alike.",
                "Long steps with a long memory would be too much of both.",
                "AdamW has one too: the first of its betas. It moves with either optimizer.",
                "The first beta of AdamW is moved just as SGD's momentum is.",
            ),
        ),
        Question(
            "Groups have lr=1e-5 and lr=1e-3. What does OneCycleLR(optimizer, 1e-2) train them with?",
            (
                "up to 1e-5 and up to 1e-3",
                "both up to 1e-2",
                "an error is raised",
                "up to 1e-2, but a hundred times less for the first",
            ),
            1,
            (
                "Their own learning rates are written over. Pass a list.",
                "One number holds for every group, and the groups' own are lost without a word.",
                "Nothing is raised: that is the trouble.",
                "The ratio between the groups is not kept.",
            ),
        ),
        Question(
            "Lightning gets [optimizer], [OneCycleLR(…, total_steps=1000)]; an epoch has 100 steps. "
            "What happens in 10 epochs?",
            (
                "one whole cycle",
                "ten cycles",
                "the learning rate hardly leaves its start",
                "an error at the end",
            ),
            2,
            (
                "For that the scheduler must be stepped with every step.",
                "A cycle never begins again by itself.",
                "It is stepped once per epoch, ten times in all, of a thousand. Nothing is raised.",
                "An error comes after too many steps, not after too few.",
            ),
        ),
    ],
)
