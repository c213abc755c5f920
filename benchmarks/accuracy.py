"""Accuracy against seconds, from the recorded study ``recipes`` (difflr's recipes and its rivals').

Goal: the accuracy that the best peer ends with, in at most half of that peer's time. Reached is what a paired
difference does not show to be worse. Seconds are of the processor, for one run on one thread. The learning
rates of all were chosen on validation pictures by the same grid, for each length anew.
"""

import argparse
from collections.abc import Sequence

from timing import table

from difflr.evidence import difference, estimate, grouped, said, verdict
from difflr.recordings import Recording, Run, load_recording

__all__ = ["Point", "best_peer", "points", "soonest"]

Point = tuple[str, int, Sequence[Run]]  # a recipe, its epochs, the runs reported on test pictures


def points(recording: Recording) -> tuple[list[Point], list[Point]]:
    """Return difflr's recipes at each length, and those of its tuned rivals."""
    own: list[Point] = []
    peers: list[Point] = []
    groups = grouped(recording.where(measured_on="test"), "recipe", "epochs")
    for (name, epochs), runs in groups.items():
        side = own if runs[0].plan is not None else peers
        if not str(name).endswith(":defaults"):
            side.append((str(name), int(str(epochs)), runs))
    return own, peers


def best_peer(peers: Sequence[Point], epochs: int) -> Point:
    """Return the peer with the highest mean accuracy at this length."""
    return max((p for p in peers if p[1] == epochs), key=lambda p: estimate(p[2]).mean)


def soonest(own: Sequence[Point], peer: Point) -> Point | None:
    """Return the cheapest point that is not shown to be worse than the peer, seed by seed."""
    gaps = {index: difference(point[2], peer[2]) for index, point in enumerate(own)}
    reached = [own[index] for index, gap in gaps.items() if gap.mean + gap.half >= 0]
    return min(reached, key=_cost, default=None)


def _cost(point: Point) -> float:
    return estimate(point[2], "cpu_seconds").mean


def main() -> None:
    """Print the table, and how soon difflr reaches the best peer's accuracy."""
    job = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    job.add_argument("--recording", default="recipes", help="a name, or a .json.gz file")
    own, peers = points(load_recording(job.parse_args().recording))
    rows = [
        (
            point[0],
            point[1],
            f"{point[2][0].tags['base_lr']:g}",
            said(estimate(point[2])),
            len(point[2]),
            f"{_cost(point):.1f}",
        )
        for point in (*own, *peers)
    ]
    print(table(("recipe", "epochs", "base LR", "accuracy", "seeds", "CPU s"), rows))
    for length in sorted({epochs for _, epochs, _ in peers}):
        peer = best_peer(peers, length)
        said_of_peer = f"{said(estimate(peer[2]))} after {_cost(peer):.1f} s"
        print(f"The best peer in {length} epochs, {peer[0]}: {said_of_peer}.")
        first = soonest(own, peer)
        if first is None:
            print("Every recorded run of difflr is worse: missed.\n")
        else:
            share, gap = _cost(first) / _cost(peer), verdict(difference(first[2], peer[2]))
            found = f"{first[0]} in {first[1]} epochs: {gap}, for {share:.0%} of the time"
            print(f"{found} (goal: ≤ 50%: {'met' if share <= 0.5 else 'missed'}).\n")


if __name__ == "__main__":
    main()
