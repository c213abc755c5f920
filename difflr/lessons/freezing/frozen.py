"""Where a learner's freezing goes wrong: what is set, and what moves in spite of it."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

from difflr.lessons.checking import Wrong
from difflr.lessons.trials import Passes, moved, tensors
from difflr.splits import Split, Splits

__all__ = ["as_asked", "two_epochs"]


def as_asked(splits: Splits, first: int) -> None:
    """Raise ``Wrong`` unless splits from ``first`` on are set to train, and all others to rest."""
    if any("requires_grad" in vars(module) for module in splits.model.modules()):
        raise Wrong(
            "You set `requires_grad` on a module. Python allows it, and torch never looks there.",
            "Set it on parameters: `for p in split.parameters.values(): p.requires_grad_(…)`.",
        )
    for index, split in enumerate(splits):
        trains = index >= first
        norms = {m.training for m in split.modules if isinstance(m, nn.BatchNorm2d)}
        if {p.requires_grad for p in split.parameters.values()} != {trains}:
            if first == 0:
                raise Wrong(
                    "Called again with `first=0`, your function leaves something frozen. What "
                    "freezes should be able to thaw.",
                    "Set `requires_grad` to a condition, not always to False.",
                )
            raise Wrong(
                f"With `first={first}` split {index} should {'train' if trains else 'be frozen'}, "
                "and is not told so.",
                "`first` is the index of the first split that trains: compare it with the split's.",
            )
        if not trains and True in norms:
            raise Wrong(
                "The BatchNorm trap: layers of a frozen split are still in train mode. They normalise by "
                "each batch, and their statistics follow it unless something else holds them.",
                "Look for each `nn.BatchNorm2d` among `split.modules`.",
                "`module.train(False)`, or `module.eval()`, puts it into eval mode.",
            )
        if trains and False in norms:
            raise Wrong(
                f"BatchNorm layers of split {index}, which trains, are in eval mode: their statistics "
                "would no longer follow the weights.",
                "Called on a network in train mode, your function put them to sleep."
                if splits.model.training
                else "Your function put the whole network into eval mode. `eval()` reaches all that "
                "lies below a module, and the network itself, which holds the stem's layers "
                "directly, is among `splits[0].modules`.",
                "Choose the layers with `isinstance(module, nn.BatchNorm2d)`, and give each the mode of "
                "its split: `module.train(trains)`.",
            )


def two_epochs(
    splits: Splits, batches: Passes, start: dict[str, Tensor], end: dict[str, Tensor]
) -> None:
    """Raise ``Wrong`` unless the head alone moved in the first pass, and the last two splits then."""
    middle = batches.states[len(batches) - 1]
    for epoch, first, old, new in ((1, 5, start, middle), (2, 4, middle, end)):
        for index, split in enumerate(splits):
            strayed = moved(old, new, tensors(splits.model, split))
            parameters = [name for name in strayed if name in split.parameters]
            if index < first and parameters:
                raise Wrong(
                    f"`{parameters[0]}` should be frozen in epoch {epoch}, and moves.",
                    "`freeze_to` says which split is the first to train, and must say so in time.",
                )
            if index < first and strayed:
                raise Wrong(
                    f"`{strayed[0]}` moves in epoch {epoch}, although no parameter of its split does: "
                    "something woke a frozen BatchNorm layer.",
                    "`network.train()` puts *every* layer into train mode.",
                    "Call `freeze_to` after `network.train()`, in every epoch.",
                )
            if index >= first and not parameters:
                _unmoved(split, batches.optimizers, epoch)
                raise Wrong(
                    f"`{split.name}` should train in epoch {epoch}, and its parameters do not move. "
                    "An optimizer moves what it was given when it was made.",
                    "Which parameters had `requires_grad` when the list for the optimizer was made?",
                    "Give it all parameters from the start: it passes over those without a gradient.",
                )
            if index >= first and strayed == parameters and index < 5:
                raise Wrong(
                    f"The BatchNorm layers of `{split.name}`, which trains in epoch {epoch}, are in "
                    "eval mode: their statistics do not follow its weights.",
                    "The network comes in eval mode, and `freeze_to` wakes nobody in a network that "
                    "is not in train mode.",
                    "Begin every epoch with `network.train()`, then freeze.",
                )


def _unmoved(split: Split, optimizers: Sequence[Optimizer], epoch: int) -> None:
    """Raise ``Wrong`` where a split that does not move is in an optimizer, and say why it rests."""
    own = {id(p) for p in split.parameters.values()}
    groups = [
        group
        for optimizer in optimizers
        for group in optimizer.param_groups
        if own & {id(p) for p in group["params"]}
    ]
    if groups and not any(float(group["lr"]) for group in groups):
        raise Wrong(
            f"`{split.name}` should train in epoch {epoch}, and is in the optimizer with a learning "
            "rate of 0.",
            "Give the optimizer a learning rate above 0.",
        )
    if groups and not any(p.requires_grad for p in split.parameters.values()):
        raise Wrong(
            f"`{split.name}` should train in epoch {epoch}, and is frozen to the end.",
            "`freeze_to` says which split is the first to train.",
            "It wakes what it froze itself: what you froze by hand you must thaw by hand.",
        )
