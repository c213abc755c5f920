"""The embedded data source and its network: the same everywhere, and a task that teaches."""

import copy
import hashlib

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn import functional as F
from torchvision.models import resnet18

from difflr.errors import DifflrError
from difflr.experiments import strokenet
from difflr.experiments.strokenet import MEAN, STD, StrokeNet, embedded_weights_path, pretrain
from difflr.experiments.strokes import SHIFT_KINDS, source_task, target_classes, target_task

SPLITS = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",), ("fc",))


def digest(images):
    """Fingerprint of an array's bytes."""
    return hashlib.sha256(images.tobytes()).hexdigest()[:16]


def tensors(task):
    """Normalised pictures and labels of a task, ready for StrokeNet."""
    images, labels = map(torch.from_numpy, task)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    x = (images / 255 - mean) / std
    return x.contiguous(memory_format=torch.channels_last), labels


def network(pretrained=True, num_classes=10):
    """StrokeNet with a new head, on the shipped weights or on none."""
    torch.manual_seed(0)
    model = StrokeNet(num_classes)
    if pretrained:
        weights = load_file(embedded_weights_path())
        if num_classes != 60:
            weights = {k: v for k, v in weights.items() if not k.startswith("fc.")}
        model.load_state_dict(weights, strict=num_classes == 60)
    return model.to(memory_format=torch.channels_last)


def accuracy(model, data):
    """Share of the pictures whose label the model finds."""
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(x).argmax(1) for x in data[0].split(250)])
    return (found == data[1]).float().mean().item()


def tuned(model, data, lrs, epochs=8):
    """Train a copy of the model with one learning rate per split; 0 leaves a split frozen."""
    torch.manual_seed(1)
    model = copy.deepcopy(model)
    model.train()
    groups = []
    for names, lr in zip(SPLITS, lrs, strict=True):
        modules = [getattr(model, name) for name in names]
        parameters = [p for module in modules for p in module.parameters()]
        if lr:
            groups.append({"params": parameters, "lr": lr})
            continue
        for module in modules:
            module.eval().requires_grad_(False)
    x, y = data
    steps = epochs * (len(x) // 32)
    optimizer = torch.optim.AdamW(groups, fused=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=steps
    )
    for _ in range(epochs):
        for rows in torch.randperm(len(x))[: len(x) // 32 * 32].split(32):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    return model.requires_grad_(True)


def falling(lr):
    """Learning rates of a differential recipe: the head's, and a hundredth of it in the stem."""
    return [lr * 100 ** (split / 5 - 1) for split in range(6)]


def test_pictures_are_the_same_on_every_machine():
    """A seed stands for the same bytes wherever the pictures are made."""
    assert digest(source_task("train", 20)[0]) == "35b810ef735eee66"
    assert digest(target_task("test", 20, seed=3)[0]) == "8355bc2aee03df9a"
    shifted = target_task("train", 20, input_shift=0.5, shift_kind="noise", label_shift=0.5)
    assert digest(shifted[0]) == "c37fc0d16c106781"


@pytest.mark.parametrize("size", [1, 63, 64, 65, 130])
def test_a_picture_does_not_depend_on_how_many_are_made(size):
    """The first pictures of a longer request are those of a shorter one, shifted or not."""
    assert np.array_equal(source_task("train", size)[0], source_task("train", 150)[0][:size])
    for strength in (0.0, 0.6):
        dials = {"input_shift": strength, "shift_kind": "noise"}
        some, more = target_task("test", size, **dials), target_task("test", 150, **dials)
        assert np.array_equal(some[0], more[0][:size])
        assert np.array_equal(some[1], more[1][:size])


def test_shapes_types_and_balance():
    """Images are uint8 (N, 3, 32, 32), labels int64, and every prefix is balanced."""
    for (images, labels), classes in (
        (source_task("test", 150), 60),
        (target_task("train", 57), 10),
    ):
        assert images.shape == (len(labels), 3, 32, 32)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        counts = np.bincount(labels, minlength=classes)
        assert len(counts) == classes
        assert np.ptp(counts) <= 1


def test_train_test_seeds_and_tasks_share_no_picture():
    """Neither the splits, nor two seeds, nor the two tasks have a picture in common."""
    made = [
        task(split, 120, seed, **dials)[0]
        for task, dials in ((source_task, {}), (target_task, {"label_shift": 0.0}))
        for split in ("train", "test")
        for seed in (0, 1)
    ]
    pictures = [picture.tobytes() for images in made for picture in images]
    assert len(set(pictures)) == len(pictures) == 8 * 120


@pytest.mark.parametrize("kind", SHIFT_KINDS)
def test_input_shift_is_nothing_at_zero_and_grows(kind):
    """At 0 no byte changes; a stronger shift lies farther from the clean pictures."""
    clean = target_task("train", 100)[0]
    assert np.array_equal(clean, target_task("train", 100, input_shift=0.0, shift_kind=kind)[0])
    distances = [
        np.abs(
            clean.astype(float)
            - target_task("train", 100, input_shift=strength, shift_kind=kind)[0]
        ).mean()
        for strength in (0.0, 0.3, 0.6, 1.0)
    ]
    assert distances == sorted(set(distances))


def test_label_shift_counts_the_new_classes():
    """The dial says how many labels are new drawings; the others keep their source class."""
    assert target_classes(0.0) == tuple(range(10))
    assert target_classes(1.0) == (None,) * 10
    assert target_classes(0.3) == (None, None, None, 3, 4, 5, 6, 7, 8, 9)
    half, new = target_task("train", 100, label_shift=0.5)[0], target_task("train", 100)[0]
    same = (half == new).all(axis=(1, 2, 3))
    assert np.array_equal(same, np.arange(100) % 10 < 5)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"split": "val"}, "split"),
        ({"size": 0}, "size"),
        ({"size": 10.0}, "size"),
        ({"seed": -1}, "seed"),
        ({"input_shift": 1.5}, "input_shift"),
        ({"input_shift": float("nan")}, "input_shift"),
        ({"label_shift": -0.1}, "label_shift"),
        ({"shift_kind": "fog"}, "shift_kind"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(arguments, named):
    """A bad argument raises DifflrError, whose message names it."""
    with pytest.raises(DifflrError, match=named):
        target_task(**{"split": "train", "size": 10} | arguments)
    if named in ("split", "size", "seed"):
        with pytest.raises(DifflrError, match=named):
            source_task(**{"split": "train", "size": 10} | arguments)


def test_strokenet_has_the_child_names_of_resnet18():
    """Whatever addresses resnet18's parts by name finds them in StrokeNet."""
    ours, theirs = StrokeNet(), resnet18()
    assert [n for n, _ in ours.named_children()] == [n for n, _ in theirs.named_children()]
    assert {n for n, _ in ours.named_parameters()} <= {n for n, _ in theirs.named_parameters()}


def test_shipped_weights_are_small_and_say_how_they_were_made():
    """At most 1 MB, half precision, with their provenance in the metadata."""
    path = embedded_weights_path()
    assert path.stat().st_size <= 1_000_000
    with safe_open(path, "pt") as file:
        assert {"made by", "source accuracy", "seed", "epochs", "date"} <= set(file.metadata())
        dtypes = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert dtypes == {torch.float16, torch.int64}


def test_shipped_weights_know_the_source_task():
    """The source head finds the classes of unseen pictures, of the source task and, where the
    target's labels are source classes, of the target task."""
    model = network(num_classes=60)
    assert accuracy(model, tensors(source_task("test", 300))) > 0.85
    assert accuracy(model, tensors(target_task("test", 300, label_shift=0.0))) > 0.85


def test_pretraining_writes_loadable_weights(tmp_path, monkeypatch):
    """The command writes what StrokeNet loads, the same for the same seed, and reports on it."""
    monkeypatch.setattr(strokenet, "EPOCH", 256)
    monkeypatch.setattr(strokenet, "TEST", 60)
    lines = []
    for name in ("one", "two"):
        score = pretrain(tmp_path / name, seed=5, epochs=1, progress=lines.append)
        assert 0 <= score <= 1
    one, two = load_file(tmp_path / "one"), load_file(tmp_path / "two")
    StrokeNet().load_state_dict(one)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert len(lines) == 4
    with pytest.raises(DifflrError, match="folder"):
        pretrain(tmp_path / "none" / "file", progress=lines.append)


@pytest.fixture(scope="module")
def clean_test():
    """Unseen target pictures."""
    return tensors(target_task("test", 500))


@pytest.fixture(scope="module")
def fine_tuned():
    """The shipped network, tuned on clean target pictures."""
    return tuned(network(), tensors(target_task("train", 800, seed=9)), falling(1e-2), epochs=4)


@pytest.fixture(scope="module")
def few():
    """The 300 labelled target pictures that a learner has."""
    return tensors(target_task("train", 300))


@pytest.fixture(scope="module")
def transfer(few, clean_test):
    """Accuracy of the shipped network after tuning all its splits on those few."""
    return accuracy(tuned(network(), few, falling(1e-2)), clean_test)


def test_transfer_beats_training_from_scratch_and_does_not_saturate(few, transfer, clean_test):
    """With 300 labels, pre-training is worth 15 points or more, and there is room above it."""
    scratch = accuracy(tuned(network(pretrained=False), few, [5e-3] * 6), clean_test)
    assert transfer > scratch + 0.15
    assert transfer < 0.95


def test_new_drawings_need_more_than_a_new_head(few, transfer, clean_test):
    """With 300 labels, tuning all splits beats tuning the head alone."""
    head = accuracy(tuned(network(), few, [0, 0, 0, 0, 0, 1e-2]), clean_test)
    assert transfer > head


@pytest.mark.parametrize("kind", ["contrast", "invert"])
def test_input_shift_asks_for_the_first_splits(fine_tuned, kind):
    """A network whose input has changed gains more from its first two splits than its head."""
    dials = {"input_shift": 1.0, "shift_kind": kind}
    data = tensors(target_task("train", 300, **dials))
    unseen = tensors(target_task("test", 500, **dials))
    first = accuracy(tuned(fine_tuned, data, [1e-2, 1e-2, 0, 0, 0, 0]), unseen)
    head = accuracy(tuned(fine_tuned, data, [0, 0, 0, 0, 0, 1e-2]), unseen)
    assert first > head + 0.05
