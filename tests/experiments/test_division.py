"""A plain tree is divided so that no copy and no series has a part on each side, and says so."""

import csv
import json
from collections import defaultdict
from datetime import datetime, timedelta

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from difflr.cli.command import main
from difflr.errors import DifflrError
from difflr.experiments.data import load_data
from difflr.experiments.folder import read_tree
from difflr.experiments.reading import Reading
from difflr.experiments.series import find_links


def scene(number: int, like: int | None = None, apart: float = 0.25) -> Image.Image:
    """A picture of smooth random colours; one that is ``like`` another differs from it a little."""
    grid = np.random.default_rng(number).uniform(0, 255, (6, 6, 3))
    if like is not None:
        grid = (1 - apart) * np.random.default_rng(like).uniform(0, 255, (6, 6, 3)) + apart * grid
    small = Image.fromarray(grid.astype(np.uint8))
    return small.resize((96, 96), Image.Resampling.BICUBIC)


def write(root, pictures):
    """Write pictures by their path below the folder; a pair holds the time that they were taken."""
    for name, picture in pictures.items():
        picture, when = picture if isinstance(picture, tuple) else (picture, None)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        if when:
            exif[0x0110] = "Box 1"
            exif.get_ifd(0x8769)[0x9003] = when.strftime("%Y:%m:%d %H:%M:%S")
        picture.save(path, exif=exif, **({"quality": 70} if path.suffix == ".jpg" else {}))
    return root


def others(name: str, first: int, count: int = 20):
    """Pictures that have nothing to do with each other, numbered as people number them."""
    return {f"{name}/{name}.{i}.png": scene(first + i) for i in range(count)}


def linked(root):
    """Return which files are linked, by reason."""
    reading = Reading(root)
    tree = read_tree(root, 64, reading)
    found = defaultdict(set)
    for a, b, reason in find_links(tree, root):
        found[reason.split()[0]].add(frozenset(tree.files[i].name for i in (a, b)))
    return dict(found)


def test_copies_are_found_whatever_was_done_to_them(tmp_path):
    """Saved as JPEG, scaled, mirrored, in another class; pictures of their own are not linked."""
    picture = scene(500)
    write(tmp_path, {**others("a", 0), **others("b", 100), "a/x.png": picture, "a/saved.jpg": picture,
                     "a/small.png": picture.resize((50, 50)), "b/else.png": picture,
                     "b/mirrored.jpg": ImageOps.mirror(picture)})  # fmt: skip
    found = linked(tmp_path)
    assert list(found) == ["copies,"]
    assert frozenset.union(*found["copies,"]) == {
        *("x.png", "saved.jpg", "small.png", "else.png", "mirrored.jpg")
    }


def test_series_are_found_by_time_number_and_subject(tmp_path):
    """The camera's clock, a time in the name, frames that look alike, a folder or name per subject."""
    noon = datetime(2023, 5, 14, 12)
    burst = {
        f"a/DSC{7 * i}.jpg": (scene(600 + i), noon + timedelta(seconds=8 * i)) for i in range(3)
    }
    later = {"a/DSC90.jpg": (scene(610), noon + timedelta(minutes=1))}
    stamps = {f"a/PXL_20240101_10000{i}.png": scene(620 + i) for i in range(2)}
    frames = {f"b/clip_{i:03d}.png": scene(640 + i, like=639) for i in range(3)}
    subjects = {f"b/patient{i}_{j}.png": scene(650 + 9 * i + j) for i in range(4) for j in range(2)}
    folders = {f"a/dog{i}/{j}{i}.png": scene(700 + 9 * i + j) for i in range(4) for j in (1, 5)}
    write(tmp_path, {**others("a", 0), **others("b", 100), **burst, **later, **stamps, **frames,
                     **subjects, **folders})  # fmt: skip
    found = linked(tmp_path)
    assert {*found} == {"taken", "neighbours", "one"}
    assert frozenset.union(*found["taken"]) == {
        *("DSC0.jpg", "DSC7.jpg", "DSC14.jpg", "PXL_20240101_100000.png", "PXL_20240101_100001.png")
    }
    assert frozenset.union(*found["neighbours"]) == {f"clip_00{i}.png" for i in range(3)}
    assert {frozenset(pair) for pair in found["one"]} == {
        *(frozenset({f"patient{i}_0.png", f"patient{i}_1.png"}) for i in range(4)),
        *(frozenset({f"1{i}.png", f"5{i}.png"}) for i in range(4)),
    }


def test_groups_stay_on_one_side_and_each_class_has_its_share(tmp_path):
    """A fifth of each class, drawn by a seed; the same seed gives the same pictures."""
    series = {f"a/patient{i}_{j}.png": scene(300 + 5 * i + j) for i in range(10) for j in range(4)}
    write(tmp_path, {**series, **others("b", 0, 30)})
    data = load_data(str(tmp_path), image_size=64)
    division = data.division
    assert torch.bincount(data.test.labels).tolist() == [8, 6]
    assert torch.bincount(data.train.labels).tolist() == [32, 24]
    sides = defaultdict(set)
    for group, test in zip(division.group, division.is_test, strict=True):
        sides[group].add(bool(test))
    assert all(len(side) == 1 for side in sides.values())
    assert len(sides) == 40
    assert "a: 32 to train on, 8 to test on" in division.describe()
    again, other = (
        load_data(str(tmp_path), image_size=64, division_seed=s).division for s in (0, 1)
    )
    assert (again.is_test == division.is_test).all()
    assert (other.is_test != division.is_test).any()


def test_the_division_is_written_as_a_table(tmp_path):
    """One line per picture: file, class, part, group; what it says is what was loaded."""
    write(tmp_path / "data", {**others("a", 0), **others("b, c", 100)})
    data = load_data(str(tmp_path / "data"), image_size=64)
    path = data.division.write(tmp_path / "out" / "parts.csv")
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert len(rows) == 40
    assert {row["class"] for row in rows} == {"a", "b, c"}
    tested = [row["file"] for row in rows if row["part"] == "test"]
    assert len(tested) == len(data.test) == 8
    first = np.asarray(
        Image.open(tmp_path / "data" / tested[0]).resize((64, 64), Image.Resampling.BILINEAR)
    )
    assert (data.test.pixels[0].permute(1, 2, 0).numpy() == first).all()


def as_table(division, **parts):
    """Return the lines of a table, with some pictures put elsewhere."""
    sides = {
        file: "test" if t else "train"
        for file, t in zip(division.files, division.is_test, strict=True)
    }
    return ["file,part", *(f"{file},{part}" for file, part in {**sides, **parts}.items())]


def test_a_division_of_ones_own_is_obeyed(tmp_path):
    """parts.csv in the folder says what goes where: as it was written, moved by hand, or by a spreadsheet."""
    write(tmp_path, {**others("a", 0), **others("b", 100), "a/copy.png": scene(3)})
    drawn = load_data(str(tmp_path), image_size=64, division_seed=5)
    drawn.division.write(tmp_path / "parts.csv")
    again = load_data(str(tmp_path), image_size=64)
    assert torch.equal(again.test.pixels, drawn.test.pixels)
    assert (again.division.group == drawn.division.group).all()
    assert again.division.seed is None
    assert again.division.across == {}
    assert "parts.csv in it says" in again.division.describe()
    assert not again.reading.skipped  # the table itself is no stray file

    files, groups = drawn.division.files, drawn.division.group
    copied = next(
        f for f, g in zip(files, groups, strict=True) if g == groups[files.index("a/copy.png")]
    )
    lines = as_table(drawn.division, **{"a/copy.png": "TEST", copied: "train"})
    (tmp_path / "parts.csv").write_text("\r\n".join(lines).replace(",", ";"), "utf-8-sig")
    own = load_data(str(tmp_path), image_size=64).division
    assert own.is_test[own.files.index("a/copy.png")]
    assert not own.is_test[own.files.index(copied)]
    assert own.across == {"copies, mirrored or scaled ones too": 1}
    assert "1  pairs lie on both sides" in own.describe()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda lines: [], "expected the columns file and part"),
        (lambda lines: ["picture,where", *lines[1:]], "expected the columns file and part"),
        (lambda lines: [*lines[:2], "a/2.png,val", *lines[3:]], "Line 3 of .* has the part 'val'"),
        (lambda lines: [*lines[:2], "a/2.png"], "Line 3 of .* has the part ''"),
        (lambda lines: [*lines, lines[4]], "Line 42 of .* names .* again, which line 5 names"),
        (lambda lines: [*lines, "a/gone.png,test"], "Line 42 of .*a/gone.png, which is not in the folder"),
        (lambda lines: [*lines, "a" * 5000 + ",test"], "Line 42 .* which is not in the folder"),
        (lambda lines: lines[:-2], "says nothing of 2 pictures of the folder: b/"),
        (lambda lines: [line.replace("test", "train") for line in lines], "no picture of class a to test"),
        (lambda lines: ["file,part\udcff"], "no table of parts"),
    ],
)  # fmt: skip
def test_a_damaged_division_is_refused_by_line(tmp_path, spoil, words):
    """What the table gets wrong is named, with the line and what to do."""
    write(tmp_path, {**others("a", 0), **others("b", 100)})
    lines = spoil(as_table(load_data(str(tmp_path), image_size=64).division))
    (tmp_path / "parts.csv").write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    with pytest.raises(DifflrError, match=words):
        load_data(str(tmp_path), image_size=64)


def test_a_series_that_is_most_of_a_class_is_not_kept_together_and_said(tmp_path):
    """A camera on a belt takes a picture every second for an hour: copies alone stay together."""
    start = datetime(2023, 5, 14, 12)
    belt = {f"a/{i}.jpg": (scene(400 + i), start + timedelta(seconds=i)) for i in range(20)}
    copy = {"a/again.png": scene(403)}
    write(tmp_path, {**belt, **copy, **others("b", 0)})
    division = load_data(str(tmp_path), image_size=64).division
    assert int(division.is_test.sum()) == 8
    assert list(division.together) == ["copies, mirrored or scaled ones too"]
    assert "not kept together (it would be most of a class): taken within" in division.describe()


def test_a_class_of_copies_is_refused_by_name(tmp_path):
    """Nothing would be left to train on."""
    write(tmp_path, {**{f"same/{i}.png": scene(1) for i in range(5)}, **others("b", 100)})
    with pytest.raises(DifflrError, match="All pictures of class same are copies"):
        load_data(str(tmp_path), image_size=64)


@pytest.mark.parametrize(
    "names", [("train", "val"), ("Train", "Test"), ("training", "a"), ("test", "a")]
)
def test_parts_of_other_names_are_never_taken_for_classes(tmp_path, names):
    """train/ and val/ are no classes, whatever their case."""
    for name in names:
        write(tmp_path, {f"{name}/cat/0.png": scene(0), f"{name}/dog/0.png": scene(1)})
    with pytest.raises(DifflrError, match="expected train and test, or one folder per class"):
        load_data(str(tmp_path), image_size=64)


def test_the_comparison_divides_a_plain_tree_and_writes_down_how(tmp_path, capsys):
    """parts.csv beside the results, the counts in them and in the output."""
    write(tmp_path / "data", {**others("a", 0), **others("b", 100), "a/copy.png": scene(3)})
    command = ["compare", "--data", str(tmp_path / "data"), "--backbone", "strokenet", "--epochs", "1",
               "--recipes", "head_only", "--seeds", "1", "--image-size", "32", "--no-progress",
               "--out", str(tmp_path / "out"), "--division-seed", "7"]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "a: 17 to train on, 4 to test on" in said
    assert "(seed 7)" in said
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["data"]["division"]["together"] == {"copies, mirrored or scaled ones too": 1}
    assert results["data"]["test_size"] == 8
    assert len((tmp_path / "out" / "parts.csv").read_text().splitlines()) == 42
