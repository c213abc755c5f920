"""Made-up results of a comparison, as ``compare`` writes them."""

from difflr.experiments.results import Results

SHA = "0123456789abcdef" * 4
ACCURACIES = {
    "uniform:lr=1e-3": (0.700, 0.720, 0.710),
    "head_only:lr=3e-2": (0.600, 0.615, 0.620),
    "differential:lr=3e-3": (0.705, 0.700, 0.740),
}


def results(path, measured_on="test", accuracies=ACCURACIES, **changed):
    """Return made-up results whose ``about`` is as ``compare`` writes it."""
    about = {
        "data": {
            "name": "/home/ann/birds",
            "classes": ["finch", "owl"],
            "train_pool": 80,
            "test_size": 40,
            "measured_on": measured_on,
        },
        "weights": {"backbone": "strokenet", "file": "embedded", "sha256": SHA},
        "settings": {"train_size": 80, "image_size": 32, "epochs": 6, "batch_size": 16},
    }
    for part, values in changed.items():
        about[part].update(values)
    found = Results(path, about, {"python": "3.11", "torch": "2.9", "threads": "1"})
    for recipe, values in accuracies.items():
        for seed, accuracy in enumerate(values):
            run = {"recipe": recipe, "seed": seed, "accuracy": accuracy, "loss": 1.0}
            found.add({**run, "seconds": 2.0, "trainable_share": 1.0, "plan": {}})
    return found
