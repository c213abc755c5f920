"""Strategies that shard the model are refused before it is wrapped, with what works instead."""

import pytest
import torch
from lightning_nets import PLAN, Tiny, Watch, trainer_for
from which_lightning import pl

from difflr import DifflrError, PlanCallback, make_plan
from difflr.lightning.trainer import check_strategy


def unmade(kind: type) -> pl.strategies.Strategy:
    """A strategy without its ``__init__``, which would ask for a GPU or another library."""
    return object.__new__(kind)


SHARDING = (
    pl.strategies.FSDPStrategy,
    pl.strategies.ModelParallelStrategy,
    pl.strategies.DeepSpeedStrategy,
)


class Stub:
    """As much of a trainer as the check of its strategy reads."""

    def __init__(self, strategy):
        self.strategy = strategy


@pytest.mark.parametrize("kind", SHARDING, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("plan", [PLAN, make_plan("uniform", 6)], ids=["freezing", "uniform"])
def test_sharding_is_refused_by_name_whatever_the_plan(kind, plan):
    """At the first hook that a callback gets, before the strategy has touched the model."""
    module = Tiny(plan)
    module.net.fc.requires_grad_(False)
    with pytest.raises(DifflrError, match=f"{kind.__name__} shards .*ddp_find_unused_param"):
        PlanCallback().setup(Stub(unmade(kind)), module, "fit")
    assert not module.net.fc.weight.requires_grad


@pytest.mark.parametrize("kind", SHARDING, ids=lambda kind: kind.__name__)
def test_sharding_may_evaluate(kind):
    """Without training there is no plan to hold."""
    PlanCallback().setup(Stub(unmade(kind)), Tiny(), "validate")


def test_whole_models_are_welcome():
    """One device, and data parallelism."""
    for strategy in (
        pl.strategies.SingleDeviceStrategy(torch.device("cpu")),
        pl.strategies.DDPStrategy(find_unused_parameters=True),
    ):
        check_strategy(Stub(strategy))


def test_a_fit_is_refused_before_the_strategy_sees_the_model():
    """End to end: not even the optimizer is made."""

    class Sharded(pl.strategies.FSDPStrategy):  # as far as it comes without a GPU
        def setup_environment(self):
            self.accelerator.setup_device(self.root_device)

        def teardown(self):
            pass

        root_device = torch.device("cpu")

        def setup(self, trainer):
            raise AssertionError("the strategy has wrapped the model")

    watch = Watch()
    trainer = trainer_for(watch)
    sharded = Sharded(accelerator=trainer.accelerator)
    sharded._lightning_module = None
    trainer._accelerator_connector.strategy = sharded
    with pytest.raises(DifflrError, match="Sharded shards"):
        trainer.fit(Tiny())
    assert not watch.trace


@pytest.mark.parametrize("name", ["fsdp", "deepspeed"])
def test_lightning_itself_refuses_them_on_a_cpu(name):
    """So that there is nothing that could train by mistake."""
    with pytest.raises((pl.utilities.exceptions.MisconfigurationException, ValueError)):
        trainer_for(strategy=name)
