"""The wheel and the sdist hold what they should, and the core works from the wheel with torch alone."""

import email
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytest.importorskip("hatchling", reason='it comes with pip install -e ".[dev]"')

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the wheel and the sdist."""
    out = tmp_path_factory.mktemp("dist")
    code = "import sys; from hatchling.build import *; build_wheel(sys.argv[1]); build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, check=True)
    return out


@pytest.fixture(scope="module")
def wheel(built):
    """The wheel, unpacked."""
    (path,) = built.glob("*.whl")
    zipfile.ZipFile(path).extractall(built / "wheel")
    return built / "wheel"


def installed(wheel, extra):
    """Return the distributions, as installed here, that the wheel with this extra asks for."""
    (about,) = wheel.glob("*.dist-info")
    found = {"difflr": metadata.Distribution.at(about)}
    wanted = [("difflr", ""), ("difflr", extra)]
    for name, chosen in wanted:  # which grows as it is read
        if name not in found:
            try:
                found[name] = metadata.distribution(name)
            except metadata.PackageNotFoundError:  # not asked for on this machine
                continue
        for need in map(Requirement, found[name].requires or ()):
            if need.marker is None or need.marker.evaluate({"extra": chosen}):
                asked = [(canonicalize_name(need.name), more) for more in ("", *need.extras)]
                wanted += [pair for pair in asked if pair not in wanted]
    return [distribution for name, distribution in found.items() if name != "difflr"]


def environment(folder, wheel, extra=""):
    """Return the Python of a new environment with the wheel, one of its extras and nothing else.

    What the wheel asks for is linked from the environment of the tests: there may be no network.
    """
    venv.create(folder, symlinks=os.name != "nt")
    (site,) = folder.rglob("site-packages")
    for distribution in installed(wheel, extra):
        for name in {path.parts[0] for path in distribution.files} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(distribution.locate_file(name))
    for path in wheel.iterdir():
        (site / path.name).symlink_to(path)
    (python,) = (*folder.glob("bin/python"), *folder.glob("Scripts/python.exe"))
    return python


@pytest.fixture(scope="module")
def alone(wheel, tmp_path_factory):
    """An environment's Python: the wheel, torch, numpy and what these two need."""
    return environment(tmp_path_factory.mktemp("alone"), wheel)


@pytest.fixture(scope="module")
def kit(wheel, tmp_path_factory):
    """An environment's Python: the wheel and its extra ``kit``."""
    return environment(tmp_path_factory.mktemp("kit"), wheel, "kit")


def run(python, code):
    """Run code with this Python, outside the repository."""
    done = subprocess.run(
        [python, "-I", "-c", code], cwd=Path(python).parent, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return done.stdout


def needed(wheel, extra=None):
    """Return the names of the packages that the wheel asks for, alone or with one of its extras."""
    (path,) = wheel.glob("*.dist-info/METADATA")
    lines = email.message_from_string(path.read_text("utf-8")).get_all("Requires-Dist")
    end = f"extra == '{extra}'"
    chosen = [line for line in lines if (end in line if extra else "extra ==" not in line)]
    return {re.match(r"[\w-]+(\[\w+\])?", line)[0] for line in chosen}


def test_the_wheel_asks_for_torch_and_numpy_alone(wheel):
    """All else comes with the extras, and each extra brings those that it stands on."""
    assert needed(wheel) == {"torch", "numpy"}
    assert needed(wheel, "lightning") == {"pytorch-lightning"}
    assert {"pytorch-lightning", "matplotlib", "ipywidgets"} <= needed(wheel, "kit")
    assert needed(wheel, "studies") - needed(wheel, "kit") == {"joblib", "dask[distributed]"}


def test_the_wheel_holds_types_weights_recordings_and_lessons(wheel):
    """Byte for byte as in the repository; no bytecode and no notebook's .py beside them."""
    package = wheel / "difflr"
    for pattern in ("py.typed", "experiments/weights/*", "studies/recordings/*.json.gz"):
        found = sorted((ROOT / "difflr").glob(pattern))
        assert found
        for path in found:
            inside = package / path.relative_to(ROOT / "difflr")
            assert inside.read_bytes() == path.read_bytes()
    lessons = sorted(path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
    assert sorted(path.name for path in (package / "lessons" / "notebooks").iterdir()) == lessons
    assert not list(wheel.rglob("*.pyc"))


def test_the_sdist_holds_every_tracked_file(built):
    """So that its tests, lessons and documents can be run and built from it."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("This is no git repository (or there is no git).")
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    there = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert there - inside == set()


def test_the_core_works_with_torch_alone(alone, wheel):
    """Splits, a plan, groups, the scheduler, freezing, the report and kept features."""
    code = f"""
import difflr, importlib, pathlib, torch
assert pathlib.Path(difflr.__file__).resolve().is_relative_to({str(wheel)!r})
for path in pathlib.Path(difflr.__file__).parent.glob("[a-z]*.py"):
    importlib.import_module("difflr." + path.stem)
net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
splits = difflr.split_model(net, list(net))
plan = difflr.make_plan("gradual", splits, 3)
optimizer = torch.optim.AdamW(difflr.param_groups(splits))
scheduler = difflr.PlanScheduler(optimizer, plan, steps_per_epoch=2)
difflr.freeze_to(splits, -1)
before = net[0].weight.clone()
for _ in range(2):
    net(torch.randn(8, 4)).sum().backward()
    optimizer.step()
    scheduler.step()
assert torch.equal(net[0].weight, before)
assert max(scheduler.get_last_lr()) > 0
assert all(name in str(difflr.report(splits)) for name in splits.names)
assert difflr.from_milestones(difflr.to_milestones(plan)) == plan
assert difflr.replace_head and difflr.CachedPrefix and difflr.range_test
"""
    run(alone, code)


MISSING = {
    "difflr.plot_plan": 'difflr.plot_plan needs matplotlib: pip install "difflr[kit]"',
    "from difflr import ParametersSplitsModule": "difflr.ParametersSplitsModule needs "
    'pytorch_lightning: pip install "difflr[lightning]"',
    "import difflr.lightning.module": "difflr.lightning needs pytorch_lightning: "
    'pip install "difflr[lightning]"',
    "import difflr.widgets": 'difflr.widgets needs ipywidgets: pip install "difflr[kit]"',
}


def test_a_missing_extra_is_one_line_that_names_it(alone):
    """An ImportError, whether a public name is used or a room is imported."""
    tried = [
        f"try:\n    {code}\nexcept ImportError as error:\n    print(error)" for code in MISSING
    ]
    code = "\n".join(["import difflr", *tried])
    assert run(alone, code).splitlines() == list(MISSING.values())


def test_the_command_line_names_the_missing_extra(alone, tmp_path):
    """Exit status 2 and one line; what needs no extra works."""
    code = f"""
import contextlib, io
from difflr.cli import main
for words in (["compare"], ["plan"], ["study", "plateau"], ["curves", "x"]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(words) == 2
    print(said.getvalue(), end="")
assert main(["lessons", {str(tmp_path / "lessons")!r}]) == 0
"""
    lines = run(alone, code).splitlines()
    needs = 'difflr: error: difflr {} needs {}: pip install "difflr[{}]"'
    assert lines[0] == needs.format("compare", "pytorch_lightning", "lightning")
    assert all(line.startswith("difflr: error: difflr ") for line in lines[:4])
    assert (tmp_path / "lessons" / "00_start_here.ipynb").exists()


def test_lessons_and_compare_need_no_more_than_the_kit(kit):
    """Neither joblib nor Dask; a study says that it needs them."""
    code = """
import importlib, pkgutil, sys
for room in ("lessons", "widgets", "evidence", "experiments", "runs", "rangetest", "figures", "lightning"):
    package = importlib.import_module(f"difflr.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"difflr.{room}."):
        importlib.import_module(module.name)
import difflr.experiments.compare, difflr.studies.recordings
from difflr.cli import main
assert main(["study", "plateau", "--quick"]) == 2
assert not {"joblib", "dask"} & set(sys.modules)
"""
    run(kit, code)
