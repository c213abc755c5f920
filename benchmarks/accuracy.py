"""Accuracy against seconds, from the recorded study ``recipes`` (difflr's recipes and its rivals').

Goal: the accuracy that the best peer ends with, in at most half of that peer's time. Seconds are of the
processor, for one run on one thread. The learning rates of all were chosen on validation pictures by the
same grid, for each length anew.
"""

import argparse
from collections.abc import Sequence

from timing import table

from difflr.evidence import estimate, grouped, said
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


def soonest(own: Sequence[Point], goal: float) -> Point | None:
    """Return the cheapest point whose mean accuracy reaches the goal."""
    reached = [point for point in own if estimate(point[2]).mean >= goal]
    return min(reached, key=lambda point: _cost(point), default=None)


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
        goal = estimate(peer[2]).mean
        print(f"The best peer in {length} epochs, {peer[0]}: {goal:.1%} after {_cost(peer):.1f} s.")
        first = soonest(own, goal)
        if first is None:
            print("No recorded run of difflr reaches that.\n")
        else:
            share = _cost(first) / _cost(peer)
            print(
                f"{first[0]} reaches it in {first[1]} epochs: {share:.0%} of the time, goal 50%.\n"
            )


if __name__ == "__main__":
    main()
