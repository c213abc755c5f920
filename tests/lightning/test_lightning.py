from dataclasses import replace
from importlib import import_module

import pytest
import torch
import torchvision
from lightning_nets import PLAN, Tiny, Validated, Watch, expected, fit, moves, trainer_for
from nets import SPLITS, TinyNet, loader
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from which_lightning import pl

from difflr import (
    MILESTONES_2020,
    DifflrError,
    ParametersSplitsModule,
    Phase,
    Plan,
    PlanCallback,
    from_milestones,
    make_plan,
    to_milestones,
)


class Recipe2020(ParametersSplitsModule):
    """Written as the recipe of 2020 describes, on its steps 1 to 5 alone."""

    def __init__(self):
        super().__init__()
        self.model = torchvision.models.resnet18()
        self.model.fc = nn.Sequential(nn.Linear(512, 256), nn.Linear(256, 10))
        self.milestones = {
            1: {
                "freeze_to": -1,
                "duration": 1,
                "pct_start": 0.3,
                "lrs": [0.0, 0.0, 0.0, 0.0, 0.0, 1e-3],
            },
            2: {
                "freeze_to": -2,
                "duration": 1,
                "pct_start": 0.3,
                "lrs": [0.0, 0.0, 0.0, 0.0, 5e-4, 5e-4],
            },
            3: {
                "freeze_to": -3,
                "duration": 1,
                "pct_start": 0.3,
                "lrs": [0.0, 0.0, 0.0, 5e-5, 1e-4, 1e-4],
            },
            4: {
                "freeze_to": -4,
                "duration": 1,
                "pct_start": 0.3,
                "lrs": [0.0, 0.0, 1e-5, 1e-5, 5e-5, 5e-5],
            },
            5: {
                "freeze_to": -5,
                "duration": 1,
                "pct_start": 0.3,
                "lrs": [0.0, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5],
            },
            6: {
                "freeze_to": 0,
                "duration": 1,
                "pct_start": 0.3,
                "lrs": [1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6],
            },
        }

    def model_splits(self):
        return [
            nn.Sequential(self.model.conv1, self.model.bn1),
            *[m for name, m in self.model.named_children() if name.startswith("layer")],
            self.model.fc,
        ]

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return F.cross_entropy(self.model(images), labels)

    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.randn(6, 3, 32, 32), torch.randint(0, 10, (6,))), 2)


def test_a_module_of_the_2020_recipe_trains_by_its_milestones():
    """Steps 1 to 5 of the recipe on Lightning 2: the trace is the preview's, frozen splits keep every
    bit in each of the six phases, and all others move."""
    module = Recipe2020()
    watch = fit(module, epochs=6)
    plan = from_milestones(MILESTONES_2020)
    assert module.milestones == MILESTONES_2020
    assert watch.trace == expected(plan, 3)
    assert watch.moved == moves(plan)
    assert module.splits.names == ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")


def test_the_trace_is_the_preview_and_frozen_splits_keep_every_bit():
    """LR, momentum, freeze state and BN mode at every step, over phases of several epochs."""
    watch = fit(Tiny())
    assert watch.trace == expected(PLAN, 5)
    assert watch.moved == moves(PLAN)


def test_milestones_may_be_a_dictionary_or_belong_to_the_class():
    """The same plan either way; one module's own milestones leave the class's alone."""

    class OfTheClass(Tiny):
        milestones = to_milestones(PLAN)

        def __init__(self):
            super().__init__()
            del self.milestones

    assert fit(OfTheClass()).trace == expected(PLAN, 5)
    other = OfTheClass()
    other.milestones = Plan([Phase(0, 1, [1e-3] * 6)])
    assert OfTheClass().plan == PLAN
    assert fit(other, epochs=1).trace == expected(other.plan, 5)


def test_attributes_that_the_2020_recipe_kept_are_used():
    """``div_factor`` and its like, and ``train_bn``, for a dictionary without them."""

    class Module(Tiny):
        div_factor = 5
        final_div_factor = 10
        base_momentum = 0.8
        max_momentum = 0.9
        train_bn = True

    module = Module(to_milestones(PLAN))
    plan = from_milestones(
        to_milestones(PLAN),
        div_factor=5,
        final_div_factor=10,
        base_momentum=0.8,
        max_momentum=0.9,
        train_bn=True,
    )
    assert module.plan == plan
    watch = fit(module)
    assert [(t[0], t[1], t[3]) for t in watch.trace] == [
        (t[0], t[1], t[3]) for t in expected(plan, 5)
    ]


def test_a_modules_train_bn_holds_for_a_plan_too():
    """The statistics of frozen splits follow then; a plan that says so itself needs no attribute."""

    class Module(Tiny):
        train_bn = True

    plan = make_plan("head_only", 6, 1)
    for module, follows in (
        (Tiny(plan), False),
        (Module(plan), True),
        (Tiny(replace(plan, train_bn=True)), True),
    ):
        assert module.plan == replace(plan, train_bn=follows)
        before = module.net.bn1.running_mean.clone()
        fit(module, epochs=1)
        assert torch.equal(module.net.bn1.running_mean, before) != follows


def test_fine_tune_trains_batchnorm_in_frozen_splits():
    """fastai's recipe end to end: frozen splits move in their norms only, at a tenth of the LR."""
    plan = make_plan("fine_tune", 6, 2)
    module = Tiny(plan)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    watch = fit(module, epochs=2, max_steps=5)
    moved = {n for n, value in module.state_dict().items() if not torch.equal(value, before[n])}
    assert "net.bn1.weight" in moved
    assert "net.layer1.1.running_mean" in moved
    assert not moved & {"net.conv1.weight", "net.layer1.0.weight", "net.layer1.0.bias"}
    assert [t[0] for t in watch.trace] == [plan.lrs(step, 5) for step in range(5)]


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    """The curves of an event file: tag to steps and values."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {t: [(e.step, e.value) for e in events.Scalars(t)] for t in events.Tags()["scalars"]}


def test_tensorboard_shows_lr_and_momentum_per_split_by_name(tmp_path):
    """``lr/<split>`` and ``momentum/<split>`` for every split at every step, equal to the plan; the
    LearningRateMonitor works beside it and agrees."""
    logger = pl.loggers.TensorBoardLogger(tmp_path, name="", version="")
    monitor = pl.callbacks.LearningRateMonitor("step")
    fit(Tiny(), monitor, logger=logger, log_every_n_steps=1)
    curves = scalars(tmp_path)
    for index, name in enumerate(SPLITS):
        lrs = [PLAN.lrs(step, 5)[index] for step in range(20)]
        assert [step for step, _ in curves[f"lr/{name}"]] == list(range(20))
        assert [value for _, value in curves[f"lr/{name}"]] == pytest.approx(lrs)
        assert [value for _, value in curves[f"momentum/{name}"]] == pytest.approx(
            [PLAN.at(step, 5).momentum for step in range(20)]
        )
        assert [value for _, value in curves[f"lr-AdamW/{name}"]] == pytest.approx(lrs)


def test_curves_are_written_every_few_steps_and_for_every_logger(tmp_path):
    """As often as ``log_every_n_steps`` says, once per optimizer step under accumulation."""
    loggers = [
        pl.loggers.TensorBoardLogger(tmp_path, name="", version=""),
        pl.loggers.CSVLogger(tmp_path / "csv"),
    ]
    fit(Tiny(), logger=loggers, log_every_n_steps=4, accumulate_grad_batches=2)
    curves = scalars(tmp_path)
    assert [step for step, _ in curves["lr/head"]] == [0, 4, 8]
    assert "momentum/stem" in next((tmp_path / "csv").rglob("metrics.csv")).read_text()


def test_no_momentum_is_drawn_where_there_is_none(tmp_path):
    """Adagrad has no momentum that a plan could move."""

    class Module(Tiny):
        def make_optimizer(self, param_groups):
            return torch.optim.Adagrad(param_groups)

    fit(
        Module(),
        logger=pl.loggers.TensorBoardLogger(tmp_path, name="", version=""),
        log_every_n_steps=1,
    )
    curves = scalars(tmp_path)
    assert "lr/stem" in curves
    assert "momentum/stem" not in curves


class Steps(pl.Callback):
    """Notes whether the optimizer is fused, and the gradients' norms before and in its steps."""

    def __init__(self) -> None:
        self.before: list[float] = []
        self.used: list[float] = []

    def on_train_start(self, trainer, pl_module):
        (optimizer,) = trainer.optimizers
        self.fused = optimizer.defaults["fused"]
        optimizer.register_step_post_hook(lambda *_: self.used.append(gradient(pl_module)))

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.before.append(gradient(pl_module))


def gradient(module) -> float:
    """The norm of the gradients that there are."""
    return (
        float(
            sum(p.grad.double().square().sum() for p in module.parameters() if p.grad is not None)
        )
        ** 0.5
    )


class ClipsByHand(Tiny):
    """Clips as Lightning's documentation shows, whatever the trainer's value."""

    def configure_gradient_clipping(self, optimizer, *_, **__):
        self.clip_gradients(optimizer, gradient_clip_val=0.01, gradient_clip_algorithm="norm")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true", "16-mixed"])
@pytest.mark.parametrize("clips", ["nothing", "by the trainer", "by hand"])
def test_adamw_is_fused_wherever_lightning_lets_it_be(precision, clips):
    """Not with clipping under mixed precision, and not with a scaler: there it clips what is used."""
    module = ClipsByHand() if clips == "by hand" else Tiny()
    options = {"gradient_clip_val": 0.01} if clips == "by the trainer" else {}
    if precision == "16-mixed":  # on a processor the trainer itself would take bf16-mixed
        options["plugins"] = [pl.plugins.MixedPrecision("16-mixed", "cpu")]
    else:
        options["precision"] = precision
    steps = Steps()
    assert fit(module, steps, **options).moved == moves(PLAN)
    mixed = precision.endswith("mixed")
    assert steps.fused == (not mixed or (precision == "bf16-mixed" and clips == "nothing"))
    assert max(steps.before) < 10  # not multiplied by a scaler's 65,536
    assert min(steps.before) > 0.02
    if clips == "nothing":
        assert steps.used == steps.before
    else:
        assert steps.used == pytest.approx([0.01] * 20, rel=0.02)


def test_configure_optimizers_may_be_overridden_with_the_plans_scheduler():
    """Another optimizer, the same trace: momentum of SGD instead of Adam's beta."""

    class Module(Tiny):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(
                self.get_optimizer_param_groups(weight_decay=0.1), momentum=0.9
            )
            return {"optimizer": optimizer, "lr_scheduler": self.get_scheduler(optimizer)}

    watch = fit(Module())
    assert watch.trace == expected(PLAN, 5)
    assert watch.moved == moves(PLAN)


def test_configure_optimizers_without_the_scheduler_keeps_the_freezing_and_warns():
    """Its own learning rates hold; what is frozen follows the epochs of the plan."""

    class Module(Tiny):
        def configure_optimizers(self):
            return torch.optim.SGD(
                self.get_optimizer_param_groups(self.get_lrs(slice(1e-4, 1e-2))), 0.1
            )

    module = Module()
    with pytest.warns(UserWarning, match="returns no PlanScheduler"):
        watch = fit(module)
    assert watch.moved == moves(PLAN)
    assert {t[0] for t in watch.trace} == {tuple(module.get_lrs(slice(1e-4, 1e-2)))}
    assert [t[2:] for t in watch.trace] == [t[2:] for t in expected(PLAN, 5)]


class Dummy(Tiny):
    """What step 5 of the recipe had before its milestones fired."""

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.get_optimizer_param_groups(0.0))
        return [optimizer], [torch.optim.lr_scheduler.OneCycleLR(optimizer, 0, 9)]


class DummyLrs(Tiny):
    """The same without the scheduler."""

    def configure_optimizers(self):
        return torch.optim.AdamW(self.get_optimizer_param_groups())


@pytest.mark.parametrize("module", [Dummy, DummyLrs])
def test_the_dummy_scheduler_of_2020_is_refused_before_training(module):
    """``OneCycleLR(optimizer, 0, 9)`` waited for a hook that Lightning 2 never calls."""
    watch = Watch()
    with pytest.raises(DifflrError, match="all 0") as error:
        trainer_for(watch).fit(module())
    assert "Delete your configure_optimizers" in error.value.remedy
    assert not watch.trace


def test_on_epoch_start_gets_a_warning():
    """Step 6 of the recipe is done by difflr; the old hook is dead code and says so."""

    class Module(Tiny):
        def on_epoch_start(self):
            raise AssertionError("Lightning 2 never calls it")

    with pytest.warns(UserWarning, match="never calls on_epoch_start"):
        watch = fit(Module())
    assert watch.trace == expected(PLAN, 5)


def test_the_methods_of_the_recipe_are_there():
    """``freeze_to``, ``unfreeze``, ``get_lrs``, ``get_optimizer_param_groups``, outside a trainer too."""
    module = Tiny()
    module.freeze_to(-2)
    assert [p.requires_grad for p in (module.net.layer3[0].weight, module.net.fc.weight)] == [
        False,
        True,
    ]
    assert not module.net.bn1.training
    module.freeze_to("layer3")
    assert module.net.layer3[0].weight.requires_grad
    assert module.unfreeze() is module
    assert all(p.requires_grad for p in module.parameters())
    assert module.net.bn1.training
    assert module.get_lrs(1e-3) == [1e-3] * 6
    groups = module.get_optimizer_param_groups(slice(1e-5, 1e-3), weight_decay=0.2)
    assert groups[0]["lr"] == 1e-5
    assert groups[0]["weight_decay"] == 0.2
    assert {group["name"] for group in groups} >= set(SPLITS)


def test_a_module_without_milestones_says_what_to_set():
    """Instead of training by no plan at all."""
    with pytest.raises(DifflrError, match=r"no milestones.*Set self\.milestones"):
        trainer_for().fit(Tiny(None))


def test_an_error_in_model_splits_is_not_hidden():
    """torch would report that the module has no attribute ``splits``."""

    class Module(Tiny):
        def model_splits(self):
            return [self.modle.conv1]

    with pytest.raises(DifflrError, match="no attribute 'modle'"):
        trainer_for().fit(Module())


@pytest.mark.parametrize("n", [3, 7])
def test_milestones_for_another_number_of_splits_are_refused(n):
    """Before training, with both numbers."""
    with pytest.raises(DifflrError, match=f"{n} learning rates per phase, the model has 6 splits"):
        trainer_for(epochs=1).fit(Tiny(Plan([Phase(0, 1, [1e-3] * n)])))


def test_the_callback_refuses_another_module():
    """It reads plan and splits off the module."""
    with pytest.raises(DifflrError, match="inherit from ParametersSplitsModule"):
        trainer_for(PlanCallback()).fit(
            import_module(f"{pl.__name__}.demos.boring_classes").BoringModel()
        )


@pytest.mark.parametrize("epochs", [3, 5, 1000])
def test_another_number_of_epochs_is_refused_with_the_remedy(epochs):
    """Longer or shorter than the plan, before anything is trained."""
    watch = Watch()
    with pytest.raises(
        DifflrError, match=f"lasts 4 epochs, the trainer runs {epochs}.*max_epochs=4"
    ):
        trainer_for(watch, epochs=epochs).fit(Tiny())
    assert not watch.trace


def test_another_number_of_epochs_is_refused_without_the_scheduler_too():
    """The plan's freezing needs its epochs as well."""

    class Module(Tiny):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    with pytest.raises(DifflrError, match="lasts 4 epochs, the trainer runs 3"):
        trainer_for(epochs=3).fit(Module())


def test_modules_may_be_built_in_setup_or_configure_model():
    """Lightning calls both before the optimizers are made, and after the callbacks' own setup."""

    class InSetup(Tiny):
        def __init__(self):
            super().__init__()
            del self.net

        def setup(self, stage):
            self.net = TinyNet()

    class InConfigureModel(Tiny):
        def __init__(self):
            super().__init__()
            self.net = None

        def configure_model(self):
            self.net = self.net or TinyNet()

    for module in (InSetup(), InConfigureModel()):
        assert fit(module).trace == expected(PLAN, 5)


def test_layers_replaced_at_the_start_of_the_fit_are_frozen():
    """As ``sync_batchnorm=True`` does: the BatchNorm that trains is another object than before."""

    class Module(Tiny):
        def on_fit_start(self):
            self.net = nn.SyncBatchNorm.convert_sync_batchnorm(self.net)

        def training_step(self, batch, batch_idx):  # SyncBatchNorm itself needs a GPU to train
            return sum((p**2).sum() for p in self.parameters() if p.requires_grad)

    module = Module()
    watch = fit(module)
    assert isinstance(module.net.bn1, nn.SyncBatchNorm)
    assert [t[3] for t in watch.trace] == [t[3] for t in expected(PLAN, 5)]


@pytest.mark.parametrize("hook", ["on_train_start", "on_train_epoch_start", "on_train_batch_end"])
def test_a_hook_that_calls_train_does_not_wake_frozen_batchnorm(hook):
    """Freezing is done anew before every batch, so its statistics keep every bit."""
    module = Tiny()
    setattr(module, hook, lambda *_: module.train())
    watch = fit(module)
    assert watch.trace == expected(PLAN, 5)
    assert watch.moved == moves(PLAN)


@pytest.mark.parametrize("hook", ["on_train_batch_start", "training_step"])
def test_a_step_that_calls_train_itself_is_an_error(hook):
    """There it is too late to freeze again: the run stops at its first batch and says why."""
    module = Tiny()
    original = getattr(module, hook)

    def waking(*args):
        module.net.train()
        return original(*args)

    setattr(module, hook, waking)
    watch = Watch()
    with pytest.raises(DifflrError, match=r"training_step .* frozen split stem"):
        trainer_for(watch).fit(module)
    assert len(watch.trace) == 1


def test_validation_in_mid_epoch_leaves_the_freezing_as_it_was():
    """Lightning switches the model to evaluation and back; frozen BatchNorm stays in evaluation."""
    module = Validated()
    watch = fit(module, val_check_interval=2, num_sanity_val_steps=2)
    assert watch.trace == expected(PLAN, 5)
    assert watch.moved == moves(PLAN)


@pytest.mark.filterwarnings("ignore:.*eval mode.*")  # newer versions of Lightning say so
def test_a_model_handed_over_in_evaluation_mode_trains_its_batchnorm():
    """Since Lightning 2.2 ``fit`` keeps the mode it finds; the plan decides about BatchNorm."""
    module = Tiny()
    module.net.eval()
    watch = fit(module)
    assert [t[3] for t in watch.trace] == [t[3] for t in expected(PLAN, 5)]


def test_what_was_frozen_by_hand_before_is_refused_until_it_is_woken_by_hand():
    """A forgotten ``freeze`` is said before training; ``unfreeze`` gives all of it back to the plan."""
    module = Tiny()
    module.freeze()
    with pytest.raises(DifflrError, match="frozen before difflr saw it"):
        fit(module)
    module.unfreeze()
    watch = fit(module)
    assert watch.moved == moves(PLAN)


def test_a_single_layer_that_the_user_froze_is_never_trained():
    """All its split trains around it, phase after phase."""
    module = Tiny()
    layer = next(iter(module.splits[0].parameters.values()))
    layer.requires_grad_(False)
    before = layer.detach().clone()
    fit(module)
    assert torch.equal(layer, before)
    assert not layer.requires_grad


def test_everything_is_trainable_when_a_strategy_wraps_the_model():
    """DDP synchronises what requires a gradient at that moment, and nothing that is unfrozen later."""

    class Module(Tiny):
        def configure_optimizers(self):  # Lightning calls it right after the wrapping
            self.trainable = [p.requires_grad for p in self.parameters()]
            return super().configure_optimizers()

    module = Module()
    fit(module)
    module.freeze_to(-1)
    fit(module)
    assert all(module.trainable)


def test_two_runs_from_one_seed_give_the_same_weights():
    """Freezing and scheduling add no randomness of their own."""
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        module = Tiny()
        fit(module)
        runs.append(module.net.conv1.weight.detach())
    assert torch.equal(*runs)


def test_a_loader_given_to_fit_counts():
    """The steps are those of the data that the trainer really runs."""
    watch = Watch()
    trainer_for(watch).fit(Tiny(), loader(7))
    assert watch.trace == expected(PLAN, 7)
