"""What a module keeps and what its checkpoints hold."""

import copy
import pickle

import pytest
import torch
from lightning_nets import PLAN, Tiny, Validated, fit, same_weights, trainer_for, weights
from nets import loader
from torch import nn
from which_lightning import pl

from difflr import DifflrError, Phase, Plan
from difflr.shapes import Cosine


class Saving(Tiny):
    """Keeps its plan among its hyperparameters, as Lightning's documentation tells people to."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.save_hyperparameters()


def test_a_plan_among_the_hyperparameters_loads_and_resumes(tmp_path):
    """From a real run: without pickle, by ``load_from_checkpoint`` and by ``fit(ckpt_path=...)``."""
    torch.manual_seed(0)
    module = Saving(PLAN)
    keep = pl.callbacks.ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1)
    fit(module, keep, logger=pl.loggers.CSVLogger(tmp_path))
    path = tmp_path / "epoch=1.ckpt"
    assert torch.load(path, weights_only=True)["hyper_parameters"] == {"plan": PLAN}
    assert Saving.load_from_checkpoint(path, weights_only=True).plan == PLAN
    resumed = Saving(PLAN)
    trainer_for().fit(resumed, ckpt_path=path, weights_only=True)
    assert same_weights(weights(resumed), weights(module))


def test_a_plan_in_a_file_is_checked_like_any_other():
    """A file may say anything; copies and pickles are the plan itself."""
    assert pickle.loads(pickle.dumps(PLAN)) == copy.deepcopy(PLAN) == PLAN
    for phase in ({"freeze_to": 9, "epochs": 1, "lrs": [1.0]}, {"x": 1}):
        with pytest.raises(DifflrError):
            object.__new__(Phase).__setstate__(phase)
    with pytest.raises(DifflrError):
        object.__new__(Cosine).__setstate__({"warmup": 2})


def test_splits_are_kept_until_the_network_is_another():
    """The same object again; a new head, a further parameter or another cut is noticed at once."""
    module = Tiny()
    splits = module.splits
    assert module.splits is splits
    module.net.fc = nn.Linear(4, 2)
    assert module.splits[-1].parameters["net.fc.weight"] is module.net.fc.weight
    module.net.fc.scale = nn.Parameter(torch.ones(1))
    assert "net.fc.scale" in module.splits[-1].parameters
    module.model_splits = lambda: {"body": ["net.[!f]*"], "top": "net.fc"}
    assert module.splits.names == ("body", "top")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copied_module_has_splits_of_its_own(copied):
    """And nothing of them lies in its state; the trainer stays behind, as with Lightning."""
    module = Tiny()
    fit(module)
    assert module._trainer is not None
    names = set(module.state_dict())
    assert module.splits
    other = copied(module)
    assert other._trainer is None
    assert other.splits.model is other
    assert other.splits[-1].parameters["net.fc.weight"] is other.net.fc.weight
    assert set(module.state_dict()) == set(other.state_dict()) == names


def test_a_phase_of_one_step_is_named_before_training():
    """Its only step is the cycle's minimum; with ``pct_start=1`` it is the peak, and all is well."""
    with pytest.warns(UserWarning, match=r"phase 1 of the plan .*pct_start=1"):
        watch = fit(Tiny(), overfit_batches=1)
    assert max(watch.trace[0][0]) < 1e-7
    plan = Plan([Phase(0, 1, [1e-2] * 6, pct_start=1)])
    assert PLAN.phases_at_minimum(1) == [0, 2]
    assert PLAN.phases_at_minimum(2) == plan.phases_at_minimum(1) == []


@pytest.mark.parametrize(("samples", "named"), [(9, True), (8, False)])
def test_a_last_batch_of_one_sample_is_named_before_training(samples, named, recwarn):
    """BatchNorm cannot normalise one sample by itself."""

    class Module(Validated):
        def train_dataloader(self):
            whole = loader(3).dataset
            return torch.utils.data.DataLoader(torch.utils.data.Subset(whole, range(samples)), 4)

    fit(Module())
    assert (
        any("holds a single sample (9 in batches of 4)" in str(w.message) for w in recwarn) == named
    )
