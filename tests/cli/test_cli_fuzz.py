"""Any command line at all: a result, or one clear line and status 2, and never a traceback."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from difflr.cli.command import main

WORDS = st.text(max_size=12) | st.sampled_from(
    [
        *(
            "",
            "-",
            "--",
            "0",
            "1",
            "-1",
            "3",
            "1e400",
            "nan",
            "inf",
            "1_0",
            "٣",
            "0x1",
            "\0",
            "\ud800",
        ),
        *(
            "uniform",
            "differential:lr=3e-3:ratio=10",
            "gradual:lr=",
            "head-only",
            "lp_ft:freeze_epochs=1",
        ),
        *(
            "fine_tune",
            "first_splits:count=2",
            "milestones_2020",
            "uniform:lr=1e-3,head_only",
            ":::",
            "lr=1",
        ),
        *(
            "strokes",
            "strokes:input_shift=0.5",
            "strokes:input_shift=nan",
            "nowhere",
            "/dev/null",
            ".",
        ),
        *(
            "strokenet",
            "resnet18",
            "resnet19",
            "none",
            "imagenet",
            "~nobody",
            "\n",
            "{}",
            "%s",
            "@file",
        ),
    ]
)
NUMBERS = st.integers(-3, 9).map(str) | st.floats().map(str) | WORDS
RECIPE = st.builds(
    lambda name, pairs: ":".join([name, *(f"{key}={value}" for key, value in pairs)]),
    st.sampled_from(
        ["uniform", "differential", "gradual", "lp_ft", "fine_tune", "first_splits", "x"]
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["lr", "ratio", "count", "freeze_epochs", "factor", "pct_start", ""]),
            NUMBERS,
        ),
        max_size=3,
    ),
)

#: The options of each command that are drawn; --out is always the test's own folder.
OPTIONS = {
    "compare": {
        "--recipes": RECIPE | WORDS,
        "--seeds": NUMBERS,
        "--epochs": NUMBERS,
        "--train-size": NUMBERS,
        "--image-size": NUMBERS,
        "--batch-size": NUMBERS,
        "--weight-decay": NUMBERS,
        "--backbone": st.sampled_from(["strokenet", "resnet19", "", "list_models"]),
        "--weights": st.sampled_from(["none", "embedded", "nowhere.pt", ".", "/dev/null", ""]),
        "--data": st.sampled_from(["strokes", "strokes:speed=1", "nowhere", ".", "/dev/null", ""]),
    },
    "plan": {
        "--recipe": RECIPE | WORDS,
        "--milestones": WORDS,
        "--epochs": NUMBERS,
        "--steps-per-epoch": NUMBERS,
    },
    "curves": {"--title": WORDS},
    "study": {"--jobs": NUMBERS, "--data": st.just("nowhere"), "--image-size": NUMBERS},
}


@st.composite
def lines(draw) -> list[str]:
    """A command with some of its options, each with a word that may suit it."""
    command = draw(st.sampled_from(list(OPTIONS)))
    found = [command]
    for option in draw(st.lists(st.sampled_from(list(OPTIONS[command])), unique=True, max_size=4)):
        found += [option, draw(OPTIONS[command][option])]
    if command == "plan":
        found += ["--backbone", "strokenet"]  # a larger network only takes longer
    strays = st.lists(WORDS, min_size=command in ("curves", "study"), max_size=1)
    return [*found, *draw(strays)]


class Ready(BaseException):
    """The line was fine, up to the point where training would begin."""


def ready(*_, **__):
    """Stands for the training."""
    raise Ready


def blank(split: str, size: int, **_) -> tuple[np.ndarray, np.ndarray]:
    """Stands for the drawings, which take a second."""
    return np.zeros((size, 3, 8, 8), np.uint8), np.arange(size) % 10


@pytest.fixture(scope="module", autouse=True)
def _untrained(tmp_path_factory):
    """Commands run up to the training or the drawing of a picture, in a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("difflr.experiments.compare.train", ready)
        patch.setattr("difflr.studies.running.run_study", ready)
        patch.setattr("difflr.cli.command._save", lambda *_: None)
        patch.setattr("difflr.experiments.strokes.target_task", blank)
        patch.chdir(tmp_path_factory.mktemp("line"))
        yield


def check(line: list[str]) -> None:
    """Run a line: it is ready to train, has done its work, or says in words what is wrong."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            status = main(line)
        except SystemExit as end:  # argparse's way, for --help and for what it cannot read
            status = end.code
        except Ready:
            return
    if status:
        assert status == 2
        last = said.getvalue().strip().rpartition("\n")[2]
        assert last.startswith("difflr")
        assert ": error: " in last
        assert "Traceback" not in said.getvalue()


@given(lines())
@example(["compare", "--seeds", "9" * 5000])
@example(["curves", "\n"])
@example(["compare", "--recipes", "uniform:lr=1e400"])
@example(["plan", "--backbone", "strokenet", "--milestones", "\0"])
@example(["curves", "\0"])
@example(["compare", "--data", "\0", "--weights", "none"])
@example(["compare", "--weights", "\0"])
def test_any_option_with_any_word_ends_in_words(line):
    """Each command with options that suit it, half suit it or do not."""
    check(line)


@given(st.lists(WORDS | st.sampled_from([*OPTIONS, "--help", "--version", "--recipe"]), max_size=5))
@example(["compare", "\n0"])
def test_any_words_at_all_end_in_words(line):
    """Also where they are no command."""
    check(line)
