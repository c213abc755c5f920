"""What a Trainer can be told to do: each option is right by the plan, or refused with the remedy."""

import pytest
import torch
from lightning_nets import PLAN, Tiny, Validated, Watch, expected, fit, moves, trainer_for, weights
from nets import loader
from torch.utils.data import IterableDataset
from which_lightning import pl

from difflr import DifflrError, Phase, Plan, make_plan, split_model
from difflr.lightning.trainer import check_trainer


def check(watch: Watch, steps: int) -> None:
    """What every fit of ``PLAN`` has to show."""
    assert watch.trace == expected(PLAN, steps)
    assert watch.moved == moves(PLAN)


@pytest.mark.parametrize(("batches", "accumulate", "steps"), [(5, 2, 3), (6, 3, 2), (2, 8, 1)])
def test_accumulated_batches_count_as_one_step(batches, accumulate, steps):
    """Also where the last ones of an epoch are fewer: Lightning steps at the end of it."""
    check(fit(Tiny(batches=batches), accumulate_grad_batches=accumulate), steps)


@pytest.mark.parametrize(("limit", "steps"), [(3, 3), (0.4, 2), (1.0, 5), (99, 5)])
def test_limited_batches_shorten_the_epoch(limit, steps):
    """As a number or a share of the loader."""
    check(fit(Tiny(), limit_train_batches=limit), steps)


def test_overfit_batches_is_a_short_epoch():
    """The same few batches over and over."""
    check(fit(Tiny(), overfit_batches=2), 2)


@pytest.mark.parametrize("epochs", [None, -1, 4])
def test_max_steps_cuts_the_plan_short(epochs):
    """The first steps of the plan are the plan's; with or without ``max_epochs`` beside it."""
    watch = fit(Tiny(), epochs=epochs, max_steps=7)
    assert watch.trace == expected(PLAN, 5, last=7)


def test_max_steps_may_be_the_whole_plan_but_not_more():
    """Beyond its end the plan has nothing to say."""
    assert fit(Tiny(), epochs=None, max_steps=20).trace == expected(PLAN, 5)
    with pytest.raises(
        DifflrError, match=r"max_steps=21; the plan lasts 4 epochs of 5 steps.*max_epochs=4"
    ):
        fit(Tiny(), epochs=None, max_steps=21)
    with pytest.raises(DifflrError, match="max_epochs=-1"):
        fit(Tiny(), epochs=-1)


@pytest.mark.parametrize("batches", [1, 3])
def test_fast_dev_run_runs(batches):
    """A few batches of the first phase, to see that everything is in place."""
    watch = fit(Validated(), fast_dev_run=batches)
    assert watch.trace == expected(PLAN, batches, last=batches)


@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradient_clipping_and_mixed_precision(algorithm, precision):
    """Together too, where Lightning refuses a fused optimizer; frozen splits keep every bit."""
    watch = fit(
        Tiny(), gradient_clip_val=0.1, gradient_clip_algorithm=algorithm, precision=precision
    )
    check(watch, 5)


def test_bf16_true_and_double_precision():
    """Weights of another type train by the same learning rates."""
    for precision in ("bf16-true", "64-true"):
        watch = fit(Tiny(), precision=precision)
        assert watch.trace == expected(PLAN, 5)


def test_data_without_a_length_asks_for_a_limit():
    """Then the limit is the length of an epoch."""

    class Stream(IterableDataset):
        def __iter__(self):
            yield from loader(9).dataset

    class Module(Tiny):
        def train_dataloader(self):
            return torch.utils.data.DataLoader(Stream(), 4)

    with pytest.raises(DifflrError, match=r"no length.*limit_train_batches="):
        fit(Module())
    check(fit(Module(), limit_train_batches=3), 3)


def test_validation_and_test_need_no_plan():
    """Evaluating freezes nothing and changes nothing, whatever the milestones."""

    class Module(Validated):
        test_step = Validated.validation_step
        test_dataloader = Validated.val_dataloader

    module = Module(None)
    module.net.fc.weight.requires_grad_(False)
    before = weights(module)
    trainer = trainer_for()
    trainer.validate(module, verbose=False)
    trainer.test(module, verbose=False)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert not module.net.fc.weight.requires_grad


def test_several_fits_with_new_trainers_start_the_plan_anew():
    """Also after a plan that left splits frozen."""
    module = Tiny(make_plan("head_only", 6, 1))
    fit(module, epochs=1)
    module.milestones = PLAN
    check(fit(module), 5)


def test_a_second_fit_of_one_trainer_needs_room_for_the_whole_plan():
    """The trainer goes on counting epochs: with the plan's epochs added it runs the plan again."""
    module, watch = Tiny(), Watch()
    trainer = trainer_for(watch)
    trainer.fit(module)
    with pytest.raises(DifflrError, match=r"has trained 4 of its 4 .*fit_loop.max_epochs = 8"):
        trainer.fit(module)
    trainer.fit_loop.max_epochs = 8
    watch.trace.clear()
    watch.moved.clear()
    trainer.fit(module)
    check(watch, 5)


def test_a_fit_after_an_interruption_is_refused_where_epochs_are_missing():
    """Without the checkpoint the schedule would start anew in a run that is half over."""
    trainer = trainer_for(limit_train_batches=5)
    module = Tiny()
    module.on_train_epoch_end = lambda: (_ for _ in ()).throw(OSError("stop"))
    with pytest.raises(OSError, match="stop"):
        trainer.fit(module)
    module.on_train_epoch_end = lambda: None
    trainer.fit_loop.epoch_progress.current.completed = 1
    trainer.fit_loop.epoch_progress.current.processed = 1
    with pytest.raises(DifflrError, match="has trained 1 of its 4 epochs"):
        trainer.fit(module)


def test_early_stopping_inside_a_phase_ends_the_trace_there():
    """What ran until then ran by the plan."""
    stop = pl.callbacks.EarlyStopping(
        "loss", patience=0, check_on_train_epoch_end=True, strict=False
    )

    class Module(Tiny):
        def training_step(self, batch, batch_idx):
            self.log("loss", torch.tensor(float(self.current_epoch)), on_epoch=True)
            return super().training_step(batch, batch_idx)

    assert fit(Module(), stop).trace == expected(PLAN, 5, last=10)


def test_a_step_without_a_loss_still_counts():
    """Lightning steps scheduler and optimizer for a batch that ``training_step`` skips."""

    class Module(Tiny):
        def training_step(self, batch, batch_idx):
            return None if batch_idx == 2 else super().training_step(batch, batch_idx)

    watch = fit(Module())
    assert watch.trace == expected(PLAN, 5)


averaging = getattr(pl.callbacks, "WeightAveraging", None)


@pytest.mark.skipif(averaging is None, reason="Lightning 2.6 brought it")
def test_averaged_weights_leave_the_plan_as_it_is():
    """An average of weights that keep every bit is those weights, to the last one if it is a lerp;
    Lightning's own EMA multiplies twice and rounds, in the average only."""
    plan = Plan([Phase(-1, 2, [0, 0, 0, 0, 0, 1e-2])])
    lerp = torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    for average, close in (
        (averaging(use_buffers=False, multi_avg_fn=lerp), torch.equal),
        (pl.callbacks.EMAWeightAveraging(decay=0.9), torch.allclose),
    ):
        module = Validated(plan)
        before = weights(module)
        watch = Watch()
        trainer_for(watch, average, epochs=2).fit(module)
        assert watch.trace == expected(plan, 5)
        assert watch.moved == moves(plan)
        moved = {n for n, v in module.state_dict().items() if not close(v, before[n])}
        assert moved == {"net.fc.weight", "net.fc.bias"}


@pytest.mark.parametrize(
    ("callback", "does"),
    [
        (pl.callbacks.StochasticWeightAveraging(1e-3), "replaces the scheduler"),
        (pl.callbacks.GradientAccumulationScheduler({1: 2}), "changes the number of steps"),
        (pl.callbacks.BackboneFinetuning(), "freezes and adds parameter groups"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_callbacks_that_do_the_plans_work_otherwise_are_refused(callback, does):
    """By name and with what they would do, before anything is trained."""

    class Module(Tiny):
        @property
        def backbone(self):
            return self.net.layer1

    watch = Watch()
    with pytest.raises(DifflrError, match=f"The callback {type(callback).__name__} {does}.*Remove"):
        trainer_for(watch, callback).fit(Module())
    assert not watch.trace


def test_manual_optimization_is_refused():
    """Lightning would step no scheduler, and every step would have the first one's rates."""
    module = Tiny()
    module.automatic_optimization = False
    with pytest.raises(
        DifflrError, match=r"automatic_optimization=False.*steps a PlanScheduler for each"
    ):
        fit(module)


class Reversed(Tiny):
    """Its splits run from the head to the stem."""

    def model_splits(self):
        return [list(split.parameters.values()) for split in reversed(split_model(self.net))]


@pytest.mark.parametrize("compiled", [False, True])
def test_splits_in_another_order_than_forward_are_named_in_the_first_batch(compiled, recwarn):
    """In one line, and without hooks that stay; a compiled model is left alone, it would compile anew."""
    module = Reversed()
    if compiled:
        module.net = torch.compile(module.net, backend="eager")
    fit(module)
    said = [str(w.message) for w in recwarn if "forward reaches" in str(w.message)]
    assert len(said) == (not compiled)
    assert compiled or said[0].startswith("Reversed: forward reaches ")
    assert not any(part._forward_pre_hooks for part in module.net.modules())


def test_splits_in_the_order_of_forward_are_no_word_worth(recwarn):
    """Nor do they keep a hook, also where the first batch fails."""
    fit(Tiny())
    failing = Tiny()
    failing.net.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(failing)
    assert not any("forward reaches" in str(w.message) for w in recwarn)
    assert not any(part._forward_pre_hooks for part in failing.net.modules())


@pytest.mark.parametrize("whole", [False, True])
def test_a_compiled_model_trains_by_the_plan(whole):
    """A compiled network inside the module, or the compiled module itself."""
    module = Tiny()
    if whole:
        watch = fit(torch.compile(module, backend="eager"))
    else:
        module.net = torch.compile(module.net, backend="eager")
        watch = fit(module)
    check(watch, 5)


class Stub:
    """As much of a trainer as the check of its strategy reads."""

    callbacks = loggers = ()
    datamodule = None
    lightning_module = Tiny()

    def __init__(self, strategy):
        self.strategy = strategy


def test_plain_ddp_is_refused_where_the_plan_freezes():
    """It stops at a frozen split; a plan without frozen splits is fine, and so is one device."""
    plain = Stub(pl.strategies.DDPStrategy())
    with pytest.raises(DifflrError, match="ddp_find_unused_parameters_true"):
        check_trainer(plain, PLAN)
    check_trainer(plain, make_plan("uniform", 6))
    check_trainer(Stub(pl.strategies.DDPStrategy(find_unused_parameters=True)), PLAN)
    check_trainer(Stub(pl.strategies.SingleDeviceStrategy(torch.device("cpu"))), PLAN)
