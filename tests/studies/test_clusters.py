"""The page on clusters: its programs run as far as a machine without a cluster allows."""

import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

PAGE = Path(__file__).parents[2] / "docs/howto/clusters.md"
SLURM, KUBERNETES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
# As sbatch does, it has read the script when it returns: dask-jobqueue deletes it then.
SBATCH = """#!/bin/sh
echo "$@" >> $0.log
cp "$1" "$0.$$.job"
sh "$0.$$.job" > "$0.out" 2>&1 &
echo "Submitted batch job $!"
"""


def test_slurm_is_asked_for_workers_that_run_the_study(tmp_path, monkeypatch):
    """As written on the page, with a stand-in for sbatch that runs the job's script at once."""
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    for name, text in (("sbatch", SBATCH), ("scancel", "#!/bin/sh\nkill $1\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    program = re.sub(r"^study = .*$", 'study = ["study", "plateau"]', SLURM, flags=re.MULTILINE)
    few = '"--quick", "--no-progress", "--out", "out", "--only", "base_lr=0.01", "--cluster"'
    exec(program.replace("maximum=50", "maximum=1").replace('"--cluster"', few), {})
    asked = (tmp_path / "sbatch.log").read_text().splitlines()
    assert asked, "the study did not ask for a job"
    lines = (tmp_path / "out/plateau.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["session"]["backend"] == "dask"
    assert len([line for line in lines if line.startswith('{"run"')]) == 8


def make_cluster_spec(*, name, image, resources, env, worker_command):
    """What the page uses of dask-kubernetes' function of that name: its arguments, and where they end up."""
    args = [*worker_command.split(" "), "--name", "$(DASK_WORKER_NAME)"]
    named = [{"name": variable, "value": value} for variable, value in env.items()]
    worker = {"image": image, "args": args, "env": named, "resources": resources}
    return {"metadata": {"name": name}, "spec": {"worker": {"spec": {"containers": [worker]}}}}


def test_kubernetes_is_given_what_the_page_says(monkeypatch):
    """One thread, memory and the mounted data: as dask-kubernetes builds it, or a stand-in in its absence.

    It brings 23 packages (240 MB), and is in none of the project's environments.
    """
    given, asked = [], []

    class Cluster:
        scheduler_address = "tcp://scheduler:8786"

        def __init__(self, custom_cluster_spec):
            given.append(custom_cluster_spec)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def adapt(self, **limits):
            asked.append(limits)

    try:
        from dask_kubernetes import operator
    except ImportError:
        operator = SimpleNamespace(make_cluster_spec=make_cluster_spec, KubeCluster=None)
        monkeypatch.setitem(sys.modules, "dask_kubernetes", SimpleNamespace(operator=operator))
        monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", operator)
    monkeypatch.setattr(operator, "KubeCluster", Cluster)
    monkeypatch.setattr("difflr.cli.main", asked.append)
    exec(KUBERNETES, {})
    worker = given[0]["spec"]["worker"]["spec"]
    container = worker["containers"][0]
    assert " ".join(container["args"]).startswith("dask-worker --nthreads 1 --name")
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "6Gi"}
    assert container["volumeMounts"][0]["name"] == worker["volumes"][0]["name"]
    assert asked[0] == {"minimum": 1, "maximum": 50}
    assert asked[1][-2:] == ["--cluster", "tcp://scheduler:8786"]
