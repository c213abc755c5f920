"""Strokes, the embedded data source: pictures made by arithmetic, so nothing is downloaded.

A class is a drawing of five strokes. A picture of a class jitters the drawing, turns, scales and
shifts it, adds a stray stroke, and paints it with one smooth colour field over another. The source
task (to pre-train on) and the target task (to fine-tune on) differ in their drawings; two dials,
``label_shift`` and ``input_shift``, say how far the target lies from the source.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difflr.errors import DifflrError, as_int, as_number, short_repr

__all__ = [
    "PICTURES",
    "SHIFT_KINDS",
    "SOURCE_CLASSES",
    "TARGET_CLASSES",
    "read_dials",
    "source_task",
    "target_classes",
    "target_task",
]

SOURCE_CLASSES = 60
TARGET_CLASSES = 10
PICTURES = 2000  # of a comparison, to train on and to test on each
SHIFT_KINDS = ("contrast", "noise", "invert", "blur", "colour")

Floats = NDArray[np.float64]

SIDE = 32  # pixels
STROKES = 5  # in a drawing
JITTER = 0.20  # of an end point at most, in a drawing about two units wide
NOISE = 0.07  # standard deviation in a pixel, on a scale from 0 to 1
FAMILY = 5  # new target drawings that resemble each other ...
ALIKE = 4  # ... in this many of their strokes
CHUNK = 64  # pictures painted at once: the arrays of more would not fit a processor's cache

# Each picture owns one row of uniform random numbers: for its end points, its pose, the stray
# stroke, the two colour fields, and the noise.
ROW = (4 * STROKES, 5, 4, 2 * 3 * 9, 3 * SIDE * SIDE)

# First of the three keys of each random stream. Different keys make different streams.
DRAWING, SOURCE, TARGET, CORRUPTION = range(4)
SPLITS = ("train", "test")


def source_task(
    split: str, size: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Make pictures of the 60 source classes.

    ``split`` is "train" or "test": two streams that share no picture. Picture ``i`` shows class
    ``i % 60`` and is the same whatever ``size`` is. Another ``seed`` makes other pictures of the
    same drawings.

    Returns ``(images, labels)``: uint8 of shape (size, 3, 32, 32), and int64 of shape (size,).
    Raises ``DifflrError`` for another split, a size below 1 or a negative seed.

    >>> images, labels = source_task("train", 100)
    >>> images.shape, int(labels[61])
    ((100, 3, 32, 32), 1)
    """
    size, key = _checked(split, size, seed)
    images = np.concatenate(list(_pictures((SOURCE, *key), np.arange(SOURCE_CLASSES), size)))
    return images, np.arange(size) % SOURCE_CLASSES


def target_task(
    split: str,
    size: int,
    seed: int = 0,
    *,
    input_shift: float = 0.0,
    shift_kind: str = "contrast",
    label_shift: float = 1.0,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Make pictures of the ten target classes.

    ``label_shift``, from 0 to 1, is the share of the classes that are new drawings. New drawings
    come in families of five that have four strokes in common; ``target_classes`` lists them.

    ``input_shift``, from 0 to 1, is the strength of a corruption; at 0 no byte changes.
    ``shift_kind`` names it: "contrast" (fades towards grey), "noise", "invert" (this share of the
    pictures becomes negatives), "blur", or "colour" (a red cast: green and blue fade).

    ``split``, ``size``, ``seed`` and what is returned are as in ``source_task``, with ten classes.
    Raises ``DifflrError`` for what those do not allow, a shift outside 0 to 1, or an unknown kind.

    >>> images, labels = target_task("test", 20, input_shift=0.5, shift_kind="noise")
    >>> images.shape, labels[:12].tolist()
    ((20, 3, 32, 32), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    """
    size, key = _checked(split, size, seed)
    strength = as_number("input_shift", input_shift, 0, 1)
    if shift_kind not in SHIFT_KINDS:
        raise DifflrError(
            f"Received shift_kind={short_repr(shift_kind)}, expected one of {', '.join(SHIFT_KINDS)}.",
            "Change shift_kind.",
        )
    sources = target_classes(label_shift)
    drawn = [SOURCE_CLASSES + t if s is None else s for t, s in enumerate(sources)]
    chunks = _pictures((TARGET, *key), np.array(drawn), size)
    if strength > 0:
        # A stream of its own, so that a corrupted picture shows what the clean one shows.
        rng = _stream(CORRUPTION, *key)
        chunks = (_corrupted(images, shift_kind, strength, rng) for images in chunks)
    return np.concatenate(list(chunks)), np.arange(size) % TARGET_CLASSES


def target_classes(label_shift: float = 1.0) -> tuple[int | None, ...]:
    """Return, for each of the ten target labels, its source class, or None for a new drawing.

    The first ``round(10 * label_shift)`` labels are new; each other label ``t`` is source class
    ``t``. Raises ``DifflrError`` for a shift outside 0 to 1.

    >>> target_classes(0.7)
    (None, None, None, None, None, None, None, 7, 8, 9)
    """
    new = round(TARGET_CLASSES * as_number("label_shift", label_shift, 0, 1))
    return tuple(None if t < new else t for t in range(TARGET_CLASSES))


def read_dials(source: str) -> dict[str, Any]:
    """Return the dials of ``target_task`` that follow a source of data, checked.

    >>> read_dials("strokes:input_shift=0.8:shift_kind=noise")
    {'input_shift': 0.8, 'shift_kind': 'noise'}
    """
    dials: dict[str, Any] = {}
    for pair in source.split(":")[1:]:
        name, _, value = pair.partition("=")
        if name not in ("input_shift", "label_shift", "shift_kind"):
            raise DifflrError(
                f"Received {pair!r} in {source!r}.",
                "The dials are input_shift and label_shift (0 to 1) and shift_kind.",
            )
        try:
            dials[name] = value if name == "shift_kind" else float(value)
        except ValueError:
            raise DifflrError(f"Received {pair!r}, expected a number.", "Write 0 to 1.") from None
    target_task("test", 1, **dials)  # complains of values
    return dials


def _checked(split: Any, size: Any, seed: Any) -> tuple[int, tuple[int, int]]:
    if split not in SPLITS:
        raise DifflrError(
            f'Received split={short_repr(split)}, expected "train" or "test".', "Change split."
        )
    return as_int("size", size, 1), (SPLITS.index(split), as_int("seed", seed, 0))


def _stream(*key: int) -> np.random.Generator:
    # Only ``random`` is ever drawn from it: of all distributions the one least likely to change
    # from one version of NumPy to the next.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _drawing(*key: int, like: tuple[int, ...] = (), alike: int = 0) -> tuple[Floats, NDArray[Any]]:
    """Return end points (2 * strokes, 2), and for each the end point whose jitter it shares.

    The first ``alike`` strokes are those of the drawing with the key ``like``.
    """
    points, owner = np.empty((2 * STROKES, 2)), np.arange(2 * STROKES)
    rng = _stream(DRAWING, *(like if alike else key))
    for stroke in range(STROKES):
        start, end = 2 * stroke, 2 * stroke + 1
        if stroke == alike:
            rng = _stream(DRAWING, *key)
        if stroke > 0 and rng.random() < 0.6:  # begins where the last stroke ended
            owner[start] = start - 1
            points[start] = points[start - 1]
        else:
            points[start] = 2 * rng.random(2) - 1
        points[end] = 2 * rng.random(2) - 1
        while np.sum((points[end] - points[start]) ** 2) < 0.5:  # too short to be seen
            points[end] = 2 * rng.random(2) - 1
    # In the middle, so that where a drawing lies does not give its class away.
    return points - (points.min(axis=0) + points.max(axis=0)) / 2, owner


_DRAWINGS = [_drawing(c, 0) for c in range(SOURCE_CLASSES)] + [
    _drawing(t, 1, like=(t // FAMILY, 2), alike=ALIKE) for t in range(TARGET_CLASSES)
]
_POINTS, _OWNERS = (np.stack(parts) for parts in zip(*_DRAWINGS, strict=True))


def _pictures(
    key: tuple[int, ...], drawn: NDArray[np.int64], size: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures of the drawings ``drawn`` in turn, a chunk at a time.

    The chunks go on with one stream, row by row: that is why a picture does not depend on ``size``.
    """
    rng = _stream(*key)
    for first in range(0, size, CHUNK):
        rows = np.arange(first, min(first + CHUNK, size))
        yield _painted(drawn[rows % len(drawn)], rng.random((len(rows), sum(ROW))))


def _painted(drawn: NDArray[np.int64], numbers: Floats) -> NDArray[np.uint8]:
    n = len(drawn)
    ends, pose, stray, colours, noise = np.split(numbers, np.cumsum(ROW)[:-1], axis=1)
    jitter = JITTER * (2 * ends.reshape(n, 2 * STROKES, 2) - 1)
    points = _POINTS[drawn] + np.take_along_axis(jitter, _OWNERS[drawn][..., None], axis=1)

    angle = 0.5 * (2 * pose[:, 0] - 1)  # radians
    scale = SIDE * (0.26 + 0.12 * pose[:, 1])
    centre = (SIDE - 1) / 2 + 3.5 * (2 * pose[:, 2:4] - 1)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    points = np.einsum("nij,npj->npi", turn, points) + centre[:, None]
    start = SIDE * stray[:, None, :2]
    end = start + 24 * (stray[:, None, 2:] - 0.5)
    ink = _ink(np.concatenate([points, start, end], axis=1), 0.4 + 0.6 * pose[:, 4:])[:, None]

    # On average the drawing is lighter than the ground; were it not, inversion would be no shift.
    mix = colours.reshape(n, 2, 3, 9)
    ground, drawing = 0.05 + 0.50 * mix[:, 0] @ _BUMPS, 0.35 + 0.65 * mix[:, 1] @ _BUMPS
    picture = ground + ink * (drawing - ground)
    picture += NOISE * np.sqrt(3) * (2 * noise.reshape(n, 3, -1) - 1)
    return _to_bytes(picture.reshape(n, 3, SIDE, SIDE))


def _ink(points: Floats, half_width: Floats) -> Floats:
    """Return how much of each pixel is covered, from its distance to the nearest stroke."""
    y, x = np.divmod(np.arange(SIDE * SIDE, dtype=np.float64), SIDE)
    start = points[:, 0::2, :, None]
    way = points[:, 1::2, :, None] - start
    dx, dy, wx, wy = x - start[:, :, 0], y - start[:, :, 1], way[:, :, 0], way[:, :, 1]
    along = np.clip((dx * wx + dy * wy) / (wx * wx + wy * wy + 1e-9), 0, 1)
    square = np.min((dx - along * wx) ** 2 + (dy - along * wy) ** 2, axis=1)
    return np.clip(half_width + 0.5 - np.sqrt(square), 0, 1)


def _bumps() -> Floats:
    """Return nine smooth bumps on a 3 x 3 grid, (9, pixels): their mixtures are colour fields."""
    t = np.linspace(-1, 1, SIDE)
    line = np.stack([np.clip(1 - np.abs(t - peak), 0, 1) for peak in (-1, 0, 1)])
    return np.einsum("ay,bx->abyx", line, line).reshape(9, SIDE * SIDE)


_BUMPS = _bumps()


def _to_bytes(picture: Floats) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def _corrupted(
    images: NDArray[np.uint8], kind: str, strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    x = images / 255
    if kind == "contrast":
        x = 0.5 + (1 - 0.9 * strength) * (x - 0.5)
    elif kind == "noise":
        x = x + 0.3 * strength * np.sqrt(3) * (2 * rng.random(x.shape) - 1)
    elif kind == "invert":
        x = np.where(rng.random((len(x), 1, 1, 1)) < strength, 1 - x, x)
    elif kind == "colour":
        x = x * np.array([1, 1 - 0.8 * strength, 1 - 0.8 * strength]).reshape(3, 1, 1)
    else:
        offset = np.arange(SIDE) - np.arange(SIDE)[:, None]
        blur = np.exp(-0.5 * (offset / (1.2 * strength)) ** 2)
        blur /= blur.sum(axis=1, keepdims=True)
        x = blur @ x @ blur.T
    return _to_bytes(x)
