"""Pictures that belong together: copies of one picture, and series of one subject.

Whatever belongs together must lie on one side of a division into training and test pictures: a
network that has seen the one is not tested by the other.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch.nn import functional as F

from difflr.experiments.folder import Tree

__all__ = ["COPIES", "find_links", "join"]

COPIES = "copies, mirrored or scaled ones too"
_TIME = "taken within 10 seconds by one camera"
_RUN = "neighbours by number that look alike"
_SUBJECT = "one subject by folder or name"

_THUMB = 16  # pixels a side
_SECONDS = 10
_SUBJECTS = 4  # in a class at least: with fewer, such a name may mean anything
_STAMP = re.compile(r"((?:19|20)\d{6})[-_T ]?(\d{6})")
_NUMBER = re.compile(r"^(.*?)(\d+)\D*$")

Link = tuple[int, int, str]


def find_links(tree: Tree, root: Path) -> list[Link]:
    """Return pairs of pictures that belong together, each with the reason.

    Args:
        tree: of all pictures, whose files lie below ``root``/class.
        root: of the tree.
    """
    parts = torch.from_numpy(tree.pixels).split(256)
    thumbs = torch.cat([F.adaptive_avg_pool2d(part.float(), _THUMB) for part in parts])
    links = [*_copies(thumbs), *_series_by_time(tree)]
    links += [*_runs(tree, thumbs), *_subjects(tree, root)]
    return links


def join(n: int, links: Iterable[Link]) -> NDArray[np.int64]:
    """Return a group for each of ``n`` pictures, such that linked ones share it; numbered from 0."""
    ends = np.array([(a, b) for a, b, _ in links], int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), ends.T), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return root mean square differences of thumbnails (N, 3, 16, 16) and (M, 3, 16, 16): (N, M)."""
    return torch.cdist(a.flatten(1), b.flatten(1)) / (3 * _THUMB * _THUMB) ** 0.5


def _contrast(thumbs: torch.Tensor) -> torch.Tensor:
    return thumbs.flatten(1).std(1)


def _copies(thumbs: torch.Tensor) -> Iterator[Link]:
    """Link thumbnails that differ by less than saving anew makes: a level, and a tenth of the contrast."""
    contrast = _contrast(thumbs)
    mirrored = thumbs.flip(3)
    for first in range(0, len(thumbs), 512):
        part = thumbs[first : first + 512]
        near = torch.minimum(_distance(part, thumbs), _distance(part, mirrored))
        alike = near <= 1 + 0.1 * torch.minimum(contrast[first : first + 512, None], contrast)
        for a, b in alike.nonzero().tolist():
            if first + a < b:
                yield first + a, b, COPIES


def _series_by_time(tree: Tree) -> Iterator[Link]:
    times: list[tuple[str, datetime, int]] = []
    for i, file in enumerate(tree.files):
        camera, time = tree.taken[i] if tree.taken else ("", None)
        time = time or _time_in(file.stem)
        if time is not None:
            times.append((camera, time, i))
    for (camera, before, a), (other, after, b) in pairwise(sorted(times)):
        if camera == other and (after - before).total_seconds() <= _SECONDS:
            yield a, b, _TIME


def _time_in(name: str) -> datetime | None:
    """Return the time in a name such as IMG_20230514_153012."""
    if found := _STAMP.search(name):
        try:
            return datetime.strptime("".join(found.groups()), "%Y%m%d%H%M%S")
        except ValueError:
            return None
    return None


def _runs(tree: Tree, thumbs: torch.Tensor) -> Iterator[Link]:
    """Link frame_017 to frame_018 if they look alike: numbers alone may count anything."""
    contrast = _contrast(thumbs)
    places = {}
    for i, file in enumerate(tree.files):
        if found := _NUMBER.match(file.stem):
            places[file.parent, found[1], int(found[2])] = i
    for (home, prefix, number), a in places.items():
        b = places.get((home, prefix, number + 1))
        if b is not None:
            apart = float(_distance(thumbs[a : a + 1], thumbs[b : b + 1]))
            if apart <= 0.5 * float(min(contrast[a], contrast[b])):
                yield a, b, _RUN


def _subjects(tree: Tree, root: Path) -> Iterator[Link]:
    """Link the pictures of patient12_001, patient12_002, or of one folder inside a class folder."""
    for label in range(len(tree.classes)):
        subjects = defaultdict(list)
        for i in np.flatnonzero(tree.labels == label).tolist():
            file = tree.files[i].relative_to(root)
            found = _NUMBER.match(file.stem)
            prefix = found[1] if found and not _time_in(file.stem) else ""
            named = prefix if re.search(r"\d", prefix) else ""
            if named or len(file.parts) > 2:
                subjects[file.parent, named].append(i)
        if len(subjects) >= _SUBJECTS:
            for own in subjects.values():
                yield from ((a, b, _SUBJECT) for a, b in pairwise(own))
