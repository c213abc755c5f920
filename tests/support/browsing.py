"""JupyterLab or Notebook 6, and a headless Chromium, for tests and benchmarks."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Classic", "Notebook", "opened", "what_is_missing"]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

CELLS = (
    """\
import time, warnings
warnings.filterwarnings("ignore")
import torch
torch.set_num_threads(1)
from difflr import MILESTONES_2020, from_milestones
from difflr.widgets import PlanEditor
editor = PlanEditor(["stem", "layer1", "layer2", "layer3", "layer4", "head"],
                    from_milestones(MILESTONES_2020))
editor""",
    """\
print('LRS', editor.plan.phases[editor.selected].lrs)
print('KEPT', editor.plan == from_milestones(MILESTONES_2020))""",
    """\
import pytorch_lightning as pl
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from difflr import ParametersSplitsModule, make_plan
from difflr.widgets import LiveView

class Net(ParametersSplitsModule):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 2)
        self.milestones = make_plan("gradual", 2, 2)
    def model_splits(self):
        return [self.body, self.head]
    def training_step(self, batch, _):
        time.sleep(0.02)
        return nn.functional.cross_entropy(self.head(self.body(batch[0])), batch[1])

net, view = Net(), LiveView()
data = TensorDataset(torch.randn(4000, 8), torch.randint(0, 2, (4000,)))
trainer = pl.Trainer(max_epochs=2, callbacks=[view], accelerator="cpu", logger=False,
                     enable_checkpointing=False, enable_progress_bar=False,
                     enable_model_summary=False)
trainer.fit(net, DataLoader(data, 2))""",
    "print('STOPPED', view.stopped, 1 < trainer.global_step < 3900, net.head.weight.isfinite().all())",
    """\
from difflr.lessons.splits import quiz
quiz""",
    """\
from torch import nn
from difflr import param_groups, split_model
from difflr.widgets import RangePanel, Replay, SplitExplorer
torch.manual_seed(1)
body, head = nn.Conv2d(3, 4, 3), nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
splits = split_model(nn.Sequential(body, nn.BatchNorm2d(4), head), {"body": "0", "norm": "1", "head": "2"})
optimizer = torch.optim.AdamW(param_groups(splits, 1e-3))
SplitExplorer(splits, optimizer, (3, 8, 8))""",
    """\
labels = torch.randint(0, 3, (64,))
batches = [(torch.randn(3, 3, 8, 8)[labels], labels)]
RangePanel(PlanEditor(splits, input_shape=None), splits, optimizer, batches, steps=30)""",
    "Replay()",
    "editor",
)


def what_is_missing(server: str = "jupyterlab") -> str:
    """Return why there can be no test in a browser, or an empty text."""
    if not _chromium():
        return "No Chromium found (apt-get install chromium)"
    for module in (server, "playwright", "anywidget", "axe_playwright_python"):
        if not importlib.util.find_spec(module):
            return f"{module} is not installed (pip install {module.replace('_', '-')})"
    return ""


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def serving(module: str) -> Iterator[tuple[str, Path]]:
    """Start JupyterLab or Notebook 6 on a free port of this machine; yield its address and folder."""
    with tempfile.TemporaryDirectory(prefix="difflr-lab-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        home = {f"JUPYTER_{kind}_DIR": str(folder / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
        here = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
        notebooks = folder / "notebooks"
        notebooks.mkdir()
        settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
        # "disabled" is how Colab and older front ends are: there the pump must answer the buttons.
        comms = {"commsOverSubshells": os.environ.get("DIFFLR_COMMS", "perCommTarget")}
        (settings / "kernels-settings.jupyterlab-settings").write_text(json.dumps(comms))
        home["JUPYTERLAB_SETTINGS_DIR"] = str(folder / "settings")
        app = "ServerApp" if module == "jupyterlab" else "NotebookApp"
        options = {
            f"{app}.ip": "127.0.0.1",
            f"{app}.port": port,
            f"{app}.port_retries": 0,
            f"{app}.{'root_dir' if app == 'ServerApp' else 'notebook_dir'}": notebooks,
            f"{app}.allow_root": True,
            f"{app}.open_browser": False,
            f"{'IdentityProvider' if app == 'ServerApp' else app}.token": "",
        }
        with (folder / "lab.log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", module, *(f"--{k}={v}" for k, v in options.items())],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **home, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            )
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{address}/api/status", timeout=1)
                    break
                except OSError:
                    assert server.poll() is None, (folder / "lab.log").read_text()
                    time.sleep(0.25)
            yield address, notebooks
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


class Notebook:
    """A notebook that is open in the browser.

    Args:
        page: of the browser.
        path: of the notebook's file; the server shows its folder.
        address: of the server.
        shots: folder for screenshots.
    """

    #: The server's module, and where its pages have what a test looks for.
    SERVER = "jupyterlab"
    OUTPUT = ".jp-OutputArea"
    ERROR = ".jp-OutputArea-output[data-mime-type*='error']"
    IDLE = ".jp-Notebook-ExecutionIndicator[data-status='idle']"
    CODE = ".cm-content"
    PROMPT = ".jp-InputPrompt"
    CELL = ".jp-Notebook .jp-Cell[data-windowed-list-index='{}']"
    PLACE = "doc/tree"
    DIALOG = ".jp-Dialog"
    BUTTONS = ".jp-Dialog-footer button"
    AXE = ("violations", "incomplete")

    def __init__(self, page, path, address, shots):
        self.page, self.path, self.address, self.shots = page, path, address, shots
        self.problems = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._console)
        page.add_locator_handler(page.locator(self.DIALOG).first, self._dismiss)

    def _console(self, message):
        if message.type == "error" and "widget" in message.text.lower():
            self.problems.append(message.text)

    def _dismiss(self, dialog):
        """Answer what the page asks: on a busy machine it asks things that it does not on a quiet one.

        It may want to know the kernel; else the first button is the one that changes nothing.
        """
        text = dialog.inner_text()
        warnings.warn(f"Answered in the browser: {text!r}", stacklevel=2)
        buttons = dialog.locator(self.BUTTONS)
        (buttons.last if text.startswith("Select Kernel") else buttons.first).click()

    def cell(self, index):
        """Return a cell."""
        return self.page.locator(self.CELL.format(index))

    def start(self, index):
        """Run a cell without waiting for it."""
        prompt = self.cell(index).locator(self.PROMPT)
        before = prompt.inner_text()
        for _ in range(10):  # a page that is still settling loses the first key
            self.cell(index).locator(self.CODE).click()
            self.page.keyboard.press("Control+Enter")
            for _ in range(20):
                self.page.wait_for_timeout(50)
                if prompt.inner_text() not in (before, "", "[ ]:", "In [ ]:"):
                    return
        raise AssertionError(f"Cell {index} does not start.")

    def stop(self, index):
        """Press Stop below a cell that trains, then run the next cell; return what that one says."""
        cell = self.cell(index)
        cell.locator("button:has-text('Stop')").click()
        cell.locator("button:has-text('Stopped')").wait_for(timeout=30_000)
        self.start(index + 1)
        return self.wait_for_text(index + 1, "STOPPED")

    def wait_for_text(self, index, text, timeout=60_000):
        """Wait until a cell's output holds a text; return the output."""
        output = self.cell(index).locator(self.OUTPUT).first
        output.filter(has_text=text).wait_for(timeout=timeout)
        return output.inner_text()

    def settle(self):
        """Wait until the kernel is idle."""
        self.page.locator(self.IDLE).wait_for(state="attached")

    def rest(self, index):
        """Wait until the kernel is idle and a cell's picture stays: a slow machine lags behind the mouse."""
        picture = self.cell(index).locator("img.widget-image")
        old = ""
        while (new := picture.get_attribute("src")) != old:
            old = new
            self.settle()
            self.page.wait_for_timeout(600)

    def swipe(self, start, end):
        """Draw a finger from one place of the page to another."""
        session = self.page.context.new_cdp_session(self.page)
        (x, y), (to_x, to_y) = start, end
        for i in range(7):
            kind = "touchMove" if i else "touchStart"
            finger = {"x": x + (to_x - x) * i / 6, "y": y + (to_y - y) * i / 6}
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [finger]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        session.detach()

    def shot(self, name):
        """Keep a screenshot."""
        self.page.screenshot(path=self.shots / f"{name}.png")

    def open(self):
        """Load the notebook in the page."""
        self.page.goto(f"{self.address}/{self.PLACE}/{self.path.name}")
        self.cell(0).locator(self.CODE).wait_for()

    def reopened(self, text):
        """Save once the file holds a text; open a copy as somebody else's, whose kernel is new."""
        copy = self.path.with_name("reopened.ipynb")
        while text not in self.path.read_text("utf-8"):
            self.cell(0).locator(self.PROMPT).click()
            self.page.keyboard.press("Control+s")
            self.page.wait_for_timeout(1000)
        copy.write_bytes(self.path.read_bytes())
        return self._opened(copy)

    def other(self, sources):
        """Open another notebook with these cells; its kernel is new."""
        path = self.path.with_name("other.ipynb")
        path.write_text(notebook_of(sources))
        return self._opened(path)

    def _opened(self, path):
        page = self.page.context.browser.new_page(viewport=self.page.viewport_size)
        page.set_default_timeout(60_000)
        notebook = type(self)(page, path, self.address, self.shots)
        notebook.open()
        notebook.settle()
        return notebook

    def darken(self):
        """Load the notebook anew in JupyterLab's dark theme; its cells are to be run again."""
        folder = self.path.parents[1] / "settings" / "@jupyterlab" / "apputils-extension"
        settings = json.dumps({"theme": "JupyterLab Dark"})
        (folder / "themes.jupyterlab-settings").write_text(settings)
        self.open()
        self.page.locator("body[data-jp-theme-light='false']").wait_for(state="attached")

    def axe(self, index):
        """Return what axe-core finds in a cell's output, or leaves to be judged: rules with elements."""
        source = Path(importlib.util.find_spec("axe_playwright_python").origin).parent
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate((source / "axe.min.js").read_text("utf-8"))
        area = self.cell(index).locator(self.OUTPUT).first
        found = area.evaluate("area => axe.run(area)")
        rules = [rule for kind in self.AXE for rule in found[kind]]
        return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in rules]

    def check(self):
        """Fail where a cell or the console reported an error."""
        errors = self.page.locator(self.ERROR).all_inner_texts()
        assert not errors
        assert not self.problems


class Classic(Notebook):
    """The same in Notebook 6."""

    SERVER = "notebook"
    OUTPUT = ".output_wrapper"
    ERROR = ".output_error"
    IDLE = "#kernel_indicator_icon.kernel_idle_icon"
    CODE = ".CodeMirror"
    PROMPT = ".input_prompt"
    CELL = "#notebook .cell >> nth={}"
    PLACE = "notebooks"
    DIALOG = ".modal.in .modal-dialog"
    BUTTONS = ".modal-footer button"
    AXE = ("violations",)  # the mark of a selected cell leaves contrasts undecided


def notebook_of(sources: Sequence[str]) -> str:
    """Return the file of a notebook with these cells."""
    cells = [
        {"cell_type": "code", "id": f"c{i}", "source": source, "metadata": {}, "outputs": [],
         "execution_count": None}
        for i, source in enumerate(sources)
    ]  # fmt: skip
    spec = {"name": os.environ.get("DIFFLR_KERNEL", "python3"), "display_name": "Python 3"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": spec}, "cells": cells}
    return json.dumps(content)


@contextmanager
def opened(
    shots: Path | None = None, sources: Sequence[str] = CELLS, kind: type[Notebook] = Notebook
) -> Iterator[Notebook]:
    """Open a notebook with these cells; screenshots go to ``shots``."""
    from playwright.sync_api import sync_playwright

    with serving(kind.SERVER) as (address, folder), sync_playwright() as driver:
        path = folder / "widgets.ipynb"
        path.write_text(notebook_of(sources))
        browser = driver.chromium.launch(executable_path=_chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1300}, has_touch=True)
        page.set_default_timeout(60_000)
        notebook = kind(page, path, address, shots or folder)
        notebook.open()
        page.locator(kind.IDLE).wait_for()
        yield notebook
        browser.close()
