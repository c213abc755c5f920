"""Coverage-guided fuzzing of all that reads what others wrote: ``make fuzz``.

Each input is bytes that atheris (https://github.com/google/atheris) bends towards code not yet
reached. Whatever they say, difflr answers with a valid result or with ``DifflrError``; anything else
stops the run, and the input that did it is kept in a file ``runs/fuzz/crash-…``.
"""

import contextlib
import gzip
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["difflr"]):
    from difflr import DifflrError, Plan, expand_lrs, from_milestones, to_milestones
    from difflr.cli.command import _parser, _seeds
    from difflr.experiments.results import Results
    from difflr.experiments.settings import Settings
    from difflr.studies.recordings import load_recording
    from difflr.written.recipes import parse_recipe

FOLDER = Path(tempfile.mkdtemp(prefix="difflr-fuzz-"))


def small_recording() -> str:
    """The first runs of a recording that difflr ships, as JSON."""
    content = json.loads(gzip.decompress(SHIPPED.read_bytes()))
    content["runs"] = content["runs"][:2]
    used = {run["plan"] for run in content["runs"]}
    content["plans"] = {name: plan for name, plan in content["plans"].items() if name in used}
    return json.dumps(content)


SHIPPED = Path(__file__).parents[2] / "difflr" / "studies" / "recordings" / "plateau.json.gz"
RECORDING = small_recording()
KEYS = ("freeze_to", "duration", "epochs", "pct_start", "lrs", "frozen", "div_factor", "phases")


def value(data: atheris.FuzzedDataProvider, depth: int = 0) -> Any:
    """A value of any kind, nested up to three deep."""
    kind = data.ConsumeIntInRange(0, 9 if depth < 3 else 6)
    if kind < 3:
        return (data.ConsumeInt(2), data.ConsumeInt(9), data.ConsumeIntInRange(-2, 6))[kind]
    if kind < 7:
        return (
            data.ConsumeFloat(),
            data.ConsumeBool(),
            None,
            data.ConsumeUnicodeNoSurrogates(8),
        )[kind - 3]
    size = range(data.ConsumeIntInRange(0, 6))
    if kind == 7:
        return [value(data, depth + 1) for _ in size]
    if kind == 8:
        return {data.PickValueInList(list(KEYS)): value(data, depth + 1) for _ in size}
    return {data.ConsumeIntInRange(0, 4): value(data, depth + 1) for _ in size}


def milestones(data: atheris.FuzzedDataProvider) -> None:
    """A plan that goes there and back."""
    plan = from_milestones(value(data))
    assert from_milestones(to_milestones(plan)).phases == plan.phases


def plan(data: atheris.FuzzedDataProvider) -> None:
    """A plan that is its dictionary's, and can say each step's rates."""
    made = Plan.from_dict(value(data))
    assert Plan.from_dict(made.to_dict()) == made
    made.lrs(0, 1)


def rates(data: atheris.FuzzedDataProvider) -> None:
    """As many rates as asked for."""
    assert len(expand_lrs(value(data), 3)) == 3


JOURNAL = b'{"schema":"difflr-journal/1","study":"compare","about":{}}\n'


def results(data: atheris.FuzzedDataProvider) -> None:
    """A comparison's journal with a line of anything."""
    path = FOLDER / "results.json"
    path.unlink(missing_ok=True)
    line = text(data).encode("utf-8", "surrogatepass")
    path.with_suffix(".jsonl").write_bytes(JOURNAL + line + b"\n")
    Results(path, {}, {})


def recording(data: atheris.FuzzedDataProvider) -> None:
    """A recording that is right but for one place, or anything; packed, or not."""
    content = json.loads(RECORDING)
    node, key = content, data.PickValueInList(list(content))
    while data.ConsumeBool() and isinstance(node[key], list | dict) and node[key]:
        node = node[key]
        key = data.PickValueInList(list(node if isinstance(node, dict) else range(len(node))))
    node[key] = value(data)
    packed = (json.dumps(content) if data.ConsumeBool() else text(data)).encode("utf-8", "replace")
    path = FOLDER / "recording.json.gz"
    path.write_bytes(gzip.compress(packed, 1) if data.ConsumeBool() else packed)
    load_recording(path)


def line(data: atheris.FuzzedDataProvider) -> None:
    """A command line, up to the settings of its job."""
    words = [data.ConsumeUnicode(12) for _ in range(data.ConsumeIntInRange(0, 5))]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        _parser().parse_args(["curves", *words])
        arguments = _parser().parse_args(["compare", "--seeds", *words])
        _seeds(arguments.seeds)
    for word in words:
        parse_recipe(word)
        Settings.fitting(word, epochs=value(data), weight_decay=value(data))


def text(data: atheris.FuzzedDataProvider) -> str:
    """JSON of a value, or any text."""
    if data.ConsumeBool():
        return json.dumps(value(data))
    return data.ConsumeUnicode(200)


TARGETS = (milestones, plan, rates, results, recording, line)


def one_input(content: bytes) -> None:
    """Give one input to one of the readers."""
    data = atheris.FuzzedDataProvider(content)
    with contextlib.suppress(DifflrError):
        TARGETS[data.ConsumeIntInRange(0, len(TARGETS) - 1)](data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
