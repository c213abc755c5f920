"""Hand runs to the workers of a Dask cluster, which may come, go and die meanwhile."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from tqdm.auto import tqdm

from difflr.errors import DifflrError

__all__ = ["AT_ONCE", "local_cluster", "lost_workers", "on_cluster"]

AT_ONCE = 1000  # calls that a cluster is given at a time: from their number it sees how many workers it needs
_POLL = 0.01  # seconds between two looks for finished runs
_LOOK = 10.0  # seconds without a finished run until the workers are counted
_SAID_EVERY = 600.0  # seconds between two lines that say that there is no worker
_LOST = "5 minutes"  # until a worker of this machine that has not come back is replaced
_PATIENCE = 24 * 3600.0  # seconds without a worker, which may have to queue for its machine


@contextmanager
def local_cluster(**options: Any) -> Iterator[Any]:
    """Start workers on this machine and yield Dask's client; options are those of its ``LocalCluster``.

    By itself Dask gives up a worker whose successor has not started within 15 seconds, and one that dies
    while it starts; a busy machine takes longer to import torch.
    """
    import dask
    import distributed

    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": _LOST}),
        distributed.Client(**options) as client,
    ):
        workers = len(client.cluster.workers)
        client.cluster.adapt(minimum=workers, maximum=workers)
        yield client


def on_cluster(
    function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[Any]:
    """Hand the calls to Dask's current client, so many at a time, and yield what they return as they finish.

    Not through joblib, which asks how many workers there are once, at the start, and works in this
    process where there is one: a cluster grows while it is used.

    Raises:
        DifflrError: outside a client, where the cluster is gone, and where it had no worker for a day.
        distributed.KilledWorker: where several workers died on one of the calls, or beside it; those that
            were handed out have finished by then.
    """
    import distributed

    try:
        client = distributed.get_client()
    except ValueError as error:
        raise DifflrError(
            "Received backend 'dask' outside a cluster.",
            "Call run_study inside `with dask.distributed.Client(...):`.",
        ) from error
    waiting = iter(calls)

    def submit(count: int) -> list[Any]:
        return [client.submit(function, *call, pure=False) for call in islice(waiting, count)]

    # Fetched as they finish: asked for later, one might have gone with its worker, and be waited for.
    running, lost = distributed.as_completed(submit(jobs), with_results=True), None
    try:
        for future, result in _finished(client, running):
            try:
                yield future.result() if future.status in ("error", "cancelled") else result
            except distributed.KilledWorker as error:
                lost = error
            if lost is None:
                running.update(submit(1))
        if lost is not None:
            raise lost
    except distributed.CancelledError as error:
        raise _gone(error) from error
    finally:
        client.cancel(list(running.futures))


def _finished(client: Any, running: Any) -> Iterator[Any]:
    """Yield Dask's futures and their results as they finish; where no worker is left say so, and wait.

    Dask itself waits for ever, and says nothing.
    """
    looked = there = time.monotonic()
    said = -_SAID_EVERY
    while not running.is_empty():
        if ready := running.next_batch(block=False):
            yield from ready
            looked = there = time.monotonic()
            continue
        time.sleep(_POLL)
        now = time.monotonic()
        if now - looked < _LOOK:
            continue
        looked = now
        try:
            workers = client.nthreads()
        except OSError as error:
            raise _gone(error) from error
        if workers:
            there = now
        elif now - there >= _PATIENCE:
            raise DifflrError(
                f"No worker for {(now - there) / 3600:.0f} hours on the cluster; the finished runs are kept.",
                "Start workers, and give the same command.",
            )
        elif now - said >= _SAID_EVERY:
            said = now
            tqdm.write("No worker on the cluster: waiting for one.", file=sys.stderr)


def _gone(error: BaseException) -> DifflrError:
    return DifflrError(
        f"The cluster is gone ({error}); the finished runs are kept.",
        "Start it again, and give the same command.",
    )


def lost_workers() -> tuple[type[Exception], ...]:
    """Return what Dask raises where several workers died on one run."""
    dask = sys.modules.get("distributed")
    return (dask.KilledWorker,) if dask else ()
