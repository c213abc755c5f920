"""A cluster whose workers are gone for a moment, for good, or not there yet."""

import time
from threading import Timer

import pytest

from difflr.errors import DifflrError
from difflr.studies import cluster

pytest.importorskip("distributed", reason="dask.distributed is not installed")

ONE = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}


@pytest.fixture
def client(monkeypatch):
    """A cluster on this machine, in this process, looked at five times a second."""
    monkeypatch.setattr(cluster, "_LOOK", 0.2)
    monkeypatch.setattr(cluster, "_LOST", "500ms")
    with cluster.local_cluster(**ONE) as client:
        yield client


def leave(client):
    """Close the only worker, as one does whose time is over."""
    client.sync(client.cluster.workers[0].close)
    assert not client.nthreads()


def test_a_worker_that_is_lost_for_good_is_replaced(client):
    """Dask closes it after a while; the cluster has as many workers as before all the same."""
    leave(client)
    until = time.monotonic() + 30
    while not client.nthreads() and time.monotonic() < until:
        time.sleep(0.1)
    assert len(client.nthreads()) == 1


def test_where_no_worker_is_left_it_is_said_and_one_waited_for(client, monkeypatch):
    """One line, not one for each look; what was handed out meanwhile is finished once, by the next."""
    said = []

    def start_one(line, file):
        said.append(line)
        Timer(1, client.cluster.scale, [1]).start()

    monkeypatch.setattr(cluster.tqdm, "write", start_one)
    client.cluster._adaptive.stop()
    leave(client)
    assert sorted(cluster.on_cluster(abs, [(-i,) for i in range(5)], 3)) == [0, 1, 2, 3, 4]
    assert said == ["No worker on the cluster: waiting for one."]


def test_a_cluster_without_workers_is_given_up_in_the_end(client, monkeypatch):
    """It is an error that says what is kept, and not silence for ever."""
    monkeypatch.setattr(cluster, "_PATIENCE", 0.5)
    client.cluster._adaptive.stop()
    leave(client)
    with pytest.raises(DifflrError, match="No worker for 0 hours"):
        list(cluster.on_cluster(abs, [(1,)], 1))
