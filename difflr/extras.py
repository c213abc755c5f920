"""What needs more than torch and numpy comes in extras: one line says which is missing."""

import ast
from importlib.util import find_spec
from pkgutil import get_data

__all__ = ["MissingExtra", "extra_of", "homes", "require"]

_EXTRAS = {
    "lightning": "pytorch_lightning",
    "kit": "matplotlib ipywidgets torchvision PIL safetensors scipy tqdm tensorboard",
    "studies": "joblib dask distributed",
    "text": "tokenizers transformers",
}


class MissingExtra(ImportError):
    """A package that an extra of difflr brings is not installed.

    >>> print(MissingExtra("difflr.plot_plan", "matplotlib"))
    difflr.plot_plan needs matplotlib: pip install "difflr[kit]"
    """

    def __init__(self, what: str, module: str) -> None:
        super().__init__(
            f'{what} needs {module}: pip install "difflr[{extra_of(module)}]"', name=module
        )


def extra_of(module: str | None) -> str | None:
    """Return the extra that brings a module's package; None if there is none."""
    top = (module or "").partition(".")[0]
    return next((extra for extra, names in _EXTRAS.items() if top in names.split()), None)


def require(what: str, *modules: str | tuple[str, ...]) -> None:
    """Raise MissingExtra for the first module (of a tuple: one will do) that is not installed."""
    for module in modules:
        choice = (module,) if isinstance(module, str) else module
        if not any(map(_installed, choice)):
            raise MissingExtra(what, choice[0])


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # imported by hand, without a spec
        return False


def homes(package: str) -> dict[str, str]:
    """Return the names that a package's ``__init__.pyi`` imports, each with its module."""
    return {
        alias.name: str(node.module)
        for node in ast.parse(get_data(package, "__init__.pyi") or b"").body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
