"""Every kind of picture file is read right, to the pixel, or skipped for a reason that is counted."""

import json
import os
import socket
import struct
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from difflr.cli import main
from difflr.errors import DifflrError
from difflr.experiments.data import load_data
from difflr.experiments.folder import read_tree
from difflr.experiments.picturefile import read_picture
from difflr.experiments.reading import Reading

SIDE = 16
RED, GREEN, BLUE, LIGHT = (200, 0, 0), (0, 160, 0), (0, 0, 240), (250, 250, 250)


def quarters(*colours) -> np.ndarray:
    """A picture of four colours: top left, top right, bottom left, bottom right."""
    half = SIDE // 2
    blocks = [np.full((half, half, 3), colour, np.uint8) for colour in colours]
    return np.block([[[blocks[0]], [blocks[1]]], [[blocks[2]], [blocks[3]]]])


BASE = quarters(RED, GREEN, BLUE, LIGHT)
RAMP = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)


def grey(values: np.ndarray) -> np.ndarray:
    """The same in three colours."""
    return np.repeat(np.rint(values).astype(np.uint8)[..., None], 3, axis=2)


class Kind(NamedTuple):
    """A kind of file: how it is written, and the pixels it should give or why it is skipped."""

    name: str
    write: Callable[[Path], object]
    pixels: np.ndarray | None = None
    error: int = 0  # that a lossy format may have in any pixel
    remark: str = ""
    skipped: str = ""


def saved(picture: np.ndarray | Image.Image, **options):
    """Return a function that saves a picture."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    return lambda path: image.save(path, **options)


def turned(code: int, **options):
    """Save a picture so that its EXIF orientation turns it back to BASE."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[code]  # PIL's transpositions, inverted
    exif = Image.Exif()
    exif[0x0112] = code
    return saved(Image.fromarray(BASE).transpose(undo), exif=exif, **options)


def content(data: bytes):
    """Return a function that writes these bytes."""
    return lambda path: path.write_bytes(data)


def cut(share: float, **options):
    """Save a picture of noise and cut the file off."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)

    def write(path):
        Image.fromarray(noise).save(path, **options)
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return write


def png(side: int, bits: int, rows: bytes) -> bytes:
    """A PNG in colour, made by hand: PIL writes neither a false size nor 16 bits per colour."""
    header = struct.pack(">IIBBBBB", side, side, bits, 2, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )


def large(path: Path) -> None:
    """A PNG below the limit that PIL has and above that of difflr: 150 million pixels."""
    Image.new("1", (15_000, 10_000)).save(path)


def tiff(values: np.ndarray, bits: int, kind: int = 1, photometric: int = 1) -> Callable:
    """Write a grey TIFF by hand: ``kind`` 1 is unsigned, 2 signed, 3 float; photometric 0 is inverted."""
    tags = [(256, 3, SIDE), (257, 3, SIDE), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 0),
            (277, 3, 1), (278, 3, SIDE), (279, 4, values.nbytes), (339, 3, kind)]  # fmt: skip
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHI", tag, form, 1)
        + struct.pack("<I" if form == 4 else "<Hxx", start if tag == 273 else value)
        for tag, form, value in tags
    )
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)
    return content(header + values.tobytes())


def frames(*colours):
    """Pictures of one colour each."""
    return [Image.new("RGB", (SIDE, SIDE), colour) for colour in colours]


def animated(**options):
    """Save a red frame and a blue one."""
    first, *others = frames(RED, BLUE)
    return saved(first, save_all=True, append_images=others, duration=50, **options)


def two_pages(path: Path) -> None:
    """Save a red page and a blue one."""
    frames(RED)[0].save(path, save_all=True, append_images=frames(BLUE))


def clear_palette() -> Image.Image:
    """A picture with a palette whose third colour is transparent."""
    picture = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8).repeat(8, 0).repeat(8, 1))
    picture.putpalette([*RED, *GREEN, *BLUE, *LIGHT])
    return picture


def with_alpha(alpha: np.ndarray) -> Image.Image:
    """BASE with an alpha channel."""
    return Image.fromarray(np.dstack([BASE, alpha.astype(np.uint8)]))


def other_name(path: Path, start: str) -> Path:
    """A path beside this one."""
    return path.with_name(start + path.name)


def linked(path: Path) -> None:
    """A link to a picture outside."""
    outside = path.parents[2] / "outside.png"
    Image.fromarray(BASE).save(outside)
    path.symlink_to(outside)


def bound(path: Path) -> None:
    """A socket of the file system."""
    here = os.open(path.parent, os.O_RDONLY)
    try:
        os.fchdir(here)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.close(here)


def deep(path: Path) -> None:
    """A picture two folders further down."""
    home = path.parent / "2023" / "may"
    home.mkdir(parents=True)
    Image.fromarray(BASE).save(home / path.name)


def kept_in(name: str):
    """A picture in a folder that a system keeps beside others."""

    def write(path):
        (path.parent / name).mkdir()
        Image.fromarray(BASE).save(path.parent / name / path.name)

    return write


def with_time(path: Path) -> None:
    """A photograph with the camera and the time in its EXIF data."""
    exif = Image.Exif()
    exif[0x0110] = "Box 1"
    exif.get_ifd(0x8769)[0x9003] = "2023:05:14 15:30:12"
    Image.fromarray(BASE).save(path, exif=exif)


RGB16 = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in BASE)
PGM16 = b"P5 16 16 65535\n" + np.uint16(RAMP * 65535).astype(">u2").tobytes()
HALF = np.where(np.arange(SIDE) < SIDE // 2, 0, 255)[None].repeat(
    SIDE, 0
)  # left clear, right opaque
ON_WHITE = np.where(HALF[..., None] == 0, 255, BASE).astype(np.uint8)
GREY_ON_WHITE = np.where(
    HALF[..., None] == 0, 255, grey(np.asarray(Image.fromarray(BASE).convert("L")))
)
PALETTE_ON_WHITE = quarters(RED, GREEN, (255, 255, 255), LIGHT)
RED_ALONE = quarters(*[RED] * 4)
GREY_RAMP = grey(RAMP * 255)
PRINT_RED = quarters(*[(255, 0, 0)] * 4)
CMYK = np.dstack([np.full((SIDE, SIDE), v, np.uint8) for v in (0, 255, 255, 0)])  # red in print
TALL = np.concatenate([np.zeros((8, SIDE, 3), np.uint8), BASE, np.zeros((8, SIDE, 3), np.uint8)])
LOSSLESS_JPEG = {"quality": 100, "subsampling": 0}
DAMAGED, WHITE = "damaged, cut off", "whose white is unknown"

KINDS = [
    # 8 bits, without or with loss
    Kind("rgb.png", saved(BASE), BASE),
    Kind("rgb.jpg", saved(BASE, **LOSSLESS_JPEG), BASE, 3),
    Kind("progressive.jpeg", saved(BASE, progressive=True, **LOSSLESS_JPEG), BASE, 3),
    Kind("CAPITALS.JPG", saved(BASE, format="JPEG", **LOSSLESS_JPEG), BASE, 3),
    Kind("really-a-png.jpg", saved(BASE, format="PNG"), BASE),
    Kind("rgb.bmp", saved(BASE), BASE),
    Kind("rgb.ppm", saved(BASE), BASE),
    Kind("rgb.tif", saved(BASE), BASE),
    Kind("lzw.tiff", saved(BASE, compression="tiff_lzw"), BASE),
    Kind("lossless.webp", saved(BASE, lossless=True), BASE),
    Kind("interlaced.gif", saved(Image.fromarray(BASE).quantize(4), interlace=1), BASE),
    Kind("bits.png", saved(Image.fromarray(np.uint8(HALF)).convert("1")), grey(HALF)),
    Kind("grey.png", saved(np.uint8(RAMP * 255)), grey(np.uint8(RAMP * 255))),
    Kind("grey.jpg", saved(np.uint8(HALF), quality=100), grey(HALF), 3),
    Kind("palette.png", saved(clear_palette()), BASE),
    Kind("lab.tif", saved(Image.new("LAB", (SIDE, SIDE), (255, 128, 128))), grey(RAMP * 0 + 255), 2),
    # More than 8 bits
    Kind("grey16.png", saved(np.uint16(RAMP * 65535)), GREY_RAMP, 1, "16 bits"),
    Kind("rgb16.png", content(png(SIDE, 16, RGB16)), BASE),
    Kind("grey16.tif", saved(np.uint16(RAMP * 65535)), GREY_RAMP, 1, "16 bits"),
    Kind("inverted16.tif", tiff(np.uint16((1 - RAMP) * 65535), 16, photometric=0), GREY_RAMP, 1, "16 bits"),
    Kind("grey16.pgm", content(PGM16), GREY_RAMP, 1, "16 bits"),
    Kind("float.tif", saved(Image.fromarray(RAMP.astype(np.float32))), GREY_RAMP, 1, "floats"),
    Kind("float-large.tif", saved(Image.fromarray((RAMP * 1000).astype(np.float32))), skipped=WHITE),
    Kind("float-nan.tif", saved(Image.fromarray(np.full((4, 4), np.nan, np.float32))), skipped=WHITE),
    Kind("int32.tif", saved(Image.fromarray(np.int32(RAMP * 1e6))), skipped=WHITE),
    Kind("signed16.tif", tiff(np.int16(RAMP * 1000 - 500), 16, kind=2), skipped=WHITE),
    # Other colours, and none
    Kind("cmyk.jpg", saved(Image.fromarray(CMYK, "CMYK"), **LOSSLESS_JPEG), PRINT_RED, 3, "CMYK"),
    Kind("cmyk.tif", saved(Image.fromarray(CMYK, "CMYK")), PRINT_RED, 0, "CMYK"),
    Kind("alpha.png", saved(with_alpha(HALF)), ON_WHITE, 0, "on white"),
    Kind("alpha.webp", saved(with_alpha(HALF), lossless=True), ON_WHITE, 0, "on white"),
    Kind("alpha.tif", saved(with_alpha(HALF)), ON_WHITE, 0, "on white"),
    Kind("opaque.png", saved(with_alpha(np.full((SIDE, SIDE), 255))), BASE),
    Kind("grey-alpha.png", saved(with_alpha(HALF).convert("LA")), GREY_ON_WHITE, 0, "on white"),
    Kind("clear-palette.png", saved(clear_palette(), transparency=2), PALETTE_ON_WHITE, 0, "on white"),
    Kind("clear-palette.gif", saved(clear_palette(), transparency=2), PALETTE_ON_WHITE, 0, "on white"),
    Kind("clear-colour.png", saved(BASE, transparency=BLUE), PALETTE_ON_WHITE, 0, "on white"),
    # Rotation
    *(Kind(f"turned-{code}.jpg", turned(code, **LOSSLESS_JPEG), BASE, 3, "EXIF") for code in range(2, 9)),
    Kind("turned.png", turned(6), BASE, 0, "EXIF"),
    Kind("turned.tif", turned(6), BASE, 0, "EXIF"),
    Kind("turned.webp", turned(8, lossless=True), BASE, 0, "EXIF"),
    # Several pictures in a file
    Kind("animated.gif", animated(), RED_ALONE, 0, "first of several"),
    Kind("animated.webp", animated(lossless=True), RED_ALONE, 0, "first of several"),
    Kind("animated.png", animated(), RED_ALONE, 0, "first of several"),
    Kind("pages.tif", two_pages, RED_ALONE, 0, "first of several"),
    # Places
    Kind("nested.png", deep, BASE),
    Kind("linked.png", linked, BASE, 0, "link out of the folder"),
    Kind("broken-link.png", lambda path: path.symlink_to("nowhere.png"), skipped="leads nowhere"),
    Kind("own-link.png", lambda path: path.symlink_to(path), skipped="leads nowhere"),
    Kind("to-a-folder.png", lambda path: path.symlink_to(path.parent.parent), skipped="link to a folder"),
    Kind("pipe.png", os.mkfifo if hasattr(os, "mkfifo") else content(b""), skipped="no file"),
    Kind("socket.png", bound, skipped="no file"),
    Kind("device.png", lambda path: path.symlink_to("/dev/zero"), skipped="no file"),
    Kind("resource-fork.png", lambda path: saved(BASE)(other_name(path, "._")), skipped="hidden"),
    Kind("mac.png", kept_in("__MACOSX"), skipped="hidden"),
    Kind("cached.png", kept_in(".cache"), skipped="hidden"),
    Kind("checkpoint.png", kept_in(".ipynb_checkpoints"), skipped="hidden"),
    # No pictures
    Kind("empty.png", content(b""), skipped="empty file"),
    Kind("noise.jpg", content(bytes(range(256)) * 9), skipped=DAMAGED),
    Kind("page.jpg", content(b"<html>404</html>"), skipped=DAMAGED),
    Kind("program.png", content(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), skipped=DAMAGED),
    Kind("cut.png", cut(0.6), skipped=DAMAGED),
    Kind("cut.jpg", cut(0.6), skipped=DAMAGED),
    Kind("cut.webp", cut(0.6, lossless=True), skipped=DAMAGED),
    Kind("cut.gif", cut(0.3), skipped=DAMAGED),
    Kind("cut.bmp", cut(0.6), skipped=DAMAGED),
    Kind("cut.tif", cut(0.6), skipped=DAMAGED),
    Kind("bomb.png", content(png(30_000, 8, bytes(100))), skipped="million pixels"),
    Kind("large.png", large, skipped="million pixels"),
    Kind("notes.txt", content(b"on a Sunday"), skipped="not named as a picture"),
    Kind("Thumbs.db", content(b"\0"), skipped="not named as a picture"),
]  # fmt: skip
if features.check("avif"):
    KINDS.append(Kind("rgb.avif", saved(BASE, quality=100, subsampling="4:4:4"), BASE, 12))
if features.check("jpg_2000"):
    KINDS.append(Kind("rgb.jp2", saved(BASE, irreversible=False), BASE))
HEIC = bytes.fromhex("00000018") + b"ftypheic" + bytes(200)


def place(folder: Path, kind: Kind) -> Path:
    """Write a file of a kind beside a plain picture, in a folder with another class."""
    for name in ("a", "b"):
        (folder / "tree" / name).mkdir(parents=True)
        Image.new("RGB", (SIDE, SIDE), RED).save(folder / "tree" / name / "0.png")
    try:
        kind.write(folder / "tree" / "a" / kind.name)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        pytest.skip(f"this system cannot make it: {error}")
    return folder / "tree"


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_each_kind_is_read_right_or_named(tmp_path, kind, monkeypatch):
    """Pixels are those that a viewer shows, and what was changed is remarked; or the file is counted."""
    monkeypatch.chdir(tmp_path)
    root = place(tmp_path, kind)
    reading = Reading(root)
    tree = read_tree(root, None, reading)
    if kind.skipped:
        assert len(tree.files) == reading.read == 2
        (reason,) = reading.skipped
        assert kind.skipped in reason
        assert len(reading.skipped[reason]) == 1
        return
    assert reading.skipped == {}
    (where,) = (i for i, file in enumerate(tree.files) if file.name == kind.name)
    found = tree.pixels[where].transpose(1, 2, 0).astype(int)
    assert kind.pixels is not None
    assert abs(found - kind.pixels).max() <= kind.error
    assert sorted(reading.remarks) == ([r for r in reading.remarks if kind.remark in r])
    assert bool(reading.remarks) == bool(kind.remark)


def test_there_are_fifty_kinds():
    """What the project promises to have tried."""
    assert len({kind.name for kind in KINDS}) >= 50


def test_heic_is_read_by_its_package_or_named(tmp_path):
    """Without pillow-heif the reason says what is missing; with it the pixels are right."""
    kind = Kind("phone.heic", content(HEIC))
    root, reading = place(tmp_path, kind), None
    try:
        import pillow_heif
    except ImportError:
        reading = Reading(root)
        assert len(read_tree(root, None, reading).files) == 2
        assert list(reading.skipped) == ["HEIC, which needs the package pillow-heif"]
        return
    large = Image.fromarray(BASE).resize((128, 128), Image.Resampling.NEAREST)
    pillow_heif.from_pillow(large).save(root / "a" / "phone.heic", quality=100)
    reading = Reading(root)
    tree = read_tree(root, SIDE, reading)
    assert not reading.skipped
    found = tree.pixels[1].transpose(1, 2, 0).astype(int)
    assert abs(found[2:6, 2:6] - BASE[2:6, 2:6]).max() < 25


def test_pictures_keep_their_shape_and_middle(tmp_path):
    """A tall picture and a wide one are cut to their middle square, never squashed, and counted."""
    for name, pixels in (("tall", TALL), ("wide", TALL.transpose(1, 0, 2))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        picture = read_picture(tmp_path / f"{name}.png", SIDE)
        assert picture.remarks == ("not square: the middle is kept",)
        middle = BASE if name == "tall" else BASE.transpose(1, 0, 2)
        assert np.array_equal(picture.pixels, middle)


def test_a_large_photograph_is_fitted_as_the_whole_of_it_would_be(tmp_path):
    """A JPEG is decoded at a fraction of its size where that is enough; the picture is the same."""
    Image.fromarray(BASE).resize((1600, 1200), Image.Resampling.BICUBIC).save(tmp_path / "x.jpg")
    small = read_picture(tmp_path / "x.jpg", 64).pixels.astype(int)
    with Image.open(tmp_path / "x.jpg") as whole:
        middle = ImageOps.fit(whole, (64, 64), Image.Resampling.BILINEAR)
    assert abs(small - np.asarray(middle)).max() <= 6


def test_squares_are_resized_bit_for_bit_as_before(tmp_path):
    """Recorded results on square pictures do not change."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    before = Image.fromarray(pixels).resize((24, 24), Image.Resampling.BILINEAR)
    assert np.array_equal(read_picture(tmp_path / "x.png", 24).pixels, np.asarray(before))
    assert np.array_equal(read_picture(tmp_path / "x.png", None).pixels, pixels)


def test_the_cameras_time_is_read(tmp_path):
    """Time and model of the camera, which tell a series of photographs."""
    with_time(tmp_path / "x.jpg")
    picture = read_picture(tmp_path / "x.jpg", None)
    assert (picture.taken, picture.camera) == (datetime(2023, 5, 14, 15, 30, 12), "Box 1")
    Image.fromarray(BASE).save(tmp_path / "y.jpg")
    assert read_picture(tmp_path / "y.jpg", None).taken is None


def test_a_class_whose_pictures_are_all_skipped_is_named_with_the_reasons(tmp_path):
    """Training goes on without a damaged picture, never without a class."""
    root = place(tmp_path, Kind("cut.png", cut(0.6)))
    (root / "a" / "0.png").unlink()
    with pytest.raises(DifflrError, match=r"a holds no picture .*1 skipped: damaged"):
        read_tree(root, None)


def test_links_between_classes_and_stray_files_are_counted(tmp_path):
    """A class folder that is a link back into the tree would repeat its pictures: it is not read."""
    root = place(tmp_path, KINDS[0])
    (root / "again").symlink_to(root / "a")
    (root / "all").symlink_to(tmp_path)
    (root / "__MACOSX").mkdir()
    (root / "readme.md").write_text("")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.fromarray(BASE).save(elsewhere / "0.png")
    (root / "c").symlink_to(elsewhere)
    reading = Reading(root)
    assert read_tree(root, None, reading).classes == ("a", "b", "c")
    assert reading.skipped == {
        "a link to a folder": ["again", "all"],
        "hidden": ["__MACOSX"],
        "outside the class folders": ["readme.md"],
    }


def test_names_of_any_bytes_can_be_printed(tmp_path):
    """A name that is no UTF-8, or holds a line break, is named in characters that every terminal has."""
    root = place(tmp_path, KINDS[0])
    try:
        (root / os.fsdecode(b"caf\xe9\n")).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    saved(BASE)(root / os.fsdecode(b"caf\xe9\n") / "x.png")
    (root / "a" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    reading = Reading(root)
    assert read_tree(root, None, reading).classes[2] == r"caf\xe9\n"
    reading.describe().encode("ascii")
    json.dumps(reading.to_dict()).encode("ascii")


def test_the_comparison_says_what_was_skipped_and_keeps_it(tmp_path, capsys):
    """In the output and in results.json; a stray file added later does not make the results others."""
    for part in ("train", "test"):
        for label, name in enumerate(("dark", "light")):
            home = tmp_path / "data" / part / name
            home.mkdir(parents=True)
            for i in range(3):
                Image.new("RGB", (32, 32), (40 + 150 * label + i,) * 3).save(home / f"{i}.png")
    home = tmp_path / "data" / "train" / "dark"
    cut(0.5)(home / "cut.jpg")
    os.mkfifo(home / "pipe.png")
    saved(np.full((32, 32), 9000, np.uint16))(home / "deep.png")
    (tmp_path / "data" / "notes.txt").write_text("")
    command = ["compare", "--data", str(tmp_path / "data"), "--backbone", "strokenet", "--epochs", "1",
               "--recipes", "head_only", "--seeds", "1", "--train-size", "7", "--batch-size", "4",
               "--out", str(tmp_path / "out"), "--no-progress"]  # fmt: skip
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "13 pictures read." in printed
    assert "train/dark/cut.jpg" in printed
    assert "train/dark/deep.png" in printed
    files = json.loads((tmp_path / "out" / "results.json").read_text())["data"]["files"]
    assert files["read"] == 13
    assert {reason: kind["count"] for reason, kind in files["skipped"].items()} == {
        "a pipe, a device or another thing that is no file": 1,
        "beside train/ and test/": 1,
        "damaged, cut off or of an unknown kind": 1,
    }
    assert files["changed"]["16 bits scaled to 8"] == {"count": 1, "first": ["train/dark/deep.png"]}
    (home / "Thumbs.db").write_bytes(b"")
    assert main(command) == 0
    assert "Thumbs.db" in capsys.readouterr().out
    assert len(load_data(str(tmp_path / "data")).train) == 7
