"""One run: a classifier trained by its plan from one seed, and what was measured."""

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from difflr.errors import DifflrError
from difflr.experiments import allocator
from difflr.experiments.augmentation import augment, random_resized_crop
from difflr.experiments.backbones import Backbone, PictureNetwork
from difflr.experiments.data import Images
from difflr.experiments.quiet import quiet
from difflr.experiments.unfinished import Unfinished
from difflr.lightning.module import ParametersSplitsModule
from difflr.lightning.package import pl
from difflr.models.modes import kept_modes
from difflr.models.prefix import CachedPrefix
from difflr.models.running_stats import is_batch_norm
from difflr.plan import Plan
from difflr.rangetest.gradients import suggest_lrs
from difflr.written.cuts import Cut, as_patterns

__all__ = [
    "Classifier",
    "Outcome",
    "TrainingOptions",
    "evaluate",
    "fit",
    "hold_norms",
    "predict",
    "train",
]


class Classifier(PictureNetwork, ParametersSplitsModule):
    """A network that classifies uint8 pictures, trained by ``plan``.

    Args:
        network: takes normalised float pictures (N, 3, H, W), returns logits (N, classes).
        plan: what to train, for how long, how fast.
        mean, std: normalisation of pictures scaled to 0…1, per colour.
        flip: also mirror pictures at random while training.
        translate: move them by up to so many pixels while training.
        crop: cut a random part out of each instead of moving it, as suits photographs.
        seed: of the augmentation.
        weight_decay: for weights that are matrices.
        cut: how to cut the network into splits; None for difflr's own way.
        optimizer: ``"AdamW"``, or ``"SGD"`` with momentum.
    """

    def __init__(
        self,
        network: nn.Module,
        plan: Plan,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        flip: bool = False,
        translate: int = 4,
        crop: bool = False,
        seed: int = 0,
        weight_decay: float = 0.01,
        cut: Cut | None = None,
        optimizer: str = "AdamW",
    ) -> None:
        super().__init__(network, mean=mean, std=std)
        self.sgd = optimizer == "SGD"
        self.milestones = plan
        self.weight_decay = weight_decay
        self.flip, self.translate, self.crop, self.seed = flip, translate, crop, seed
        self.cut = cut
        self.cached: CachedPrefix | None = None  # set by ``fit``

    def model_splits(self) -> Any:
        """Return the user's own cut of the network, if there is one."""
        return as_patterns(self.cut, below="network.")

    def make_optimizer(self, param_groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Return AdamW, or SGD with momentum."""
        if self.sgd:
            return torch.optim.SGD(param_groups, momentum=0.9)
        return super().make_optimizer(param_groups)

    def training_step(
        self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int
    ) -> torch.Tensor:
        """Return the cross-entropy of an augmented batch (or of the pictures that a cached one names)."""
        pixels, labels = batch
        if self.cached is not None:
            return F.cross_entropy(self.cached(pixels), labels)
        # Drawn from the step alone, so that a resumed run sees what it would have seen.
        numbers = torch.Generator().manual_seed(self.seed * 1_000_003 + self.global_step)
        return F.cross_entropy(self(self.augmented(pixels, numbers)), labels)

    def augmented(self, pixels: torch.Tensor, numbers: torch.Generator) -> torch.Tensor:
        """Return a batch as a step of training sees it."""
        if self.crop:
            return random_resized_crop(pixels, numbers, flip=self.flip)
        if not (self.flip or self.translate):
            return pixels
        return augment(pixels, numbers, flip=self.flip, pad=self.translate)


@dataclass(frozen=True)
class TrainingOptions:
    """How a run trains, apart from its plan: as ``Classifier`` and ``fit`` take it.

    ``hold_norms`` keeps all of BatchNorm, weights and statistics, as it was before; ``auto_rgn`` gives the
    splits of an even plan rates by their gradients on the first batches, not augmented.
    """

    batch_size: int = 64
    flip: bool = False
    translate: int = 4
    crop: bool = False
    weight_decay: float = 0.01
    precision: str = "32-true"
    cache: bool = False
    cut: Cut | None = None
    optimizer: str = "AdamW"
    hold_norms: bool = False
    auto_rgn: bool = False


@dataclass(frozen=True)
class Outcome:
    """What one run gave: test accuracy (0 to 1) and loss, seconds of training, trainable share.

    The loss is NaN where training diverged: weights or statistics that are no longer finite still name
    a class for each picture, so that the accuracy alone does not show it.
    """

    accuracy: float
    loss: float
    seconds: float
    trainable_share: float

    @property
    def diverged(self) -> bool:
        """Whether the weights, or what the network answers, are no longer finite."""
        return not math.isfinite(self.loss)


def fit(
    model: ParametersSplitsModule,
    images: Images,
    *,
    seed: int,
    batch_size: int = 64,
    precision: Any = "32-true",
    cache: bool = False,
    logger: Any = False,
    callbacks: Sequence[pl.Callback] = (),
    unfinished: Unfinished | None = None,
) -> float:
    """Train ``model`` by its plan on batches shuffled by ``seed``, and return the seconds it took.

    Args:
        model: a ``Classifier``, or a module of your own that takes uint8 batches.
        precision: of Lightning's Trainer. ``"bf16-mixed"`` is faster where the processor has it.
            Weights, and the evaluation afterwards, stay in float32.
        cache: let the frozen first splits see each picture once a phase (see ``CachedPrefix``); for a
            Classifier with ``flip=False, translate=0``. The result is the same but for rounding.
        unfinished: keeps whole epochs, and goes on from the last one kept.

    Raises:
        DifflrError: where Lightning would train in another precision, or features cannot be kept.
    """
    pictures = _numbered(model, images) if cache else images
    with quiet():
        trainer = pl.Trainer(
            max_epochs=model.plan.epochs,
            devices=1,
            precision=precision,
            logger=logger,
            log_every_n_steps=1,
            callbacks=[*callbacks, *([unfinished] if unfinished else [])],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        if precision == "16-mixed" and trainer.precision != precision:
            raise DifflrError(
                f"Lightning would train in {trainer.precision} here, not in {precision}.",
                f"Pass {trainer.precision}.",
            )
        start = time.perf_counter()
        with allocator.keep_freed_memory(), _interruptible(trainer):
            loader = pictures.batches(batch_size, seed=seed)
            kept = unfinished.find(loader) if unfinished else None
            trainer.fit(model, loader, ckpt_path=kept and str(kept))
        seconds = time.perf_counter() - start + (unfinished.seconds if unfinished else 0.0)
    if isinstance(model, Classifier):
        model.cached = None  # its features take memory
    return seconds


@contextmanager
def _interruptible(trainer: pl.Trainer) -> Iterator[None]:
    """Let Ctrl-C through as what it is: Lightning exits with status 1, and ignores it from then on."""
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if in_main and handler is not None:
            signal.signal(signal.SIGINT, handler)
    if trainer.interrupted:  # earlier versions returned as if the training had ended
        raise KeyboardInterrupt


def _numbered(model: ParametersSplitsModule, images: Images) -> Images:
    """Give the model the pictures, and return their numbers in place of them."""
    if not isinstance(model, Classifier) or model.flip or model.translate or model.crop:
        raise DifflrError(
            "Augmented pictures are new in every epoch: features of them cannot be kept.",
            "Pass a Classifier with flip=False and translate=0, or cache=False.",
        )
    model.cached = CachedPrefix(model.network, images.pixels, model.normalise)
    return Images(torch.arange(len(images)), images.labels)


def train(
    backbone: Backbone,
    plan: Plan,
    images: Images,
    test: Images,
    options: TrainingOptions = TrainingOptions(),
    *,
    n_classes: int,
    seed: int,
    logger: Any = False,
    callbacks: Sequence[pl.Callback] = (),
    unfinished: Unfinished | None = None,
) -> tuple[Outcome, Classifier]:
    """Fine-tune ``backbone`` by ``plan`` and measure it on ``test``.

    The seed decides the new head, the order of the pictures and their augmentation, so two plans
    with one seed start from the same weights and see the same batches.

    Returns:
        What was measured, and the trained model.
    """
    torch.manual_seed(seed)
    network = backbone.build(n_classes)
    if options.hold_norms:
        hold_norms(network)
    model = Classifier(
        network,
        plan,
        mean=backbone.mean,
        std=backbone.std,
        flip=options.flip,
        translate=options.translate,
        crop=options.crop,
        seed=seed,
        weight_decay=options.weight_decay,
        cut=options.cut,
        optimizer=options.optimizer,
    )
    if options.auto_rgn:
        (phase,) = plan.phases
        batches = images.batches(options.batch_size, seed=seed)
        found = suggest_lrs(model.splits, batches, max(phase.lrs))
        graded = replace(phase, lrs=found.lrs, frozen=found.frozen)
        model.milestones = replace(plan, phases=[graded])
    seconds = fit(
        model,
        images,
        seed=seed,
        batch_size=options.batch_size,
        precision=options.precision,
        cache=options.cache,
        logger=logger,
        callbacks=callbacks,
        unfinished=unfinished,
    )
    accuracy, loss = evaluate(model, test)
    if not all(value.isfinite().all() for value in model.state_dict().values()):
        loss = math.nan
    return Outcome(accuracy, loss, seconds, trainable_share(model)), model


def hold_norms(network: nn.Module) -> None:
    """Freeze BatchNorm by hand, weights and statistics; difflr leaves alone what was frozen before it."""
    for module in network.modules():
        if is_batch_norm(module):
            module.eval().requires_grad_(False)


def trainable_share(model: ParametersSplitsModule) -> float:
    """Return the share of parameters that train, averaged over the epochs of the plan."""
    sizes = [split.numel for split in model.splits]
    plan = model.plan
    trained = sum(phase.epochs * sizes[i] for phase in plan.phases for i in phase.trained)
    return trained / (plan.epochs * sum(sizes))


@torch.inference_mode()
def predict(model: nn.Module, images: Images, batch_size: int = 500) -> torch.Tensor:
    """Return the logits (N, classes) of ``model`` in eval mode, on the CPU."""
    device = next(model.parameters()).device
    with kept_modes(model):
        model.eval()
        return torch.cat([model(x.to(device)).cpu() for x, _ in images.batches(batch_size)])


def evaluate(model: nn.Module, images: Images, batch_size: int = 500) -> tuple[float, float]:
    """Return accuracy (0 to 1) and mean cross-entropy of ``model`` in eval mode."""
    logits = predict(model, images, batch_size)
    hits = int((logits.argmax(1) == images.labels).sum())
    return hits / len(images), float(F.cross_entropy(logits, images.labels))
