"""``pytorch_lightning`` and ``lightning.pytorch``: the same training in both, and what a mix of them says."""

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from lightning_nets import Tiny, fit, trainer_for
from which_lightning import NAME, pl

from difflr import DifflrError, PlanCallback, SplitsMixin
from difflr.lightning.package import PACKAGES, either, package_of

RUN = Path(__file__).parents[1] / "support" / "either_run.py"

both = pytest.mark.skipif(
    not all(find_spec(name.partition(".")[0]) for name in PACKAGES),
    reason="one Lightning is installed; tests/support/both_lightnings.sh has both",
)


def python(*arguments: str) -> subprocess.CompletedProcess:
    """Run a program in a process of its own, which has imported no Lightning yet."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PL_", "LOCAL_RANK"))}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=300, env=environment
    )


def plain(value):
    """Tensors as lists of their exact values, to compare with ``==``."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def test_difflr_belongs_to_the_package_of_these_tests():
    """The run with the other package does not test the usual one by mistake."""
    assert package_of(Tiny()) == package_of(PlanCallback()) == package_of(trainer_for()) == NAME


@both
def test_the_same_seeds_train_bit_identically_in_both(tmp_path):
    """Weights, optimizer, scheduler, callbacks and curves: all that checkpoint and log hold."""
    found = []
    for package in PACKAGES:
        folder = tmp_path / package
        done = python(str(RUN), package, str(folder))
        assert done.returncode == 0, done.stderr[-2000:]
        checkpoint = torch.load(folder / "end.ckpt", weights_only=True)
        (state,) = checkpoint.pop("callbacks").values()
        assert state.pop("best_model_path") == str(folder / "end.ckpt")
        assert state.pop("dirpath") == str(folder)
        state = {k: v for k, v in state.items() if str(folder) not in str(v)}
        found.append((checkpoint, state, (folder / "metrics.csv").read_text()))
    (one, state, curves), (other, other_state, other_curves) = found
    assert curves == other_curves
    assert curves.count("\n") == 1 + 9  # nine steps
    assert plain((one, state)) == plain((other, other_state))


IMPORTED_FIRST = """
import {first}
from difflr import ParametersSplitsModule, PlanCallback
from difflr.lightning.package import package_of
print(ParametersSplitsModule.__mro__[2].__module__, package_of(PlanCallback()))
"""
ALONE = """
import sys
sys.modules[{absent!r}] = None  # as if it were not installed
import difflr
print(difflr.ParametersSplitsModule.__mro__[2].__module__)
"""
NONE = """
import sys
sys.modules["pytorch_lightning"] = sys.modules["lightning"] = None
import difflr
difflr.ParametersSplitsModule
"""


@both
@pytest.mark.parametrize("package", PACKAGES)
def test_difflr_takes_the_package_that_is_imported_or_the_one_that_there_is(package):
    """Both ways, one process each."""
    (absent,) = set(PACKAGES) - {package}
    absent = absent.partition(".")[0]
    for program in (IMPORTED_FIRST.format(first=package), ALONE.format(absent=absent)):
        done = python("-c", program)
        assert done.returncode == 0, done.stderr[-2000:]
        assert {word.removesuffix(".core.module") for word in done.stdout.split()} == {package}


def test_without_any_lightning_one_line_says_what_to_install():
    """And no ImportError from somewhere inside."""
    done = python("-c", NONE)
    assert 'needs pytorch_lightning: pip install "difflr[lightning]"' in done.stderr


def test_the_mixin_has_to_come_first():
    """Behind LightningModule its methods would be hidden, and nothing would freeze or train."""
    with pytest.raises(DifflrError, match=r"Write class Lit\(SplitsMixin, LightningModule\)"):

        class Lit(pl.LightningModule, SplitsMixin):
            pass


@both
def test_a_mix_of_both_is_named_in_one_line(tmp_path):
    """A callback or logger of the other package, and a module that the other Trainer does refuse."""
    (other,) = set(PACKAGES) - {NAME}
    foreign = import_module(other)
    assert len(either("Trainer")) == 2
    with pytest.warns(UserWarning, match=rf"the Trainer of {other} refuses it.*SplitsMixin"):
        module = Tiny()
    with pytest.raises(TypeError, match="`model` must be a `LightningModule`"):
        foreign.Trainer(accelerator="cpu", logger=False).fit(module)
    with pytest.warns(UserWarning, match=rf"Timer belongs to {other}, the Trainer to {NAME}"):
        fit(module, foreign.callbacks.Timer())
    logger = foreign.loggers.CSVLogger(tmp_path)
    with pytest.warns(UserWarning, match=rf"CSVLogger belongs to {other}.*Import both from {NAME}"):
        fit(module, logger=logger)


@both
def test_rivals_of_the_other_package_are_refused_too():
    """They are called by either Trainer, so they would do the plan's work a second time."""
    for name in PACKAGES:
        rival = import_module(name).callbacks.GradientAccumulationScheduler({1: 2})
        with pytest.raises(DifflrError, match="GradientAccumulationScheduler changes"):
            fit(Tiny(), rival)


CONFIG = """
fit:
  seed_everything: 0
  trainer:
    max_epochs: 2
    accelerator: cpu
    logger: false
    enable_checkpointing: false
    enable_progress_bar: false
    enable_model_summary: false
  model:
    milestones:
      1: {freeze_to: -1, duration: 1, lrs: [0, 0, 0, 0, 0, 1e-2]}
      2: {freeze_to: 0, duration: 1, lrs: [1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-3]}
"""


@pytest.mark.skipif(not find_spec("jsonargparse"), reason="LightningCLI needs jsonargparse")
def test_the_command_line_and_yaml_train_a_plan(tmp_path):
    """The package's own LightningCLI reads milestones from a file, as the recipe of 2020 wrote them."""

    class Lit(Tiny):
        def __init__(self, milestones: dict[int, dict]):
            super().__init__(milestones)

    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    cli = import_module(f"{NAME}.cli").LightningCLI(
        Lit, args=["--config", str(config), "fit"], save_config_callback=None
    )
    assert [phase.freeze_to for phase in cli.model.plan.phases] == [-1, 0]
    assert cli.trainer.global_step == 10
