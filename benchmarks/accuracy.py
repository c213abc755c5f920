"""Accuracy against seconds, from the runs that ``rivals.py`` has recorded.

Goal: the accuracy that the best peer ends with, in at most half of that peer's time. Seconds are of the
processor, one thread. The learning rates of all were chosen on validation pictures by the same grid;
runs of ``difflr.*`` at fewer epochs use the rate that was chosen at the full length.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from timing import table

Lines = list[dict[str, Any]]


def read(path: Path) -> dict[tuple[str, int], dict[float, dict[str, Lines]]]:
    """Return the lines by (candidate, epochs), base learning rate and what they were measured on."""
    found: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for line in map(json.loads, path.read_text().splitlines()):
        others = {k: v for k, v in line["options"].items() if k != "lr"}
        name = line["recipe"] + "".join(f", {k}={v}" for k, v in others.items())
        found[name, line["epochs"]][line["options"]["lr"]][line["measured_on"]].append(line)
    return found


def chosen(rates: dict[float, dict[str, Lines]]) -> float | None:
    """Return the rate with the best mean validation accuracy (None where none was tried)."""
    scores = {
        lr: fmean(line["accuracy"] for line in lines["validation"])
        for lr, lines in rates.items()
        if lines["validation"]
    }
    return max(scores, key=lambda lr: scores[lr]) if scores else None


def main() -> None:
    """Print the table, and how soon difflr reaches the best peer's accuracy."""
    job = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    job.add_argument("--runs", type=Path, default=Path(__file__).with_name("rivals.jsonl"))
    found = read(job.parse_args().runs)
    best: dict[str, float | None] = {}
    for (name, _), rates in sorted(found.items(), key=lambda item: -item[0][1]):
        best.setdefault(name, chosen(rates))
    rows, ends = [], []
    for (name, epochs), rates in sorted(found.items()):
        for lr, lines in sorted(rates.items()):
            if len(test := lines["test"]) < 2:
                continue
            accuracies = [line["accuracy"] for line in test]
            mean, cpu = fmean(accuracies), fmean(line["cpu_seconds"] for line in test)
            tuned = lr == best[name]
            ends.append((name, epochs, tuned, mean, cpu))
            rows.append(
                (
                    name,
                    epochs,
                    f"{lr:g}",
                    "yes" if tuned else "",
                    f"{mean:.1%}",
                    f"{stdev(accuracies):.1%}",
                    len(test),
                    f"{cpu:.1f}",
                )
            )
    head = ("candidate", "epochs", "base LR", "tuned", "accuracy", "deviation", "seeds", "CPU s")
    print(table(head, rows))
    peers = [end for end in ends if not end[0].startswith("difflr") and end[2]]
    own = [end for end in ends if end[0].startswith("difflr") and end[2]]
    if not peers or not own:
        print("No learning rate has been chosen yet for difflr and a peer: run `make rivals`.\n")
        return
    name, epochs, _, goal, cost = max(peers, key=lambda end: end[3])
    reached = min((end for end in own if end[3] >= goal), key=lambda end: end[4], default=None)
    print(f"The best peer, {name}, ends at {goal:.1%} after {cost:.1f} s ({epochs} epochs).")
    if reached is None:
        print("No run of difflr that was recorded reaches that.\n")
    else:
        share = reached[4] / cost
        print(f"{reached[0]} reaches it in {reached[1]} epochs, {share:.0%} of that time.\n")


if __name__ == "__main__":
    main()
