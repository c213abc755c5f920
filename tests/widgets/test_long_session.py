"""A long afternoon in one kernel: memory stays flat, nothing piles up, interrupting breaks nothing."""

import gc
import os
import signal
import threading
from pathlib import Path

import ipywidgets
import made_up
import matplotlib.pyplot as plt
import pytest
import pytorch_lightning as pl
import torch
from lightning_nets import PLAN, Tiny, Watch, expected, moves, trainer_for
from nets import TinyNet, batch
from pytorch_lightning.callbacks import ModelCheckpoint

from difflr import make_plan, param_groups, split_model
from difflr.widgets import LiveView, PlanEditor, RangePanel, Replay, SplitExplorer

PROC = Path("/proc/self")

#: What may come on top after warming up, in MiB: the allocator's own ups and downs.
GROWTH = 30

needs_proc = pytest.mark.skipif(not PROC.exists(), reason="reads Linux's /proc")


def resident() -> float:
    """Memory of this process in MiB."""
    gc.collect()
    pages = int((PROC / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def held() -> dict[str, int]:
    """What could leak, counted."""
    gc.collect()
    return {
        "figures": len(plt.get_fignums()),
        "threads": threading.active_count(),
        "files": len(list((PROC / "fd").iterdir())),
    }


def observers(widget: ipywidgets.Widget) -> int:
    """How many functions listen to a widget and to all inside it."""
    own = sum(len(f) for kinds in widget._trait_notifiers.values() for f in kinds.values())
    return own + sum(observers(child) for child in getattr(widget, "children", ()))


@needs_proc
def test_a_hundred_interactions_leave_nothing_behind(tmp_path):
    """Rates dragged, phases added and taken back, ranges tested, recordings replayed: pictures are
    drawn anew, while observers, figures, threads, files and memory stay as they were."""
    splits = split_model(TinyNet())
    editor = PlanEditor(splits, make_plan("differential", 6), input_shape=None)
    explorer = SplitExplorer(splits, input_shape=None)
    optimizer = torch.optim.AdamW(param_groups(splits))
    ranges = RangePanel(editor, splits, optimizer, [batch()], steps=3)
    replay = Replay(made_up.plateau(tmp_path), covered=False)
    widgets = [panel.widget for panel in (editor, explorer, ranges, replay)]

    def interact(number: int) -> None:
        editor.controls.rows[5].slider.index = 80 - 2 * (number % 7)
        editor.add.click()
        editor.undo.click()
        replay.lr_control.value = made_up.RATES[number % 2]
        if number % 5 == 0:
            explorer.renew.click()
            ranges.test.click()

    for number in range(10):
        interact(number)
    before, memory = held(), resident()
    listening = [observers(widget) for widget in widgets]
    for number in range(25):  # of four or six interactions each
        interact(number)
    assert held() == before
    assert [observers(widget) for widget in widgets] == listening
    assert resident() < memory + GROWTH


@needs_proc
def test_a_cell_that_is_run_again_and_again_piles_up_no_figures_or_threads():
    """Each time with new widgets."""

    def cell() -> None:
        PlanEditor(split_model(TinyNet()), PLAN, input_shape=None)
        SplitExplorer(TinyNet(), input_shape=None)
        LiveView(notebook=True)

    cell()
    before = held()
    for _ in range(5):
        cell()
    assert held() == before


@needs_proc
def test_ten_trainings_in_one_process_leave_nothing_behind(tmp_path):
    """With a live view, a logger and checkpoints, as in a lesson."""

    def train() -> None:
        watch = Watch()
        keep = ModelCheckpoint(tmp_path, save_top_k=1)
        logger = pl.loggers.CSVLogger(tmp_path)
        trainer_for(watch, keep, LiveView(write=lambda _: None), logger=logger).fit(Tiny())
        assert watch.moved == moves(PLAN)

    for _ in range(3):
        train()
    before, memory = held(), resident()
    for _ in range(10):
        train()
    assert held() == before
    assert resident() < memory + GROWTH


class Interrupt(pl.Callback):
    """The kernel's stop button: SIGINT in the middle of a training step."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.global_step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def _stop_button():
    """What a kernel does with SIGINT; the workers of pytest-xdist ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_stop_button")
@pytest.mark.parametrize("at", [2, 7, 17])
def test_a_training_that_was_interrupted_leaves_everything_usable(at):
    """Model, plan and editor; the next fit runs the whole plan, frozen and scheduled as ever."""
    module = Tiny()
    editor = PlanEditor(module.splits, PLAN)
    usual = signal.getsignal(signal.SIGINT)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer_for(Interrupt(at)).fit(module)
    assert signal.getsignal(signal.SIGINT) is usual
    module.net(torch.zeros(2, 3, 8, 8)).sum().backward()
    editor.controls.rows[5].box.value = "3e-3"
    assert editor.plan != PLAN
    editor.reset.click()
    module.milestones = editor.plan
    watch = Watch()
    trainer_for(watch).fit(module)
    assert watch.trace == expected(PLAN, 5)
    assert watch.moved == moves(PLAN)
