"""What keeping the features of frozen splits saves.

Goal: a head-only phase of many epochs is at least 10 times as fast with its features kept, and gives the same
network but for rounding.
"""

from functools import partial

import given
import torch
from ideal import BATCH, frozen_model
from timing import against_goal, measure, table

from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images
from difflr.experiments.training import Classifier, fit


def kept(start: Backbone, images: Images, clock: str, lengths: tuple[int, ...]) -> str:
    """Return the table of head-only phases with and without their features kept."""
    rows = []
    for epochs in lengths:

        def phase(model: Classifier, cache: bool) -> object:
            return fit(model, images, seed=0, batch_size=BATCH, cache=cache)

        models = [frozen_model(start, 5, epochs, translate=0) for _ in range(2)]
        computed, cached = (
            measure(partial(phase, model, cache), clock)
            for model, cache in zip(models, (False, True), strict=True)
        )
        with torch.no_grad():
            some = images.pixels[:256]
            one, other = (model.eval()(some.to(model.device)) for model in models)
        apart = float((one - other).abs().max() / one.abs().max())
        times = computed / cached
        goal = against_goal(times, "≥", 10) if epochs >= 20 else ""
        rows.append(
            (epochs, f"{computed:.2f}", f"{cached:.2f}", f"{times:.1f}", f"{apart:.0e}", goal)
        )
    head = ("epochs, head only", "computed, s", "kept, s", "times as fast", "logits apart", "goal")
    return table(head, rows)


def main() -> None:
    """Print the tables."""
    job = given.command_line(__doc__ or "", rounds=1)
    job.add_argument("--epochs", type=int, nargs="*", default=[5, 30], help="of kept features")
    arguments = job.parse_args()
    images, start = given.pictures(arguments), given.start(arguments)
    print(kept(start, images, arguments.clock, tuple(arguments.epochs)))


if __name__ == "__main__":
    main()
