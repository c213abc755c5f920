"""Plain data that is checked however it is made: by a call, from JSON, or from a pickle."""

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
        make: Any = cls
        try:
            return make(**data)
        except TypeError as error:
            raise DifflrError(
                f"Received {short_repr(data)}, expected a {cls.__name__} or a dictionary of its "
                f"entries: {error}.",
                f"Its entries are {', '.join(field.name for field in fields(cls))}.",
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        return self.entries()  # without what is cached beside them

    def __setstate__(self, state: Any) -> None:
        vars(self).update(vars(self.build(state)))  # a file may say anything
