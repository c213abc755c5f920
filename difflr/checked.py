"""Plain data that is checked however it is made: by a call, from JSON, or from a pickle."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from difflr.errors import DifflrError, short_repr

__all__ = ["Checked"]


class Checked:
    """The base of frozen dataclasses whose ``__post_init__`` checks and normalises what they hold."""

    __dataclass_fields__: ClassVar[dict[str, Any]]  # of the subclasses

    def normalise(self, **values: Any) -> None:
        """Put fields into the form in which they are kept."""
        for name, value in values.items():
            object.__setattr__(self, name, value)  # how a frozen dataclass sets its own fields

    def entries(self) -> dict[str, Any]:
        """Return the fields by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def build(cls, data: Any) -> Any:
        """Return what these entries describe; an unknown or missing one is an error."""
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            raise DifflrError(
                f"Received {short_repr(data)}, expected a {cls.__name__} or a dictionary of its entries.",
                f"Make one with {cls.__name__}(…).",
            )
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(map(str, data)).difference(known)):
            raise DifflrError(
                f"A {cls.__name__} has no {', '.join(unknown)}.", f"It has {', '.join(known)}."
            )
        of: Any = cls
        try:
            return of(**data)
        except TypeError as error:
            raise DifflrError(
                f"A {cls.__name__} is incomplete: {error}.", "Add what is missing."
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        return self.entries()  # without what is cached beside them

    def __setstate__(self, state: Any) -> None:
        vars(self).update(vars(self.build(state)))  # a file may say anything
