"""Plain data that is checked however it is made: by a call, from JSON, or from a pickle."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from difflr.errors import DifflrError, short_repr

__all__ = ["Checked"]


class Checked:
    """The base of frozen dataclasses whose ``__post_init__`` checks and normalises fields, by ``vars``."""

    __dataclass_fields__: ClassVar[dict[str, Any]]  # of the subclasses

    def entries(self) -> dict[str, Any]:
        """Return the fields by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def build(cls, data: Any) -> Any:
        """Return what these entries describe; an unknown or missing one is an error."""
        if isinstance(data, cls):
            return data
        name, entries = cls.__name__, [field.name for field in fields(cls)]
        known = f"It has {', '.join(entries)}."
        if not isinstance(data, Mapping):
            received = f"Received {short_repr(data)}, expected a {name} or a dictionary of entries."
            raise DifflrError(received, known)
        if unknown := sorted(set(map(str, data)).difference(entries)):
            raise DifflrError(f"A {name} has no {', '.join(unknown)}.", known)
        make: Any = cls
        try:
            return make(**data)
        except TypeError as error:
            raise DifflrError(f"A {name} is incomplete: {error}.", known) from None

    def __getstate__(self) -> dict[str, Any]:
        return self.entries()  # without what is cached beside them

    def __setstate__(self, state: Any) -> None:
        vars(self).update(vars(self.build(state)))  # a file may say anything
