"""Studies: every run once, whatever is killed in between; rates chosen apart from the test pictures."""

import gc
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import product
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from made_up import SPLITS, measured
from PIL import Image
from tiny_study import CELLS, study
from torch import nn

from difflr.cli.command import main
from difflr.errors import DifflrError
from difflr.evidence.gallery import draw_all
from difflr.experiments.backbones import PictureNetwork
from difflr.experiments.training import TrainingOptions, evaluate, hold_norms, train
from difflr.models.running_stats import recalibrate
from difflr.plan import Plan
from difflr.rangetest.gradients import suggest_lrs
from difflr.recipes import RECIPES
from difflr.runs.journal import Journal, read_journal
from difflr.splits import split_model
from difflr.studies import running
from difflr.studies.cell import Cell
from difflr.studies.declared import STUDIES, declare
from difflr.studies.design import Study, Task
from difflr.studies.material import load_parts, load_source, load_start
from difflr.studies.recordings import load_recording, save_recording
from difflr.studies.running import choose, run_study, share_cores
from difflr.studies.shifts import shift_images
from difflr.studies.trial import run_trial, stage


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A folder with three classes of 16×16 pictures, for StrokeNet: loaded in no time."""
    root = tmp_path_factory.mktemp("pictures")
    numbers = np.random.default_rng(0)
    for part, count in (("train", 24), ("test", 6)):
        for label in range(3):
            folder = root / part / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                picture = numbers.integers(0, 120, (16, 16, 3), dtype=np.uint8)
                picture[..., label] += 100
                Image.fromarray(picture).save(folder / f"{i}.png")
    return Task(str(root), source=None, batch_size=6, probes=6, curve=6)


def keys(journal):
    """Count the runs of a journal by what they are."""
    _, _, runs = read_journal(journal)
    return Counter((Cell.of(run).key, run["seed"], run["measured_on"]) for run in runs)


def chosen_by(journal, cells):
    """Count the runs of some cells that were measured on validation pictures."""
    own = {cell.key for cell in cells}
    return {k: v for k, v in keys(journal).items() if k[0] in own and k[2] == "validation"}


@pytest.fixture(scope="module")
def journal(task, tmp_path_factory):
    """The journal of a finished tiny study."""
    out = tmp_path_factory.mktemp("study")
    return run_study(study(task), out, n_jobs=1, threads=1, progress=False)


def test_every_cell_is_run_from_every_seed_and_the_best_reported(task, journal):
    """All cells on validation pictures; the best of each group on test pictures, other seeds."""
    counted = keys(journal)
    assert set(counted.values()) == {1}
    grid = {(cell.key, seed, "validation") for cell in CELLS for seed in (0, 1)}
    runs = read_journal(journal)[2]
    best = {(choice.cell.key, 100, "test") for choice in choose(runs, study(task))}
    assert set(counted) == grid | best
    assert len(best) == 2
    recording = save_recording(journal, journal.with_name("tiny.json.gz"))
    assert load_recording(journal.with_name("tiny.json.gz")) == recording
    for run in recording.runs:
        assert run.cka[0] > 0.9
        assert run.displacement[-1] > 0
        assert run.source_accuracy is None
        assert run.cpu_seconds > 0
        assert run.flops > 0
        assert len(run.curve_accuracy) == 1


def test_runs_are_made_seed_by_seed(task, journal):
    """So a study that is cut short has the whole grid of its first seeds."""
    runs = read_journal(journal)[2]
    for on in ("validation", "test"):
        seeds = [run["seed"] for run in runs if run["measured_on"] == on]
        assert seeds == sorted(seeds)
    assert {run["seed"] for run in runs[: len(CELLS)]} == {0}


def test_a_finished_study_runs_nothing_more(task, journal, monkeypatch):
    """The same command again trains nothing and leaves the file as it is."""
    before = journal.read_bytes()
    monkeypatch.setattr("difflr.studies.running.run_trial", None)
    assert run_study(study(task), journal.parent, n_jobs=1, progress=False) == journal
    assert journal.read_bytes() == before


def test_the_same_seed_gives_the_same_numbers(task, journal):
    """A run done again, alone, has the accuracy, curve and displacement of the recorded one."""
    for run in (read_journal(journal)[2][0], read_journal(journal)[2][-1]):
        again = run_trial(task, Cell.of(run), run["seed"], run["measured_on"], 1)
        again = json.loads(json.dumps(again))
        for name in ("accuracy", "curve_loss", "displacement", "plan", "flops"):
            assert again[name] == run[name]
    still = run_trial(task, Cell("uniform", {"lr": 1e-12}, 12, 1), 3, "validation", 1)
    assert max(still["displacement"]) < 1e-6, "the head is compared with the one it started from"


def test_nothing_that_chooses_is_trained_or_reported_on(task):
    """Pool, validation and test pictures are three sets without a picture in common."""
    parts = load_parts(task)
    sets = [
        {row.numpy().tobytes() for row in images.pixels}
        for images in (parts.pool, parts.validation, parts.test)
    ]
    assert [len(s) for s in sets] == [60, 12, 18]
    assert len(set.union(*sets)) == 60 + 12 + 18


def test_what_shifted_runs_train_on_is_new_to_the_clean_network(task):
    """The pool is shared out: three quarters to know the clean pictures, the rest to go on with."""
    parts, shifted = load_parts(task), load_parts(task, "contrast")
    assert len(parts.clean) == 45
    assert len(shifted.pool) == len(parts.pool) - 45

    def rows(images):
        return {row.numpy().tobytes() for row in images.pixels}

    foggy = shift_images(parts.clean, "contrast")
    assert not rows(foggy) & rows(shifted.pool)
    assert rows(shifted.pool) <= rows(shift_images(parts.pool, "contrast"))


def made_up(cell, seed, accuracy, on="validation"):
    """Return what ``choose`` reads of a run."""
    fields = {name: getattr(cell, name) for name in ("recipe", "options", "train_size")}
    fields |= {"epochs": cell.epochs, "shift": cell.shift, "bn": cell.bn}
    return {**fields, "seed": seed, "measured_on": on, "accuracy": accuracy}


def test_the_choice_looks_at_validation_means_only(task):
    """The best mean wins, not the best run; test runs and foreign seeds count for nothing."""
    cells = [Cell("uniform", {"lr": lr}, 12, 1) for lr in (1e-4, 1e-3, 1e-2)]
    runs = [made_up(cells[0], 0, 0.9), made_up(cells[0], 1, 0.1)]
    runs += [made_up(cells[1], seed, 0.6) for seed in (0, 1)]
    runs += [made_up(cells[2], 0, 0.3), made_up(cells[2], 1, 0.3)]
    runs += [made_up(cells[2], 100, 1.0, "test"), made_up(cells[2], 7, 1.0)]
    grid = study(task, cells=cells, choose_by=("recipe",))
    assert choose(runs, grid) == [(cells[1], False)]
    runs[4]["accuracy"] = 1.0
    assert choose(runs, grid) == [(cells[2], True)], "the highest rate tried is said to be one"


def _peaked(task, cell, seed, measured_on, threads):
    """Return a run whose accuracy is best at a rate of 3e-2 with ratio 1, and at 1e-5 with 100."""
    best = {1.0: -1.5, 100.0: -5.0}[cell.options["ratio"]]
    distance = abs(math.log10(cell.options["lr"]) - best)
    return {**made_up(cell, seed, 1 - distance / 10, measured_on), "plan": {}}


def test_a_study_follows_the_best_rate_beyond_the_edge_of_those_it_began_with(task, tmp_path):
    """The reserve is tried rate by rate on the side of the best, until that lies inside or all are tried."""
    grid = [
        Cell("differential", {"lr": lr, "ratio": ratio}, 12, 1)
        for lr, ratio in product((1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1), (1.0, 100.0))
    ]
    begun = [cell for cell in grid if cell.options["lr"] in (1e-3, 3e-3)]
    wide = study(task, cells=begun, reserve=grid)
    path = run_study(wide, tmp_path, n_jobs=1, backend="threading", progress=False, trial=_peaked)
    tried, reported = defaultdict(set), {}
    for run in read_journal(path)[2]:
        ratio, lr = run["options"]["ratio"], run["options"]["lr"]
        if run["measured_on"] == "validation":
            tried[ratio].add(lr)
        else:
            reported[ratio] = lr
    assert tried[1.0] == {1e-3, 3e-3, 1e-2, 3e-2, 1e-1}
    assert tried[100.0] == {1e-4, 3e-4, 1e-3, 3e-3}, "the grid has none below"
    assert reported == {1.0: 3e-2, 100.0: 1e-4}


def test_a_rate_at_which_training_diverged_is_not_chosen(task):
    """A broken network names one class for all pictures; where that one is common, it looks good."""
    cells = [Cell("uniform", {"lr": lr}, 12, 1) for lr in (1e-3, 1e-1)]
    runs = [{**made_up(cells[0], seed, 0.6), "loss": 1.0} for seed in (0, 1)]
    runs += [{**made_up(cells[1], seed, 0.7), "loss": None} for seed in (0, 1)]
    assert choose(runs, study(task, cells=cells, choose_by=("recipe",)))[0].cell == cells[0]


def test_seeds_that_choose_do_not_report(task):
    """A study that would report from a seed it chose by is refused."""
    with pytest.raises(DifflrError, match="choose and report"):
        study(task, report_seeds=(1, 2))


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from tiny_study import study
from difflr.studies.design import Task
from difflr.studies.running import run_study
if __name__ == "__main__":
    run_study(study(Task({data!r}, source=None, batch_size=6, probes=6, curve=6)),
              Path({out!r}), n_jobs=1, threads=1, progress=False)
"""


def test_a_killed_study_loses_and_doubles_no_run(task, tmp_path):
    """``kill -9`` between runs, then a torn line: the next call keeps what is whole, adds the rest."""
    code = KILLED.format(
        tests=str(Path(__file__).parents[1] / "support"), data=task.data, out=str(tmp_path)
    )
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    path = tmp_path / "tiny.jsonl"
    try:
        while not path.exists() or path.read_bytes().count(b'{"run"') < 2:
            assert process.poll() is None, "the study ended before it could be killed"
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    whole = path.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]
    kept = whole.count(b'{"run"')
    assert 2 <= kept < 10
    with path.open("ab") as file:  # as if the kill had come in the middle of a line
        file.write(b'{"run":{"recipe":"differential","opti')
    assert run_study(study(task), tmp_path, n_jobs=1, threads=1, progress=False) == path
    assert path.read_bytes().startswith(whole)
    counted = keys(path)
    assert len(counted) == 10
    assert set(counted.values()) == {1}
    assert len(read_journal(path)[1]) == 2, "each call says where it ran"


def test_what_stays_is_not_collected_after_every_run(task, tmp_path):
    """From the second run on only what runs made is looked at; afterwards the process is as it was."""
    frozen = []

    def trial(task, cell, seed, measured_on, threads):
        frozen.append(gc.get_freeze_count())
        return measured(cell, seed, measured_on)

    cells = [Cell("differential", {"lr": 1e-3, "ratio": ratio}, 20, 1) for ratio in (1.0, 10.0)]
    run_study(Study("s", task, cells, (0, 1), ()), tmp_path, n_jobs=1, progress=False, trial=trial)
    assert frozen[0] == 0
    assert min(frozen[1:]) > 10_000
    assert gc.get_freeze_count() == 0


def test_tidying_after_a_run_does_not_look_at_all_runs_before_it(task, tmp_path):
    """As many objects are looked at for garbage after 400 runs as after 200: a long study stays as fast."""
    tracked = []

    def trial(task, cell, seed, measured_on, threads):
        tracked.append(len(gc.get_objects()))
        return measured(cell, seed, measured_on)

    cells = [Cell("differential", {"lr": 1e-3, "ratio": 1.0 + i}, 20, 1) for i in range(20)]
    made_up = Study("s", task, cells, tuple(range(20)), ())
    run_study(made_up, tmp_path, n_jobs=1, progress=False, trial=trial)
    assert max(tracked[300:]) < 1.1 * max(tracked[100:200])


def test_processes_and_their_threads(task, journal, tmp_path):
    """Through joblib's processes the runs are those of a single process, and none is missing."""
    part = study(task, cells=CELLS[:2], report_seeds=())
    path = run_study(part, tmp_path, n_jobs=2, threads=1, progress=False)
    assert dict(keys(path)) == chosen_by(journal, part.cells)
    session = read_journal(path)[1][0]
    assert (session["jobs"], session["threads"], session["backend"]) == (2, 1, "loky")
    by_key = {(Cell.of(r).key, r["seed"]): r["displacement"] for r in read_journal(journal)[2]}
    for run in read_journal(path)[2]:
        assert run["displacement"] == pytest.approx(by_key[Cell.of(run).key, run["seed"]], rel=1e-3)


def test_a_local_dask_cluster_runs_the_same_study(task, journal, tmp_path):
    """Dask's workers run the same cells, and the journal is the same but for the order."""
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        part = study(task, cells=CELLS[:1], report_seeds=())
        path = run_study(part, tmp_path, backend="dask", threads=1, progress=False)
    assert dict(keys(path)) == chosen_by(journal, part.cells)
    assert read_journal(path)[1][0]["backend"] == "dask"


def test_a_cluster_is_asked_for(task, tmp_path):
    """Outside a client of Dask there is one line, and nothing runs here instead."""
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with pytest.raises(DifflrError, match="outside a cluster"):
        run_study(study(task), tmp_path, backend="dask", progress=False)


def mortal(task, cell, seed, measured_on, threads):
    """A made-up run that kills its worker: the one of ratio 2 once, the one of ratio 3 always."""
    ratio, mark = cell.options["ratio"], Path(task.data_dir, "died")
    if ratio == 3.0 or (ratio == 2.0 and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return measured(cell, seed, measured_on)


def test_a_cluster_whose_workers_die_loses_and_doubles_nothing(task, tmp_path, monkeypatch):
    """A run whose worker died is given to another; where all die of it, the others' runs are kept."""
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    task = replace(task, data_dir=str(tmp_path))
    ratios = [1.0 + i / 10 for i in range(11)]  # 2.0 among them
    cells = [Cell("differential", {"lr": 1e-3, "ratio": ratio}, 20, 1) for ratio in ratios]
    settings = {
        # A single death is enough for Dask to give up on a run: the study does not.
        "distributed.scheduler.allowed-failures": 0,
        "distributed.worker.multiprocessing-method": "forkserver",
    }
    with dask.config.set(settings):  # or each new worker would import torch anew
        context = distributed.utils.get_mp_context()
        context.set_forkserver_preload(["distributed", running.__name__])
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):

        def go_on(*seeds):
            found = Study("s", task, cells, seeds, ())
            return run_study(found, tmp_path, backend="dask", progress=False, trial=mortal)

        first = keys(go_on(0, 1))
        assert len(first) == 22
        assert set(first.values()) == {1}
        cells.append(Cell("differential", {"lr": 1e-3, "ratio": 3.0}, 20, 1))
        monkeypatch.setattr(running, "_FRUITLESS", 1)  # a new worker takes seconds
        with pytest.raises(DifflrError, match="finished runs are kept"):
            go_on(0)
    assert keys(tmp_path / "s.jsonl") == first


def test_cores_are_shared_out(monkeypatch):
    """Workers × threads is the number of cores, unless both are given."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert share_cores(100, None, None) == (8, 1)
    assert share_cores(3, None, None) == (3, 2)
    assert share_cores(100, 2, None) == (2, 4)
    assert share_cores(100, 3, 5) == (3, 5)
    with pytest.raises(DifflrError, match="n_jobs"):
        share_cores(100, 0, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert share_cores(100, None, None) == (1, 8)


def test_other_settings_are_refused_and_named(task, journal):
    """Runs of another batch size are not mixed in."""
    before = journal.read_bytes()
    with pytest.raises(DifflrError, match="batch_size: there 6, now 3"):
        run_study(study(replace(task, batch_size=3)), journal.parent, progress=False)
    assert journal.read_bytes() == before


def test_two_processes_do_not_write_to_one_journal(tmp_path):
    """A journal that is open is refused to others, and free again when closed."""
    with Journal(tmp_path / "j.jsonl", "s", {}), pytest.raises(DifflrError, match="Another"):
        Journal(tmp_path / "j.jsonl", "s", {})
    with Journal(tmp_path / "j.jsonl", "s", {}) as journal:
        assert journal.runs == []


def test_a_foreign_file_is_left_alone(tmp_path):
    """A file that is no journal is refused and kept; a torn first line is begun anew."""
    path = tmp_path / "j.jsonl"
    for content in (b"my diary", b"my\ndiary\n", b'{"schema":"other"}\n', b"[]\n"):
        path.write_bytes(content)
        with pytest.raises(DifflrError, match="no journal"):
            Journal(path, "s", {})
        assert path.read_bytes().startswith(content[:3])
    path.write_bytes(b'{"schema":"diff')
    with Journal(path, "s", {"a": 1}):
        assert read_journal(path)[0] == {"study": "s", "about": {"a": 1}}


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    """A write that fails is undone, said, and the runs before it are there."""
    path = tmp_path / "j.jsonl"
    with Journal(path, "s", {}) as journal:
        journal.open_session({})
        journal.add({"accuracy": 0.5})
        before = path.read_bytes()
        real = os.write
        monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:5]))
        with pytest.raises(DifflrError, match="No space left"):
            journal.add({"accuracy": 0.6})
        monkeypatch.undo()
        assert path.read_bytes() == before
        journal.add({"accuracy": 0.7})
    assert [run["accuracy"] for run in read_journal(path)[2]] == [0.5, 0.7]


def task_of(name):
    """Return data that a declared study takes: questions or pictures."""
    return Task("trec6:FOLDER", "MiniLM", "FOLDER", None) if name == "text" else Task()


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("quick", [True, False])
def test_declared_studies_are_grids_that_make_plans(name, quick):
    """Every declared cell makes a plan, and each group tries every base LR that the others try."""
    declared = declare(name, task_of(name), quick=quick)
    groups = {}
    for cell in declared.cells:
        assert cell.plan(6).epochs == cell.epochs
        group = tuple(cell.tags[tag] for tag in (*declared.choose_by, "optimizer", "train_size"))
        groups.setdefault(group, set()).add(cell.tags["base_lr"])
    sizes = {}
    for group, rates in groups.items():
        sizes.setdefault(group[-2:], set()).add(tuple(sorted(rates)))
    assert all(len(grids) == 1 for grids in sizes.values()), "the same grid for every recipe"
    assert len(declared.report_seeds) >= (2 if quick else 5)


def test_causes_change_one_thing_at_a_time():
    """A faster head over an even body, and graded rates, at the same ratio and with and without shifts."""
    cells = declare("causes", Task()).cells
    for recipe, alike in (("two_rates", True), ("differential", False)):
        found = [c for c in cells if c.recipe == recipe and c.tags["ratio"] == 100]
        assert {cell.augment for cell in found} == {True, False}
        for cell in found:
            first, *_, last, head = cell.plan(6).phases[0].lrs
            assert head == pytest.approx(100 * first)
            assert (first == last) == alike
    rivals = {"uniform", "two_rates", "differential", "lp_ft", "auto_rgn", "wise_ft"}
    under = product(("AdamW", "SGD"), ("kept", "frozen"), (True, False))
    for optimizer, bn, augment in under:
        own = [c for c in cells if (c.optimizer, c.bn, c.augment) == (optimizer, bn, augment)]
        assert {cell.recipe for cell in own} == rivals


def test_a_run_holds_what_its_cell_says(task, monkeypatch):
    """All BatchNorm frozen, SGD, rates by the gradients: seen in the weights, the optimizer and the plan."""
    trained = []

    def spy(*given, **options):
        found = train(*given, **options)
        trained.append(found[1])
        return found

    monkeypatch.setattr("difflr.studies.trial.train", spy)
    task = replace(task, weights="embedded")
    cell = Cell("auto_rgn", {"lr": 1e-2}, 24, 1, bn="frozen", optimizer="SGD", augment=False)
    run = run_trial(task, cell, 0, "validation")
    model, start = trained.pop(), load_start(task)
    assert isinstance(model.trainer.optimizers[0], torch.optim.SGD)
    before = start.build(3, new_head=False).state_dict()
    norms = [n for n, m in model.network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    for name, value in model.network.state_dict().items():
        if name.rpartition(".")[0] in norms:
            assert torch.equal(value, before[name]), name
    assert run["drift"] == [0.0] * len(run["drift"])
    assert min(run["displacement"]) > 0
    torch.manual_seed(0)
    network = start.build(3)
    hold_norms(network)
    whole = PictureNetwork(network, mean=start.mean, std=start.std)
    pictures = load_parts(task).pool.subset(24, 0)
    expected = suggest_lrs(split_model(whole), pictures.batches(6, seed=0), 1e-2)
    assert model.plan.phases[0].lrs == expected.lrs
    assert max(expected.lrs) == 1e-2
    assert Plan.from_dict(run["plan"]) == model.plan


@pytest.mark.parametrize("shift", ["none", "contrast"])
def test_a_run_goes_back_towards_the_weights_before(task, tmp_path, shift):
    """WiSE-FT with alpha 0 answers as the network before training, under the trained head if that is new."""
    if shift != "none":
        grid = study(task, cells=[Cell("uniform", {"lr": 1e-3}, 12, 1, shift)])
        task = replace(task, clean=str(running._clean_network(grid, tmp_path)))
    options = {"lr": 1e-2, "alpha": 0.0}
    run = run_trial(task, Cell("wise_ft", options, 12, 1, shift, augment=False), 0, "test")
    uniform = Cell("uniform", {"lr": 1e-2}, 12, 1, shift, augment=False)
    given = stage(task, uniform, 0, "test")
    torch.manual_seed(0)
    network = given.start.build(given.n_classes)
    _, model = train(
        given.start, uniform.plan(6), given.images, given.held,
        TrainingOptions(batch_size=6, translate=0), n_classes=given.n_classes, seed=0,
    )  # fmt: skip
    if shift == "none":
        network.fc.load_state_dict(model.network.fc.state_dict())
    model.network.load_state_dict(network.state_dict())
    recalibrate(model, given.images.batches(6))
    assert (run["accuracy"], run["loss"]) == pytest.approx(evaluate(model, given.held))


@pytest.mark.parametrize("name", ["batch_size", "probes", "curve"])
def test_what_a_task_must_know_is_not_none(name):
    """Unlike the sizes that are None by default: all pictures, or as they are."""
    with pytest.raises(DifflrError, match=f"{name}"):
        Task(**{name: None})
    assert Task(test_size=None, image_size=None).test_size is None


def test_statistics_alone_are_estimated_anew(task):
    """As WiSE-FT does that goes back not at all, and not as uniform rates do."""
    recipes = {"recalibrated": {}, "wise_ft": {"alpha": 1.0}, "uniform": {}}
    found = {}
    for name, options in recipes.items():
        cell = Cell(name, {"lr": 1e-2, **options}, 12, 1, augment=False)
        run = run_trial(task, cell, 0, "test")
        found[name] = run["accuracy"], run["loss"]
    assert found["recalibrated"] == found["wise_ft"] != found["uniform"]


def test_going_back_leaves_frozen_statistics_alone(task):
    """They are the same before and after, so going back not at all is what uniform rates do."""
    ways = (("wise_ft", {"alpha": 1.0}), ("uniform", {}))
    gone, trained = (
        run_trial(
            task, Cell(name, {"lr": 1e-2, **more}, 12, 1, bn="frozen", augment=False), 0, "test"
        )
        for name, more in ways
    )
    assert (gone["accuracy"], gone["loss"]) == (trained["accuracy"], trained["loss"])


def test_what_is_forgotten_is_measured_with_statistics_estimated_anew(task):
    """On source pictures that are not measured: a network that hardly moved knows what it knew."""
    task = replace(task, weights=None, source="strokes", test_size=300)
    cell = Cell("uniform", {"lr": 1e-9}, 12, 1)
    run = run_trial(task, cell, 0, "validation")
    assert run["source_before"] > 0.8
    assert abs(run["source_recalibrated"] - run["source_before"]) < 0.05
    assert run["source_recalibrated"] != run["source_accuracy"]
    source = load_source(task)
    assert not {p.numpy().tobytes() for p in source.apart.pixels} & {
        p.numpy().tobytes() for p in source.measured.pixels
    }


def test_what_was_confounded_has_cells_of_its_own():
    """First split and head with drifting statistics; gradual unfreezing at one constant rate."""
    under = [c for c in declare("which_splits", Task()).cells if c.shift == "contrast"]
    drifting = {cell.recipe for cell in under if cell.bn == "drifting"}
    assert drifting == {"first_splits", "head_only"}
    assert min(cell.tags["base_lr"] for cell in under if cell.recipe == "uniform") < 1e-4
    constant = [c for c in declare("recipes", Task()).cells if c.tags["shape"] == "constant"]
    plan = constant[0].plan(6)
    assert [plan.lrs(step, 10)[-1] for step in range(60)] == pytest.approx([1e-4] * 60)
    whole = [c for c in declare("recipes", Task()).cells if c.tags["shape"] == "cosine:continues"]
    head = [whole[0].plan(6).lrs(step, 10)[-1] for step in range(60)]
    assert head == sorted(head, reverse=True)


def test_a_quick_study_obeys_the_test_size():
    """What the caller asks for wins over the number that makes a quick study quick."""
    assert declare("plateau", Task(test_size=30), quick=True).task.test_size == 30
    assert declare("plateau", Task(), quick=True).task.test_size == 100
    with pytest.raises(DifflrError, match="test_size"):
        Task(test_size=0)


@pytest.mark.parametrize("name", STUDIES)
def test_a_part_of_the_grid_can_be_drawn(name, tmp_path):
    """A study of one learning rate, or of one cell, has its pictures and words like any other."""
    cells = declare(name, task_of(name), quick=True).cells
    for part, own in {
        "rate": [c for c in cells if c.options["lr"] == 1e-3],
        "one": cells[-1:],
    }.items():
        with Journal(tmp_path / f"{part}.jsonl", name, {"splits": SPLITS}) as journal:
            journal.open_session({})
            for cell, seed, on in product(own, (0, 1), ("validation", "test")):
                journal.add({**measured(cell, seed, on), "augment": cell.augment})
        recording = save_recording(journal.path, tmp_path / f"{part}.json.gz")
        assert all(draw_all(recording, tmp_path / part).values())


def test_a_clean_network_of_other_pictures_is_refused(task, tmp_path):
    """The network that knows the clean pictures belongs to them; another folder does not get it."""
    cells = [Cell("uniform", {"lr": 1e-3}, 12, 1, shift="contrast")]
    grid = study(task, cells=cells, seeds=(0,), report_seeds=())
    other = tmp_path / "pictures"
    shutil.copytree(task.data, other)
    for file in (other / "train" / "class0").iterdir():
        Image.new("RGB", (16, 16)).save(file)
    made = running._clean_network(grid, tmp_path)
    before = made.read_bytes()
    assert running._clean_network(grid, tmp_path) == made
    elsewhere = replace(grid, task=replace(task, data=str(other)))
    with pytest.raises(DifflrError, match="other pictures"):
        running._clean_network(elsewhere, tmp_path)
    assert made.read_bytes() == before


def test_a_shifted_cell_starts_from_the_clean_network(task, tmp_path):
    """Under a shift the head is kept, nothing is forgotten by lr≈0, and the network is made once."""
    cells = [
        Cell("uniform", {"lr": lr}, 12, 1, shift="contrast") for lr in (1e-12, 1e-2)
    ]  # fmt: skip
    grid = study(task, cells=cells, seeds=(0,), report_seeds=(), choose_by=("shift",))
    path = run_study(grid, tmp_path, n_jobs=1, threads=2, progress=False)
    assert torch.get_num_threads() == 1, "the caller's threads are given back"
    clean = tmp_path / "tiny-clean.safetensors"
    made = clean.stat().st_mtime_ns
    still, moved = sorted(read_journal(path)[2], key=lambda run: run["options"]["lr"])
    assert max(still["displacement"]) < 1e-6 < moved["displacement"][0]
    assert still["source_before"] == moved["source_before"] == still["source_old_bn"]
    run_study(grid, tmp_path, n_jobs=1, progress=False)
    assert clean.stat().st_mtime_ns == made


def test_a_task_takes_what_fits_its_data_unless_it_is_given(task):
    """Photographs get a ResNet, larger where they are small; strokenet's own weights knew strokes before."""
    own, photographs = Task.fitting("strokes"), Task.fitting("cifar10", weights=None, test_size=9)
    assert (own.backbone, own.weights, own.source, own.batch_size) == (
        "strokenet",
        None,
        "strokes",
        32,
    )
    assert (photographs.backbone, photographs.source) == ("resnet18", None)
    assert (photographs.image_size, photographs.batch_size, photographs.test_size) == (128, 64, 9)
    assert Task.fitting("strokes", weights="none").source is None
    assert Task.fitting(task.data, weights="none").batch_size == 64
    asked = Task.fitting("cifar10", image_size=64, precision="bf16-mixed", source="imagenet")
    assert (asked.image_size, asked.precision, asked.source) == (64, "bf16-mixed", "imagenet")
    text = Task.fitting("trec6:FOLDER", weights="FOLDER", image_size=64, source="imagenet")
    assert (text.backbone, text.batch_size, text.image_size) == ("transformer", 16, None)
    assert text.source is None
    with pytest.raises(DifflrError, match="Text needs a transformer"):
        Task.fitting("trec6:FOLDER")


def command_of(data):
    """Return the command that runs the study ``plateau`` on these pictures, with a network that is quick."""
    command = ["study", "plateau", "--data", str(data), "--backbone", "strokenet"]
    return [*command, "--weights", "none", "--jobs", "1", "--no-progress"]


def test_the_command_runs_and_records_a_study(task, tmp_path, capsys, monkeypatch):
    """``difflr study`` leaves a journal and a recording; an unknown name is refused."""
    monkeypatch.setitem(STUDIES, "plateau", lambda *_: (CELLS[:2], ("ratio",)))
    command = [*command_of(task.data), "--seeds", "1,1"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert "4 runs" in capsys.readouterr().out
    assert len(load_recording(tmp_path / "plateau.json.gz").runs) == 4
    assert main([*command, "--out", str(tmp_path / "part"), "--only", "ratio=1e2"]) == 0
    assert load_recording(tmp_path / "part" / "plateau.json.gz").values("ratio") == [100.0]
    for wrong in ("ratio=7", "depth=1", "ratio"):
        assert main([*command, "--out", str(tmp_path), "--only", wrong]) == 2
        assert "--only" in capsys.readouterr().err
    for wrong in ("3", "0,5", "3,-1", "3,10,2", "a,b"):
        assert main([*command, "--out", str(tmp_path), "--seeds", wrong]) == 2
        assert "--seeds" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["study", "nonsense", "--out", str(tmp_path)]) == 2
    assert "plateau" in capsys.readouterr().err


def test_the_command_takes_numbers_of_seeds_and_where_to_begin(task, tmp_path, monkeypatch):
    """With ``--widen`` the other rates of what ``--only`` names stand by, and nothing else."""
    asked = []

    def refuse(grid, *_, **__):
        asked.append(grid)
        raise DifflrError("Not run.", "It is a test.")

    monkeypatch.setitem(STUDIES, "plateau", lambda *_: (CELLS, ("ratio",)))
    monkeypatch.setattr("difflr.studies.running.run_study", refuse)
    command = [*command_of(task.data), "--out", str(tmp_path)]
    only = ["--only", "base_lr=1e-3", "ratio=1", "--seeds", "2,3"]
    assert main([*command, *only]) == main([*command, *only, "--widen"]) == 2
    plain, wide = asked
    assert (plain.seeds, plain.report_seeds) == ((0, 1), (100, 101, 102))
    assert [cell.key for cell in plain.cells] == [cell.key for cell in wide.cells]
    assert not plain.reserve
    assert [cell.options for cell in wide.reserve] == [
        {"lr": lr, "ratio": 1.0} for lr in (1e-3, 1e-2)
    ]


def test_a_recording_is_made_once_more(task, tmp_path, capsys):
    """By one command: the runs that it holds and no others, with the same numbers; a part with ``--only``."""
    cells = [Cell("uniform", {"lr": lr}, 12, 1) for lr in (1e-3, 1e-2)]
    whole = Task.fitting(task.data, backbone="strokenet", weights="none")
    journal = run_study(
        Study("plateau", whole, cells, (3,), (101,), ("recipe",)),
        tmp_path,
        progress=False,
        n_jobs=1,
    )
    recorded = save_recording(journal, tmp_path / "own.json.gz")
    command = [*command_of(task.data), "--as-recorded", str(tmp_path / "own.json.gz")]
    assert main([*command, "--out", str(tmp_path / "again")]) == 0
    again = load_recording(tmp_path / "again" / "plateau.json.gz")
    assert [(r.cell.key, r.seed, r.measured_on, r.accuracy) for r in again.runs] == [
        (r.cell.key, r.seed, r.measured_on, r.accuracy) for r in recorded.runs
    ]
    assert main([*command, "--out", str(tmp_path / "part"), "--only", "base_lr=1e-2"]) == 0
    part = load_recording(tmp_path / "part" / "plateau.json.gz")
    assert {run.tags["base_lr"] for run in part.runs} == {1e-2}
    for more in (["--widen"], ["--quick"], ["--seeds", "1,1"]):
        assert main([*command, *more, "--out", str(tmp_path)]) == 2
        assert "Leave out quick, widen and seeds" in capsys.readouterr().err
    other = ["study", "peak", *command[2:]]
    assert main([*other, "--out", str(tmp_path)]) == 2
    assert "recording of the study plateau, the study is peak" in capsys.readouterr().err


def test_what_other_packages_trained_is_not_made_once_more():
    """Of the recording of recipes difflr's own runs; ``make rivals`` makes the others."""
    study = declare("recipes", Task(), recording="recipes")
    shipped = load_recording("recipes").runs
    assert 0 < len(study.recorded) < len(shipped)
    assert {cell.recipe for cell, _, _ in study.recorded} <= {*RECIPES}
    for name in ("peak", "causes", "which_splits"):
        study = declare(name, Task(), recording=name)
        assert len(study.recorded) == len(load_recording(name).runs)


def test_the_command_counts_what_a_study_skips(task, tmp_path, capsys, monkeypatch):
    """Files that are no pictures are named and counted before the runs, and recorded; so is a division."""
    monkeypatch.setitem(STUDIES, "plateau", lambda *_: (CELLS[:1], ("ratio",)))
    tree = tmp_path / "plain"
    for kind in ("class0", "class1"):
        shutil.copytree(Path(task.data, "train", kind), tree / kind)
    (tree / "class0" / "broken.png").write_bytes(b"no picture")
    assert main([*command_of(tree), "--seeds", "1,1", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "48 pictures read." in said
    assert "class0/broken.png" in said
    assert "class1: 19 to train on, 5 to test on" in said
    about = load_recording(tmp_path / "out" / "plateau.json.gz").about
    assert about["files"]["read"] == 48
    assert [kind["count"] for kind in about["files"]["skipped"].values()] == [1]
    assert about["division"] in said
