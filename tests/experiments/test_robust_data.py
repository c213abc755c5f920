"""What can go wrong with files and downloads leaves nothing behind that a later run would trust."""

import errno
import hashlib
import http.server
import io
import multiprocessing
import os
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from difflr.errors import DifflrError
from difflr.experiments import cifar
from difflr.experiments.backbones import load_backbone
from difflr.experiments.data import load_data

NAME = "cifar-10-binary.tar.gz"
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 20, 3, 32, 32), dtype=np.uint8)


def packed(members: dict[str, bytes]) -> bytes:
    """A gzipped tar archive with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def records(pixels: np.ndarray) -> bytes:
    """CIFAR-10's own format: a label, then 1,024 bytes each of red, green and blue."""
    return b"".join(bytes([i % 10]) + picture.tobytes() for i, picture in enumerate(pixels))


FILES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
WHOLE = {
    f"cifar-10-batches-bin/{name}": records(pixels)
    for name, pixels in zip(FILES, PIXELS, strict=True)
}
ARCHIVE = packed({**WHOLE, "../escaped.txt": b"outside", "/tmp/escaped.txt": b"outside"})


class Site(http.server.ThreadingHTTPServer):
    """A local server whose one file can be truncated, exchanged or missing."""

    content: bytes | None = ARCHIVE
    promised: int | None = None  # bytes in the header, where they are not those that come
    requests = 0


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves what the site holds."""

    server: Site

    def do_GET(self):
        self.server.requests += 1
        content = self.server.content
        self.send_response(200 if content is not None else 503)
        self.send_header("Content-Length", str(self.server.promised or len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch):
    """The server, as the place that difflr downloads from; its archive is the right one."""
    server = Site(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(cifar, "URL", f"http://127.0.0.1:{server.server_port}/{NAME}")
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(ARCHIVE).hexdigest())
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def load(folder: Path):
    """CIFAR-10 from a folder, as the command line loads it."""
    return load_data("cifar10", data_dir=str(folder))


def right(data) -> bool:
    """Whether the data are the archive's, to the bit."""
    train = torch.from_numpy(PIXELS[:5].reshape(-1, 3, 32, 32))
    labels = torch.arange(100) % 20 % 10
    return torch.equal(data.train.pixels, train) and torch.equal(data.train.labels, labels)


def test_cifar10_is_downloaded_checked_and_read(site, tmp_path):
    """Once; the second time it is read from the folder, a read-only one too."""
    data = load(tmp_path / "new" / "folder")
    assert right(data)
    assert data.test.pixels.shape == (20, 3, 32, 32)
    assert data.classes[0] == "airplane"
    assert len(data.classes) == 10
    (tmp_path / "new" / "folder").chmod(0o500)
    assert right(load(tmp_path / "new" / "folder"))
    assert site.requests == 1


def test_nothing_is_unpacked_so_an_archive_cannot_write_outside_its_folder(site, tmp_path):
    """Members called ``../…`` and ``/…`` stay in the archive; so does everything else."""
    folder = tmp_path / "data"
    load(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["data", NAME]
    assert not Path("/tmp/escaped.txt").exists()


@pytest.mark.parametrize(
    ("content", "promised"),
    [
        (ARCHIVE[:-100], len(ARCHIVE)),
        (ARCHIVE[:-100], None),
        (ARCHIVE[:50], None),
        (b"", None),
        (ARCHIVE[:-1] + bytes([ARCHIVE[-1] ^ 1]), None),
        (packed({"cifar-10-batches-bin/data_batch_1.bin": b"other"}), None),
        (b"<html>Moved.</html>", None),
        (None, None),
    ],
    ids=["broken off", "truncated", "begun", "empty", "one bit", "another", "a page", "an error"],
)
def test_what_is_not_the_archive_is_refused_and_leaves_nothing(site, tmp_path, content, promised):
    """Whatever the server sends; once it sends the right thing, the same call works."""
    site.content, site.promised = content, promised
    with pytest.raises(DifflrError, match=r"could not be downloaded.*--data strokes"):
        load(tmp_path)
    assert not list(tmp_path.iterdir())
    site.content, site.promised = ARCHIVE, None
    assert right(load(tmp_path))


def test_a_damaged_archive_in_the_folder_is_replaced(site, tmp_path):
    """Half a download of another program, say; without a network it is an error, and stays."""
    (tmp_path / NAME).write_bytes(ARCHIVE[:-100])
    site.content = None
    with pytest.raises(DifflrError, match="could not be downloaded"):
        load(tmp_path)
    assert (tmp_path / NAME).read_bytes() == ARCHIVE[:-100]
    site.content = ARCHIVE
    assert right(load(tmp_path))


def test_an_unfinished_download_of_a_killed_process_is_not_read(site, tmp_path):
    """It has another name; the next run downloads its own."""
    (tmp_path / f"{NAME}.0123.partial").write_bytes(ARCHIVE[:500])
    assert right(load(tmp_path))


def test_offline_with_the_archive_in_place_needs_no_network(site, tmp_path):
    """As the error of a failed download says: put it there."""
    site.content = None
    with pytest.raises(DifflrError) as error:
        load(tmp_path)
    assert f"Put {NAME} from {cifar.URL} there" in str(error.value)
    (tmp_path / NAME).write_bytes(ARCHIVE)
    assert right(load(tmp_path))
    assert site.requests == 1


def test_a_folder_that_cannot_be_written_is_named_with_the_option(site, tmp_path):
    """A file in the place of the folder: root may write to a read-only one."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(DifflrError, match="--data-dir"):
            load(folder)


def test_a_full_disk_leaves_no_archive(site, tmp_path, monkeypatch):
    """The download ends in the middle with ENOSPC."""

    class Full(io.FileIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", lambda name, mode="r", *_, **__: Full(name, "w"))
        with pytest.raises(DifflrError, match="No space left on device"):
            load(tmp_path)
    assert not list(tmp_path.iterdir())
    assert right(load(tmp_path))


MOUNT = shutil.which("mount")


@pytest.mark.skipif(MOUNT is None or os.name != "posix" or os.geteuid(), reason="needs root")
def test_a_disk_that_is_really_full_leaves_no_archive(site, tmp_path):
    """A file system of 64 kB, where the archive does not fit."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount")
    try:
        with pytest.raises(DifflrError, match="No space left on device"):
            load(tmp_path)
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def fetch(url: str, sha256: str, folder: Path, start, results) -> None:
    """Load in another process, at the same moment as the others."""
    cifar.URL, cifar.SHA256 = url, sha256
    start.wait(60)
    results.put(right(load(folder)))


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_processes_that_download_at_once_all_get_it_right(site, tmp_path):
    """Each has its own file until it is whole; the last one to finish wins, with the same bytes."""
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(3), context.Queue()
    arguments = (cifar.URL, cifar.SHA256, tmp_path, start, results)
    processes = [context.Process(target=fetch, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [True] * 3
    for process in processes:
        process.join(10)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert hashlib.sha256((tmp_path / NAME).read_bytes()).hexdigest() == cifar.SHA256


class Evil:
    """An object whose unpickling would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_pickles_of_torchvisions_format_are_never_opened(site, tmp_path):
    """Batches of the Python version that lie in the folder, with code in them, stay what they are."""
    old = tmp_path / "cifar-10-batches-py"
    old.mkdir()
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        (old / name).write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    assert right(load(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_no_source_file_of_difflr_opens_a_pickle():
    """Neither pickle itself, nor numpy's, pandas' or torch's way of reading one."""
    package = Path(cifar.__file__).parents[1]
    for file in package.rglob("*.py"):
        text = file.read_text("utf-8")
        assert not re.search(r"\bpickle\.loads?\(|allow_pickle=True|weights_only=False", text), file
        loads = re.findall(r"torch\.load\(.*", text)
        assert all("weights_only=True" in call for call in loads), file


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torchvision's weights of a resnet18 as they lie in torch's cache, and where they come from."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    torch.save(models.resnet18().state_dict(), tmp_path / "right.pth")
    start = hashlib.sha256((tmp_path / "right.pth").read_bytes()).hexdigest()[:8]

    class Weights:
        class DEFAULT:
            url = (tmp_path / f"resnet18-{start}.pth").as_uri()

    (tmp_path / "right.pth").rename(tmp_path / f"resnet18-{start}.pth")
    monkeypatch.setattr(models, "get_model_weights", lambda _: Weights)
    return (
        tmp_path / f"resnet18-{start}.pth",
        tmp_path / "hub/checkpoints" / f"resnet18-{start}.pth",
    )


def test_imagenet_weights_are_downloaded_with_their_checksum_and_recorded_by_it(hub):
    """The record of a run says which bytes it started from."""
    source, cached = hub
    backbone = load_backbone("resnet18", "imagenet")
    assert backbone.sha256 == hashlib.sha256(cached.read_bytes()).hexdigest()
    own = torch.load(source, weights_only=True)
    assert torch.equal(backbone.build(3).conv1.weight, own["conv1.weight"])


@pytest.mark.parametrize("damage", ["truncated", "code"])
def test_cached_imagenet_weights_are_not_trusted_unseen(hub, tmp_path, damage):
    """torch itself looks at the checksum while it downloads, and never again."""
    source, cached = hub
    cached.parent.mkdir(parents=True)
    if damage == "truncated":
        cached.write_bytes(source.read_bytes()[:1000])
    else:
        torch.save({"fc": Evil(tmp_path / "ran")}, cached)
    load_backbone("resnet18", "imagenet")
    assert cached.read_bytes() == source.read_bytes()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_truncated_weights_are_refused(tmp_path, keep):
    """In both formats, wherever the file ends."""
    state = models.resnet18(num_classes=3).state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    torch.save(state, tmp_path / "weights.pt")
    for name in ("weights.safetensors", "weights.pt"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(DifflrError, match="cannot be read"):
            load_backbone("resnet18", str(path))


@pytest.mark.parametrize("content", [[1, 2], {"fc": 3}, {1: torch.zeros(2)}, torch.zeros(3)])
def test_a_file_that_holds_something_else_is_refused(tmp_path, content):
    """Tensors, but no state dict."""
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(DifflrError):
        load_backbone("resnet18", str(tmp_path / "weights.pt"))
