"""A recipe as a command line takes it and results name it: ``differential:lr=3e-3:ratio=10``."""

from difflr.errors import DifflrError

__all__ = ["AUTO_RGN", "parse_recipe"]

#: A recipe of runs alone, none of ``difflr.RECIPES``: uniform, until a run's own batches have given the
#: splits their rates (``difflr.suggest_lrs``), of which ``lr`` is the largest.
AUTO_RGN = "auto_rgn"


def parse_recipe(text: str) -> tuple[str, dict[str, float]]:
    """Return name and options of a recipe written ``name`` or ``name:option=number:…``.

    >>> parse_recipe("differential:lr=3e-3:ratio=10")
    ('differential', {'lr': 0.003, 'ratio': 10.0})
    """
    name, *pairs = text.split(":")
    options = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise DifflrError(
                f"Received {pair!r} in recipe {text!r}, expected option=number.",
                "Write e.g. differential:lr=3e-3:ratio=10.",
            ) from None
        if key in options:
            raise DifflrError(f"Received {key} twice in recipe {text!r}.", "Give it once.")
        if key in ("name", "splits", "epochs"):  # of ``make_plan``, and no options of a recipe
            raise DifflrError(
                f"Received {pair!r} in recipe {text!r}.",
                "Leave it out: the epochs are those of --epochs, the splits those of the network.",
            )
        options[key] = (
            int(number) if number.is_integer() and key in ("count", "freeze_epochs") else number
        )
    return name.replace("-", "_"), options
