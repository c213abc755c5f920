"""Pictures: the three sources, their checks, and the batches."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from difflr.errors import DifflrError
from difflr.experiments.data import Images, load_data


@pytest.fixture
def tree(tmp_path):
    """A folder with two classes, three 16×16 pictures to train on and two to test on in each."""
    numbers = np.random.default_rng(0)
    for part, count in (("train", 3), ("test", 2)):
        for name in ("cat", "dog"):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = numbers.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path


def numbered(classes: int, each: int) -> Images:
    """Pictures whose first pixel is their index."""
    n = classes * each
    pixels = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 3, 4, 4).clone()
    return Images(pixels, torch.arange(n) % classes)


def test_folder_is_read_in_sorted_classes_as_uint8(tree):
    """A class-per-folder tree gives uint8 pictures and labels in the order of the sorted names."""
    data = load_data(str(tree))
    assert data.classes == ("cat", "dog")
    assert data.train.pixels.dtype == torch.uint8
    assert data.train.pixels.shape == (6, 3, 16, 16)
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    with Image.open(tree / "train" / "cat" / "0.png") as picture:
        assert (data.train.pixels[0].permute(1, 2, 0).numpy() == np.asarray(picture)).all()


def test_folder_is_resized_when_asked(tree):
    """image_size resizes pictures of any size, which are otherwise refused with the remedy."""
    Image.new("RGB", (40, 30)).save(tree / "train" / "dog" / "wide.png")
    with pytest.raises(DifflrError, match="--image-size"):
        load_data(str(tree))
    assert load_data(str(tree), image_size=24).train.pixels.shape == (7, 3, 24, 24)


def test_greyscale_and_palette_pictures_become_rgb(tree):
    """Every picture has three colours, whatever its file had."""
    Image.new("L", (16, 16), 7).save(tree / "train" / "cat" / "grey.png")
    assert load_data(str(tree)).train.pixels.shape == (7, 3, 16, 16)


def test_nonsense_folders_are_refused_by_name(tree, tmp_path):
    """Each kind of broken folder ends in an error that names the file or folder at fault."""
    with pytest.raises(DifflrError, match="nowhere"):
        load_data(str(tmp_path / "nowhere"))
    (tree / "train" / "empty").mkdir()
    with pytest.raises(DifflrError, match="empty holds no picture"):
        load_data(str(tree))
    (tree / "train" / "empty").rmdir()
    (tree / "test" / "dog").rename(tree / "test" / "wolf")
    with pytest.raises(DifflrError, match="wolf"):
        load_data(str(tree))


def test_one_class_and_missing_parts_are_refused(tmp_path):
    """A task needs two classes, and both train/ and test/."""
    (tmp_path / "train" / "cat").mkdir(parents=True)
    Image.new("RGB", (16, 16)).save(tmp_path / "train" / "cat" / "0.png")
    with pytest.raises(DifflrError, match="has the folders train, expected train and test"):
        load_data(str(tmp_path))
    (tmp_path / "test" / "cat").mkdir(parents=True)
    with pytest.raises(DifflrError, match="1 class folders"):
        load_data(str(tmp_path))


def test_truncated_picture_is_skipped_and_named(tree):
    """A half-downloaded picture is not trained on, and the reading says so."""
    file = tree / "train" / "dog" / "1.png"
    file.write_bytes(file.read_bytes()[:200])
    data = load_data(str(tree))
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.reading.skipped == {"damaged, cut off or of an unknown kind": ["train/dog/1.png"]}


def test_strokes_take_their_dials_from_the_name():
    """strokes:… shifts inputs or labels; an unknown dial is refused."""
    plain = load_data("strokes")
    shifted = load_data("strokes:input_shift=0.8:shift_kind=contrast")
    assert plain.train.pixels.shape == (2000, 3, 32, 32)
    assert shifted.train.pixels.float().std() < 0.5 * plain.train.pixels.float().std()
    assert torch.equal(shifted.train.labels, plain.train.labels)
    for wrong in ("strokes:speed=1", "strokes:input_shift=much", "strokes:input_shift=2"):
        with pytest.raises(DifflrError):
            load_data(wrong)


def test_subset_is_balanced_and_repeatable():
    """A subset has each class equally often, is the same for a seed and another for another."""
    pool = numbered(5, 20)
    chosen = pool.subset(25, seed=3)
    assert chosen.labels.bincount().tolist() == [5] * 5
    assert torch.equal(chosen.pixels, pool.subset(25, seed=3).pixels)
    assert not torch.equal(chosen.pixels, pool.subset(25, seed=4).pixels)
    assert len(torch.unique(chosen.pixels[:, 0, 0, 0])) == 25
    index = chosen.pixels[:, 0, 0, 0].long()
    assert torch.equal(chosen.labels, index % 5)


def test_a_rare_class_is_held_out_and_trained_on():
    """Each class gives its share; a balanced set is divided as ``divide`` divides it."""
    labels = torch.tensor([0] * 30 + [1] * 30 + [2] * 3 + [5] * 2)
    images = Images(torch.arange(65).view(65, 1, 1, 1).to(torch.uint8), labels)
    held, rest = images.hold_out(0.2, seed=3)
    assert torch.bincount(held.labels).tolist() == [6, 6, 1, 0, 0, 1]
    assert torch.bincount(rest.labels).tolist() == [24, 24, 2, 0, 0, 1]
    assert sorted([*held.pixels.flatten().tolist(), *rest.pixels.flatten().tolist()]) == [
        *range(65)
    ]
    even = Images(images.pixels[:60], labels[:60])
    for share in (0.2, 0.5):
        ours, theirs = even.hold_out(share, seed=3), even.divide(int(60 * share), seed=3)
        assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(ours, theirs, strict=True))
    with pytest.raises(DifflrError, match="Class 2 has a single"):
        Images(images.pixels[:61], labels[:61]).hold_out(0.2, 0)


@pytest.mark.parametrize("size", [0, 4, 101])
def test_impossible_subset_is_refused(size):
    """A subset cannot be larger than the pool, nor leave a class out."""
    with pytest.raises(DifflrError, match="training size"):
        numbered(5, 20).subset(size, seed=0)


def test_a_loader_reaches_another_process():
    """Spawned processes, as of ``ddp_spawn`` and on Windows, get it pickled."""
    pool = Images(torch.arange(12, dtype=torch.uint8).reshape(4, 3, 1, 1), torch.arange(4))
    again = pickle.loads(pickle.dumps(pool.batches(2, seed=1)))
    pixels, labels = next(iter(again))
    assert torch.equal(pixels, pool.pixels[labels])


def test_batches_hold_every_picture_once_per_epoch_in_another_order():
    """Shuffled batches cover the data in each epoch; the seed decides the order."""
    pool = numbered(5, 20)

    def order(loader):
        return torch.cat([pixels[:, 0, 0, 0] for pixels, _ in loader]).tolist()

    loader = pool.batches(32, seed=1)
    first, second = order(loader), order(loader)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert order(pool.batches(32, seed=1)) == first
    assert order(pool.batches(32)) == list(range(100))


def test_resized_keeps_range_and_labels():
    """Resizing gives uint8 pictures of the asked size; the own size costs nothing."""
    pool = numbered(2, 3)
    larger = pool.resized(8)
    assert larger.pixels.shape == (6, 3, 8, 8)
    assert larger.pixels.dtype == torch.uint8
    assert torch.equal(larger.pixels[:, 0, 0, 0], pool.pixels[:, 0, 0, 0])
    assert pool.resized(4) is pool
