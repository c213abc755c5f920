"""CIFAR-10 as its authors publish it, in the version that is plain bytes.

The archive is trusted by its SHA-256 alone and read where it lies: nothing is unpacked into the
folder, and there is no pickle in it to execute (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html).
"""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np

from difflr.errors import DifflrError

__all__ = ["CLASSES", "read_cifar10"]

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
_FILES = {
    "train": [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)],
    "test": ["cifar-10-batches-bin/test_batch.bin"],
}
_RECORD = 1 + 3 * 32 * 32  # a label, then the picture: red, green, blue


def read_cifar10(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return ``train`` and ``test``: pictures uint8 (N, 3, 32, 32) and labels int64 (N,).

    The archive is downloaded into ``folder`` unless it is there. Several processes may do so at
    once: each has a file of its own until it is whole and checked.

    Raises:
        DifflrError: when it is not there and cannot be downloaded, or is not the authors' archive.
    """
    path = folder / URL.rpartition("/")[2]
    content = _checked(path)
    if content is None:
        _download(path)
        content = _checked(path)
    if content is None:  # replaced or deleted in this moment
        raise DifflrError(f"{path} has changed while it was read.", "Run the same command again.")
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            return {part: _decoded(archive, names) for part, names in _FILES.items()}
    except (tarfile.TarError, KeyError, ValueError, OSError) as error:
        raise DifflrError(f"{path} holds no CIFAR-10: {error}.", "Delete it.") from error


def _checked(path: Path) -> bytes | None:
    """Return the archive's bytes if they are the authors', read once: what is checked is what is used."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DifflrError(
            f"{path} cannot be read: {error.strerror}.", "Pass another folder with --data-dir."
        ) from error
    return content if hashlib.sha256(content).hexdigest() == SHA256 else None


def _download(path: Path) -> None:
    from torch.hub import download_url_to_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Writes to a file of another name and moves it here only once the checksum is right.
        download_url_to_file(URL, str(path), hash_prefix=SHA256)
    except Exception as error:
        raise DifflrError(
            f"CIFAR10 could not be downloaded to {path.parent}: {error}.",
            f"Put {path.name} from {URL} there (or into a folder that you name with --data-dir), use "
            "--data strokes (embedded, offline), or --data PATH with a folder of your own.",
        ) from error


def _decoded(archive: tarfile.TarFile, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    files = [archive.extractfile(name) for name in names]
    content = b"".join(file.read() for file in files if file is not None)
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), records[:, 0].astype(np.int64)
