"""The main job: recipes side by side on the same pictures, with intervals."""

from difflr.extras import require

require(
    "difflr.experiments",
    ("pytorch_lightning", "lightning"),
    *("torchvision", "safetensors", "scipy", "tqdm", "PIL"),
)
