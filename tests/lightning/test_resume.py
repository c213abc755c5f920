"""A run that was killed and resumed is the run that was never interrupted."""

import pytest
import torch
from lightning_nets import (
    PLAN,
    Tiny,
    Validated,
    Watch,
    expected,
    fit,
    moves,
    same_weights,
    trainer_for,
    weights,
)
from nets import TinyNet
from torch import nn
from which_lightning import pl

from difflr import DifflrError, Phase, Plan

STEPS = 5  # per epoch

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint.*"),
    pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable.*"),
]


class Killed(Exception):
    """Stands for a process that ends in the middle of a step."""


def dying(module: Tiny, at: int) -> Tiny:
    """Let a module die in the batch after ``at`` whole ones."""
    step, batches = module.training_step, iter(range(10**6))

    def training_step(batch, batch_idx):
        if next(batches) == at:
            raise Killed
        return step(batch, batch_idx)

    module.training_step = training_step
    return module


def every_step(folder) -> pl.callbacks.ModelCheckpoint:
    """A checkpoint after every optimizer step."""
    return pl.callbacks.ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Checkpoints after every step of one whole run, and the run's own trace and weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints")
    module = Tiny()
    watch = fit(module, every_step(folder))
    assert watch.trace == expected(PLAN, STEPS)
    return folder, weights(module)


@pytest.mark.parametrize("step", range(1, 20))
def test_a_run_resumed_after_any_step_goes_on_as_it_would_have(checkpoints, step):
    """LR, momentum, freeze state and BN modes, at epoch borders, phase borders and in mid-epoch;
    frozen splits keep every bit in every batch."""
    folder, _ = checkpoints
    watch = fit(Tiny(), ckpt_path=folder / f"step={step}.ckpt")
    assert watch.trace == expected(PLAN, STEPS, first=step)
    assert not watch.leaks


@pytest.mark.parametrize("step", [5, 10, 15])
def test_from_an_epochs_end_the_final_weights_are_bit_identical(checkpoints, step):
    """Parameters, statistics and counters: as if there had been no interruption."""
    folder, final = checkpoints
    module = Tiny()
    fit(module, ckpt_path=folder / f"step={step}.ckpt")
    assert same_weights(weights(module), final)


@pytest.mark.parametrize("at", [3, 7, 10, 14, 19])
def test_a_killed_run_resumes_from_its_last_checkpoint(tmp_path, at):
    """The exception comes in the middle of a step; the checkpoint is the one of the step before."""
    with pytest.raises(Killed):
        fit(dying(Tiny(), at), every_step(tmp_path))
    watch = fit(Tiny(), ckpt_path=tmp_path / f"step={at}.ckpt")
    assert watch.trace == expected(PLAN, STEPS, first=at)


def test_checkpoints_of_an_epochs_end_resume_bit_identically_with_validation(tmp_path):
    """Lightning's usual checkpoint, once per epoch after validation."""
    torch.manual_seed(0)
    module = Validated()
    fit(module, pl.callbacks.ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1))
    for epoch in (0, 1, 2):
        resumed = Validated()
        watch = fit(resumed, ckpt_path=tmp_path / f"epoch={epoch}.ckpt")
        assert watch.trace == expected(PLAN, STEPS, first=STEPS * (epoch + 1))
        assert watch.moved == moves(PLAN)[epoch + 1 :]
        assert same_weights(weights(resumed), weights(module))


def test_a_run_with_accumulated_batches_resumes(tmp_path):
    """Three steps per epoch out of five batches."""
    options = {"accumulate_grad_batches": 2}
    fit(Tiny(), every_step(tmp_path), **options)
    for step in (2, 3, 7):
        watch = fit(Tiny(), ckpt_path=tmp_path / f"step={step}.ckpt", **options)
        assert watch.trace == expected(PLAN, 3, first=step)


def test_a_reused_trainer_resumes_too(checkpoints):
    """A trainer that has counted epochs already takes the count from the checkpoint."""
    folder, _ = checkpoints
    watch = Watch()
    trainer = trainer_for(watch)
    trainer.fit(Tiny())
    watch.trace.clear()
    trainer.fit(Tiny(), ckpt_path=folder / "step=12.ckpt")
    assert watch.trace == expected(PLAN, STEPS, first=12)


def test_checkpoints_load_without_pickle(checkpoints):
    """Nothing but primitives and tensors; the scheduler's part is a step and a fingerprint."""
    folder, _ = checkpoints
    checkpoint = torch.load(folder / "step=7.ckpt", weights_only=True)
    (scheduler,) = checkpoint["lr_schedulers"]
    assert scheduler["step"] == 7
    assert set(scheduler) == {"step", "fingerprint"}
    assert scheduler["fingerprint"]["plan"] == PLAN.fingerprint
    assert not any("Plan" in key for key in checkpoint["callbacks"])


class Regrouped(Tiny):
    """Two splits, so that torch would find groups of other sizes."""

    def model_splits(self):
        return {"body": ["net.conv1", "net.bn1", "net.layer?"], "head": "net.fc"}


class Renamed(Tiny):
    """The same six splits, one under another name."""

    def model_splits(self):
        names = ("stem", "layer1", "layer2", "layer3", "layer4", "top")
        children = (["net.conv1", "net.bn1"], *(f"net.layer{i}" for i in range(1, 5)), "net.fc")
        return dict(zip(names, children, strict=True))


OTHER = Plan([Phase(0, 4, [1e-3] * 6)])


@pytest.mark.parametrize(
    ("make", "epochs", "words"),
    [
        (lambda: Tiny(OTHER), 4, "plan: saved"),
        (lambda: Tiny(Plan([*PLAN.phases, PLAN.phases[-1]])), 5, "epochs: saved 4, now 5"),
        (lambda: Tiny(batches=6), 4, "steps_per_epoch: saved 5, now 6"),
        (Renamed, 4, "now ['stem', 'layer1', 'layer2', 'layer3', 'layer4', 'top']"),
        (lambda: Regrouped(Plan([Phase(0, 4, [1e-3] * 2)])), 4, "now ['body', 'head']"),
        (Tiny, 7, "Set max_epochs=4"),
    ],
)
def test_resuming_something_else_is_refused_by_its_difference(checkpoints, make, epochs, words):
    """Another plan, length, data size, cut of the model or number of epochs: says which, what to do."""
    folder, _ = checkpoints
    watch = Watch()
    with pytest.raises(DifflrError) as error:
        trainer_for(watch, epochs=epochs).fit(make(), ckpt_path=folder / "step=7.ckpt")
    assert words in str(error.value)
    assert not watch.trace


def test_resuming_a_run_without_a_plan_is_refused(tmp_path):
    """Its scheduler's state is another's."""

    class Foreign(Tiny):
        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.get_optimizer_param_groups(1e-3))
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
            return [optimizer], [scheduler]

    with pytest.warns(UserWarning, match="PlanScheduler"):
        fit(Foreign(), every_step(tmp_path))
    with pytest.raises(DifflrError, match="not one of PlanScheduler"):
        fit(Tiny(), ckpt_path=tmp_path / "step=7.ckpt")


def test_a_checkpoint_can_be_tested_and_loaded_without_its_plan(checkpoints):
    """The fingerprint concerns training; weights are weights."""
    folder, _ = checkpoints

    class Module(Tiny):
        test_step = Validated.validation_step
        test_dataloader = Validated.val_dataloader

    trainer_for(epochs=1).test(Module(OTHER), ckpt_path=folder / "step=7.ckpt", verbose=False)
    loaded = Tiny.load_from_checkpoint(folder / "step=7.ckpt", milestones=OTHER)
    fit(loaded)


def test_sizes_of_another_network_are_reported_by_torch(checkpoints):
    """Before difflr sees the checkpoint; nothing is trained."""

    class Wide(Tiny):
        def __init__(self):
            super().__init__()
            self.net = TinyNet(8)

    folder, _ = checkpoints
    with pytest.raises(RuntimeError, match="size mismatch"):
        fit(Wide(), ckpt_path=folder / "step=7.ckpt")


def test_dropout_resumes_by_the_same_plan(tmp_path):
    """Random layers change the weights, never the schedule or what is frozen."""

    class Module(Tiny):
        def __init__(self):
            super().__init__()
            self.net.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4))

    fit(Module(), every_step(tmp_path))
    watch = fit(Module(), ckpt_path=tmp_path / "step=8.ckpt")
    assert watch.trace == expected(PLAN, STEPS, first=8)
