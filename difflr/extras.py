"""What difflr needs beyond torch and numpy comes in extras: one line says which one is missing.

So names are loaded when they are first used; a package's stub says where each of them is at home.
"""

import ast
from importlib.util import find_spec
from pkgutil import get_data

__all__ = ["MissingExtra", "extra_of", "homes", "require"]

_EXTRAS = {
    "lightning": ["pytorch_lightning"],
    "kit": [
        *("matplotlib", "ipywidgets", "torchvision", "PIL", "safetensors", "scipy", "tqdm"),
        "tensorboard",
    ],
    "studies": ["joblib", "dask", "distributed"],
    "text": ["tokenizers", "transformers"],
}


class MissingExtra(ImportError):
    """A package is not installed that an extra of difflr brings.

    >>> print(MissingExtra("difflr.plot_plan", "matplotlib"))
    difflr.plot_plan needs matplotlib: pip install "difflr[kit]"
    """

    def __init__(self, what: str, module: str) -> None:
        super().__init__(
            f'{what} needs {module}: pip install "difflr[{extra_of(module)}]"', name=module
        )


def extra_of(module: str | None) -> str | None:
    """Return the extra that brings a module's package; None for any other module."""
    top = (module or "").partition(".")[0]
    return next((extra for extra, names in _EXTRAS.items() if top in names), None)


def require(what: str, *modules: str | tuple[str, ...]) -> None:
    """Raise MissingExtra for the first of these modules that is not installed; import none.

    One of several will do where they stand in a tuple.
    """
    for module in modules:
        choice = (module,) if isinstance(module, str) else module
        if not any(_installed(name) for name in choice):
            raise MissingExtra(what, choice[0])


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # imported by hand, without a spec
        return False


def homes(package: str) -> dict[str, str]:
    """Return each name that the stub ``__init__.pyi`` of a package imports, and from which module."""
    return {
        alias.name: str(node.module)
        for node in ast.parse(get_data(package, "__init__.pyi") or b"").body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
