"""The self-test of lesson 5."""

from difflr.lessons.quiz import Question, Quiz

__all__ = ["quiz"]

quiz = Quiz(
    "Self-test: phases",
    [
        Question(
            "Lightning's current_epoch is 3. Which key of a milestones dictionary begins now?",
            ("2", "3", "4", "none, keys are steps"),
            2,
            (
                "current_epoch counts from 0: there have been three epochs before this one.",
                "That milestone began an epoch ago: the keys count from 1.",
                "current_epoch counts from 0, the keys from 1.",
                "They are epochs.",
            ),
        ),
        Question(
            "Why does the recipe of 2020 train nothing on today's Lightning?",
            (
                "its learning rates are too low",
                "it raises an error in its first epoch",
                "its hook is never called, and the optimizer starts at 0",
                "AdamW has changed since",
            ),
            2,
            (
                "They are the ones it was written with, but they never reach the optimizer.",
                "It runs to the end without a word: that is the trouble.",
                "on_epoch_start is just a method to Lightning 2, and the dummy's rate of 0 stays.",
                "The optimizer does what it is told.",
            ),
        ),
        Question(
            "You rename the hook, and assign trainer.lr_schedulers. What happens?",
            (
                "the recipe works again",
                "it trains, but each epoch stays at the first rate of its cycle",
                "Lightning raises an error at the assignment",
                "nothing trains",
            ),
            1,
            (
                "Nobody steps the schedulers that are assigned there.",
                "The constructor writes a cycle's first rate; nobody ever steps the scheduler.",
                "Python lets you assign any attribute, and nobody reads this one.",
                "It does train, at a 25th of what was meant. That makes it hard to notice.",
            ),
        ),
        Question(
            "A run is resumed in the middle of a phase. Where does difflr take the frozen splits from?",
            (
                "from the checkpoint",
                "from the plan and the step",
                "from requires_grad, which torch saves",
                "they are frozen anew at the next phase",
            ),
            1,
            (
                "It holds the step and a fingerprint of the plan, nothing about freezing.",
                "What follows from plan and step need not be saved, and cannot get lost.",
                "A state_dict holds values. requires_grad is not saved.",
                "Until then the wrong splits would train.",
            ),
        ),
        Question(
            "A split is frozen in phase 1 and trains in phase 2. When does the optimizer get it?",
            (
                "when phase 2 begins",
                "at the start, with all others",
                "when its learning rate rises above 0",
                "never, it has an optimizer of its own",
            ),
            1,
            (
                "A group that comes late breaks schedulers and checkpoints.",
                "Frozen parameters have no gradient, so the optimizer passes them by.",
                "The rate of a group can change; the groups should not.",
                "One optimizer holds all groups.",
            ),
        ),
    ],
)
