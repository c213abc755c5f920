"""Weights from a file: no code is run, and no more memory is taken than the file is large."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from difflr.errors import DifflrError, first_few, short_repr

__all__ = ["as_float", "read_state"]

_REMEDY = "Pass a state dict saved as .safetensors or .pt (tensors only)."


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a ``.safetensors`` or ``.pt`` file as they lie there.

    They may still be mapped to the file: ``as_float`` copies them.

    Raises:
        DifflrError: for a file that is missing or damaged, or holds anything but plain tensors by name.
    """
    try:
        state = _load(path)
        size = path.stat().st_size
        for key, value in state.items():
            if wrong := _why_not_plain(key, value, size):
                raise ValueError(f"{short_repr(key)} is {wrong}")
        return dict(state)
    except Exception as error:
        raise _unreadable(path, error) from error


def as_float(path: Path, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies of the tensors of ``path``, numbers with a point as float32.

    Raises:
        DifflrError: for one that is not finite.
    """
    own = {
        key: value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)
        for key, value in state.items()
    }
    if broken := [key for key, value in own.items() if not value.isfinite().all()]:
        raise _unreadable(path, ValueError(f"NaN or infinity in {first_few(broken, 3)}"))
    return own


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    with path.open("rb") as file:
        packed = file.read(4) == b"PK\x03\x04"
    if packed:
        _check_archive(path)
    # Mapped, a tensor cannot reach beyond its part of the file. The format before torch 1.6 is read
    # tensor by tensor.
    return torch.load(str(path), map_location="cpu", weights_only=True, mmap=packed)


def _check_archive(path: Path) -> None:
    """Raise for an archive that would unpack to more than it is; ``torch.save`` never compresses."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("it is compressed, which torch.save never does")


def _why_not_plain(key: Any, value: Any, size: int) -> str:
    if not isinstance(key, str) or not isinstance(value, torch.Tensor):
        return f"a {type(value).__name__}, not a tensor by its name"
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        return f"no plain tensor, but one of {value.layout} and {value.dtype} on {value.device}"
    held = value.untyped_storage().nbytes()
    if value.numel() * value.element_size() > held or held > size:
        return f"said to have {value.numel()} numbers, which are not in the file"
    return ""


def _unreadable(path: Path, error: Exception) -> DifflrError:
    said = (str(error) or repr(error)).splitlines()[0]
    return DifflrError(f"The weights {str(path)!r} cannot be read: {said}.", _REMEDY)
