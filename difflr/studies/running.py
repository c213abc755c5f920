"""Run a declared grid through joblib, one durable line per finished run, and go on after a kill."""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from math import fsum
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import torch
from tqdm.auto import tqdm

from difflr.errors import DifflrError, as_int
from difflr.experiments.allocator import release_freed_memory
from difflr.experiments.provenance import describe_machine, hash_pictures, versions
from difflr.experiments.training import TrainingOptions, train
from difflr.recipes import make_plan
from difflr.runs.journal import Journal
from difflr.splits import split_model
from difflr.studies.cell import Cell
from difflr.studies.cluster import AT_ONCE, lost_workers, on_cluster
from difflr.studies.design import Study, Task
from difflr.studies.material import describe_task, load_parts, load_start
from difflr.studies.trial import run_trial
from difflr.written.files import write_whole, writing

__all__ = ["Choice", "choose", "run_study", "share_cores"]

_CLEAN_EPOCHS = 8
_TIDIED = 100  # runs after which those in the journal are no longer looked at for garbage
_FRUITLESS = 3  # times that workers died with no run finished, until a study gives up
Trial = Callable[[Task, Cell, int, str, int | None], dict[str, Any]]
Named = tuple[Cell, int, str]  # a run: of a cell, from a seed, measured on these pictures


class Choice(NamedTuple):
    """The best cell of a group; ``at_edge`` says that its base LR is the lowest or highest tried."""

    cell: Cell
    at_edge: bool


def run_study(
    study: Study,
    out: Path,
    *,
    n_jobs: int | None = None,
    threads: int | None = None,
    backend: str = "loky",
    progress: bool = True,
    trial: Trial | None = None,
    packages: Sequence[str] = (),
) -> Path:
    """Run what is still missing of a study and return its journal, ``out/<name>.jsonl``.

    Args:
        study: what to run; see ``Study`` for its two stages.
        out: folder of the journal, made where it is missing.
        n_jobs: runs at a time (default: one per core, one in all on a GPU; on a cluster one per thread
            of its workers, as many as there are at the moment).
        threads: of torch in each of them (default: cores / n_jobs).
        backend: joblib's ``"loky"`` (processes) or ``"threading"``, or, inside a
            ``dask.distributed.Client``, ``"dask"``: its workers read data and weights by the same paths.
        progress: draw a bar with the time left, in training pictures.
        trial: what runs one cell, where another package trains it; called as ``run_trial`` is.
        packages: names of those packages, whose versions are noted.

    Raises:
        DifflrError: for input that cannot be used; finished runs stay in the journal.
    """
    task = study.task
    for name, number in (("n_jobs", n_jobs), ("threads", threads)):
        if number is not None:
            as_int(name, number, 1, 1024)
    if any(cell.shift != "none" for cell in study.cells) and task.clean is None:
        task = replace(task, clean=str(_clean_network(study, out)))
    if trial is None:  # complains now rather than after an hour
        splits = split_model(load_start(task).build(2), task.cut)
        for cell in study.cells:
            cell.plan(splits)
    for shift, size in {(cell.shift, cell.train_size) for cell in study.cells}:
        load_parts(task, shift).pool.subset(size, 0)
    with Journal(out / f"{study.name}.jsonl", study.name, describe_task(task)) as journal:
        workers = _Workers(
            journal, task, n_jobs, threads, backend, progress, trial or run_trial, packages
        )
        if study.recorded:
            workers.run(f"{study.name}: as recorded", study.recorded)
            return journal.path
        further = study.cells
        while further:
            workers.run(f"{study.name}: choosing", _each(further, study.seeds, "validation"))
            further = _beyond_the_edges(journal.runs, study)
            study = replace(study, cells=[*study.cells, *further])
        if study.report_seeds:
            choices = choose(journal.runs, study)
            for choice in choices:
                if choice.at_edge and progress:
                    tqdm.write(f"at the edge of its learning rates: {choice.cell.key}")
            best = [choice.cell for choice in choices]
            workers.run(f"{study.name}: reporting", _each(best, study.report_seeds, "test"))
        return journal.path


def _each(cells: Iterable[Cell], seeds: Iterable[int], on: str) -> list[Named]:
    """Return every cell from every seed, seed by seed: a study that is cut short has whole grids."""
    return [(cell, seed, on) for seed in seeds for cell in cells]


def choose(runs: Sequence[Mapping[str, Any]], study: Study) -> list[Choice]:
    """Return the best cell of each group (``study.choose_by``), by mean validation accuracy."""
    scores = defaultdict(list)
    for run in runs:
        if run["measured_on"] == "validation" and run["seed"] in study.seeds:
            # A network that diverged names one class for all pictures, which is no accuracy to choose by.
            diverged = run.get("loss", 0.0) is None
            scores[Cell.of(run).key].append(0.0 if diverged else run["accuracy"])
    groups = _grouped((cell for cell in study.cells if scores[cell.key]), study)
    choices = []
    for cells in groups.values():
        best = max(cells, key=lambda cell: fsum(scores[cell.key]) / len(scores[cell.key]))
        rates = sorted({cell.tags["base_lr"] for cell in cells if cell.tags["base_lr"]})
        edge = len(rates) > 1 and best.tags["base_lr"] in (rates[0], rates[-1])
        choices.append(Choice(best, edge))
    return choices


def _grouped(cells: Iterable[Cell], study: Study) -> dict[tuple[Any, ...], list[Cell]]:
    """Return the cells of which one is chosen, by the tags that they share."""
    groups: dict[tuple[Any, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[tuple(cell.tags[tag] for tag in study.choose_by)].append(cell)
    return groups


def _beyond_the_edges(runs: Sequence[Mapping[str, Any]], study: Study) -> list[Cell]:
    """Return the reserve's next learning rate beyond each edge at which the best of a group lies."""
    if not study.reserve:
        return []
    tried, reserve = (_grouped(cells, study) for cells in (study.cells, study.reserve))
    further = []
    for best, _ in choose(runs, study):
        (group,) = _grouped([best], study)
        rates, lr = [cell.tags["base_lr"] for cell in tried[group]], best.tags["base_lr"]
        others = sorted(reserve[group], key=lambda cell: cell.tags["base_lr"])
        if lr == max(rates):
            further += [cell for cell in others if cell.tags["base_lr"] > lr][:1]
        if lr == min(rates):
            further += [cell for cell in others if cell.tags["base_lr"] < lr][-1:]
    return further


def share_cores(todo: int, n_jobs: int | None, threads: int | None) -> tuple[int, int]:
    """Return how many runs at a time and how many threads each, so that all cores have work.

    Networks this small gain little from a second thread, so runs come first.
    """
    cores = joblib.cpu_count()
    if n_jobs is None:
        n_jobs = 1 if torch.cuda.is_available() else min(cores, todo)
    n_jobs = as_int("n_jobs", n_jobs, 1)
    if threads is None:
        threads = max(1, cores // n_jobs)
    return n_jobs, as_int("threads", threads, 1)


@dataclass
class _Workers:
    """Runs cells through joblib; only this process writes to the journal."""

    journal: Journal
    task: Task
    n_jobs: int | None
    threads: int | None
    backend: str
    progress: bool
    trial: Trial
    packages: Sequence[str]
    opened: bool = False  # whether the journal says where these runs are made

    def run(self, title: str, wanted: Sequence[Named]) -> None:
        """Make these runs, unless the journal has them."""
        fruitless = 0
        while todo := self._missing(wanted):
            before = len(self.journal.runs)
            try:
                self._run_all(title, todo)
            except lost_workers() as error:  # by now the cluster may have replaced them
                fruitless = 0 if len(self.journal.runs) > before else fruitless + 1
                if fruitless == _FRUITLESS:
                    raise DifflrError(
                        f"The workers of the cluster die on what is left ({error}); the finished runs "
                        "are kept.",
                        "Give the same command again, with more memory for each worker.",
                    ) from error
            else:
                break

    def _missing(self, wanted: Sequence[Named]) -> list[Named]:
        done = {(Cell.of(r).key, r["seed"], r["measured_on"]) for r in self.journal.runs}
        return [(cell, seed, on) for cell, seed, on in wanted if (cell.key, seed, on) not in done]

    def _run_all(self, title: str, todo: Sequence[Named]) -> None:
        if self.backend == "dask":
            jobs, threads = self.n_jobs or AT_ONCE, self.threads or 1
        else:
            jobs, threads = share_cores(len(todo), self.n_jobs, self.threads)
        if not self.opened:
            how = {"jobs": jobs, "threads": threads, "backend": self.backend}
            made_with = versions(["joblib", *self.packages])
            self.journal.open_session({**describe_machine(), **how, "versions": made_with})
            self.opened = True
        before = torch.get_num_threads()
        total = sum(cell.train_size * cell.epochs for cell, *_ in todo)
        calls = [(self.trial, self.task, *named, threads) for named in todo]
        runs = on_cluster if self.backend == "dask" else partial(_on_machine, self.backend)
        try:
            with tqdm(
                total=total, desc=title, unit="pic", unit_scale=True, disable=not self.progress
            ) as bar:
                for count, run in enumerate(runs(_run_and_tidy, calls, jobs)):
                    self.journal.add(run)
                    if count % _TIDIED == 0:
                        gc.freeze()  # or tidying after a run would look at all the runs before it
                    bar.update(run["train_size"] * run["epochs"])
        except joblib.externals.loky.process_executor.BrokenProcessPool as error:
            raise DifflrError(
                f"A process of the study died ({str(error).splitlines()[0]}); the finished runs are kept.",
                "Give the same command again, with fewer --jobs if the memory was full.",
            ) from error
        finally:  # one job runs in this process
            torch.set_num_threads(before)
            gc.unfreeze()
            _freeze_what_stays.cache_clear()


def _on_machine(
    backend: str, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[Any]:
    """Run the calls here, so many at a time, and yield what they return as they finish."""
    with joblib.parallel_config(backend=backend, n_jobs=jobs):
        delayed = (joblib.delayed(function)(*call) for call in calls)
        yield from joblib.Parallel(return_as="generator_unordered")(delayed)


def _run_and_tidy(trial: Trial, *what: Any) -> dict[str, Any]:
    """Run a trial, then give the memory that it freed back to the system.

    glibc keeps it in pieces; joblib sees the process grow, takes that for a leak and starts a new
    one every few runs, which costs as much as a run.
    """
    run = trial(*what)
    gc.collect()
    _freeze_what_stays()
    release_freed_memory()
    return run


@lru_cache(maxsize=1)
def _freeze_what_stays() -> None:
    """After a process's first run: modules, pictures and weights are not looked at after every other run.

    Half a million objects, a fifth of a second each time.
    """
    gc.freeze()


def _clean_network(study: Study, out: Path) -> Path:
    """Fine-tune the network on clean pictures once, and return the file with its weights.

    Raises:
        DifflrError: for a file there whose network learned other pictures, or from other weights.
    """
    from safetensors.torch import save

    path = out / f"{study.name}-clean.safetensors"
    task = study.task
    parts, start = load_parts(task), load_start(task)
    pictures = parts.clean.resized(task.image_size)
    origin = {
        "pictures_sha256": hash_pictures(pictures),
        "weights_sha256": start.sha256,
        "backbone": start.name,
        "batch_size": str(task.batch_size),
        "precision": task.precision,
    }
    if path.exists():
        there = _origin(path)
        # An earlier version wrote none; the journal beside it then ties it to its pictures.
        if there != origin and (there or not (out / f"{study.name}.jsonl").exists()):
            raise DifflrError(
                f"{path} is a network that learned other pictures, from other weights or otherwise.",
                "Pass another folder with --out.",
            )
        return path
    lr = 1e-2 if task.embedded else 3e-3
    plan = make_plan("differential", split_model(start.build(2), task.cut), _CLEAN_EPOCHS, lr=lr)
    _, model = train(
        start,
        plan,
        pictures,
        parts.validation.resized(task.image_size),
        TrainingOptions(task.batch_size, parts.flip, precision=task.precision, cut=task.cut),
        n_classes=parts.n_classes,
        seed=0,
    )
    state = {k: v.cpu().contiguous() for k, v in model.network.state_dict().items()}
    with writing(path):
        write_whole(path, save(state, origin), replace=False)
    return path


def _origin(path: Path) -> dict[str, str]:
    """Return what a clean network says of where it comes from; nothing if it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}
