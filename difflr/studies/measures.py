"""What is measured of one run, beside its accuracy: cost, forgetting, and what moved in the network."""

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from difflr.errors import DifflrError
from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images
from difflr.experiments.flops import Costs
from difflr.experiments.training import evaluate
from difflr.freezing import bn_mode
from difflr.lightning.package import pl
from difflr.models.modes import kept_modes
from difflr.plan import Plan
from difflr.splits import Split, Splits

__all__ = [
    "Curve",
    "displacement",
    "drift",
    "linear_cka",
    "similarity",
    "split_features",
    "training_flops",
    "with_old_head",
]


def linear_cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the linear CKA of two sets of features of the same pictures: 0 (unlike) to 1 (alike).

    Unchanged by rotations and by a common scale of either side. NaN where one side is the same for
    all pictures, or not finite. Source: Kornblith et al. 2019 (arXiv 1905.00414), section 3.

    Args:
        x, y: features, (pictures, …) each; all but the first dimension are flattened.
    """
    if len(x) != len(y):
        raise DifflrError(
            f"Received features of {len(x)} and of {len(y)} pictures.", "Use the same pictures."
        )
    left, right = (_gram(features) for features in (x, y))
    size = float(left.norm() * right.norm())
    return float((left * right).sum()) / size if size > 0 and math.isfinite(size) else math.nan


def _gram(features: torch.Tensor) -> torch.Tensor:
    # Pictures × pictures: far smaller than features × features, and the same CKA.
    centred = features.flatten(1).double()
    centred = centred - centred.mean(0)
    # Rounding leaves a rest where all pictures give the same features.
    centred[:, centred.abs().amax(0) <= 1e-12 * features.flatten(1).abs().amax(0)] = 0
    return centred @ centred.T


@torch.inference_mode()
def split_features(model: nn.Module, splits: Splits, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Return each split's output for these pictures, (pictures, features), in eval mode.

    A split's output is that of its last module with weights, before any pooling or activation that
    stands alone (a ResNet's stem: its BatchNorm).

    Args:
        model: takes ``pixels``; the splits' own network or a module around it.
        splits: of the network.
        pixels: a batch as ``model`` takes it.
    """
    handed: list[torch.Tensor] = [torch.empty(0)] * len(splits)

    def keep(index: int) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):  # the last one to come stays
                handed[index] = output.flatten(1).clone()  # a ReLU may overwrite it in place

        return hook

    hooks = [
        module.register_forward_hook(keep(index))
        for index, split in enumerate(splits)
        for module in split.modules
        if _inside(module, split)
    ]
    try:
        with kept_modes(model):
            model.eval()
            model(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return handed


def _inside(module: nn.Module, split: Split) -> bool:
    """Whether the module learns, and the split alone: not so a container of several, or a pooling."""
    own = {id(parameter) for parameter in split.parameters.values()}
    learned = {id(parameter) for parameter in module.parameters()}
    return bool(learned) and learned <= own


def similarity(before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]) -> list[float]:
    """Return the linear CKA of each split's features before and after training."""
    return [linear_cka(x.cpu(), y.cpu()) for x, y in zip(before, after, strict=True)]


def displacement(before: Splits, after: Splits) -> list[float]:
    """Return how far each split's weights moved: ``‖after - before‖ / ‖before‖`` (L2), 0 if frozen.

    NaN where the weights were all 0 before, or are no longer finite.
    """
    return [
        _moved(list(a.parameters.values()), list(b.parameters.values()))
        for a, b in zip(before, after, strict=True)
    ]


def drift(before: Splits, after: Splits) -> list[float]:
    """Return how far the running mean and variance of each split's BatchNorm layers moved.

    Relative L2, as for ``displacement``; 0 for a split without such layers.
    """
    return [_moved(_statistics(a), _statistics(b)) for a, b in zip(before, after, strict=True)]


def _statistics(split: Split) -> list[torch.Tensor]:
    return [
        buffer
        for module in split.modules
        for name, buffer in module.named_buffers(recurse=False)
        if name in ("running_mean", "running_var")
    ]


def _moved(before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]) -> float:
    if not before:
        return 0.0
    start, end = (
        torch.cat([t.detach().cpu().double().flatten() for t in part]) for part in (before, after)
    )
    way, size = float((end - start).norm()), float(start.norm())
    return way / size if size > 0 and math.isfinite(way) else math.nan


def training_flops(costs: Costs, plan: Plan, splits: Splits, pictures: int) -> int:
    """Return the floating-point operations of training by ``plan``, forward and backward.

    Each phase costs ``Costs.step`` of what trains in it, per picture. Where BatchNorm trains in
    frozen splits, the gradient has to come down to it through layers that do not learn.

    Args:
        costs: of one picture, from ``difflr.experiments.flops.count_costs``.
        pictures: per epoch.
    """
    normed = {i for i, split in enumerate(splits) if bn_mode(split) != "-"}
    total = 0
    for phase in plan.phases:
        trainable = set(phase.trained)
        awake = normed - trainable if plan.train_bn else set()
        step = costs.step(trainable | awake) - sum(costs.forward[i] for i in awake)
        total += phase.epochs * pictures * step
    return total


def with_old_head(
    network: nn.Module, backbone: Backbone, *, old_statistics: bool = False
) -> nn.Module:
    """Return a new network: the body of the fine-tuned one under the backbone's own old head.

    Its accuracy on the source task says what fine-tuning has not forgotten. With ``old_statistics``
    BatchNorm's running mean and variance are the backbone's as well: what is lost then was lost by
    the weights, and not by statistics that follow the new pictures.
    """
    old = backbone.build(0, new_head=False)
    head = [name for name, module in old.named_modules() if isinstance(module, nn.Linear)][-1]
    left = (f"{head}.",)
    statistics = ("running_mean", "running_var", "num_batches_tracked") if old_statistics else ()
    body = {
        name: value.detach().cpu()
        for name, value in network.state_dict().items()
        if not name.startswith(left) and not name.endswith(statistics)
    }
    old.load_state_dict(body, strict=False)
    return old


class Curve(pl.Callback):
    """Keep the mean training loss of each epoch and the accuracy on a few pictures after it.

    ``seconds`` is the time that this took, to be left out of the run's. ``cpu_seconds`` is the time
    that the process computed while it trained, over all its threads and without this: a machine that
    has other work to do does not change it.
    """

    def __init__(self, images: Images | None) -> None:
        self.images = images
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self.seconds = self.cpu_seconds = 0.0
        self._sum: Any = 0.0
        self._count = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of the processor."""
        self.cpu_seconds -= time.process_time()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop it."""
        self.cpu_seconds += time.process_time()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Add the loss of the step, without waiting for it."""
        self._sum = self._sum + outputs["loss"].detach()
        self._count += 1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the epoch."""
        start, computed = time.perf_counter(), time.process_time()
        self.losses.append(float(self._sum) / max(self._count, 1))
        self._sum, self._count = 0.0, 0
        if self.images is not None:
            self.accuracies.append(evaluate(pl_module, self.images)[0])
        self.seconds += time.perf_counter() - start
        self.cpu_seconds -= time.process_time() - computed
