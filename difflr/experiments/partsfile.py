"""parts.csv: a table that says of each picture whether it is to train or to test on."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from difflr.errors import DifflrError, short_repr
from difflr.written.files import read_within

__all__ = ["PARTS_FILE", "Row", "read_parts"]

PARTS_FILE = "parts.csv"
_MOST = 2**26  # bytes
_REMEDY = "Correct it, or take the file out of the folder: then the pictures are divided anew."


@dataclass(frozen=True)
class Row:
    """What the table says of a picture, and in which line; ``group`` is "" where it says none."""

    is_test: bool
    group: str
    line: int


def read_parts(path: Path) -> dict[str, Row]:
    """Return the rows of a table with the columns ``file`` and ``part``, by file.

    A column ``group`` is read where there is one, all others are left alone. Values are separated by
    commas or by semicolons (as spreadsheets in some countries write them).

    Raises:
        DifflrError: for what is no such table; it names the line.
    """
    try:
        text = read_within(path, _MOST).decode("utf-8-sig")
    except OSError as error:
        raise DifflrError(f"{path} cannot be read: {error.strerror}.", _REMEDY) from error
    except ValueError as error:  # no UTF-8, or far too large
        raise DifflrError(f"{path} is no table of parts: {error}.", _REMEDY) from None
    head = text.partition("\n")[0].strip()
    separator = ";" if ";" in head and "," not in head else ","
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restval="")
    if not {"file", "part"} <= {*(table.fieldnames or ())}:
        raise DifflrError(
            f"{path} begins with {short_repr(head)}, expected the columns file and part.",
            "Let its first line be: file,class,part,group.",
        )
    found: dict[str, Row] = {}
    try:
        for values in table:
            file, part = values["file"].strip(), values["part"].strip().casefold()
            file = PurePosixPath(file if "/" in file else file.replace("\\", "/")).as_posix()
            where = f"Line {table.line_num} of {path}"
            if part not in ("train", "test"):
                raise DifflrError(
                    f"{where} has the part {short_repr(part)}, expected train or test.", _REMEDY
                )
            if file in found:
                raise DifflrError(
                    f"{where} names {file} again, which line {found[file].line} names.",
                    "Leave one of the two.",
                )
            found[file] = Row(part == "test", values.get("group", "").strip(), table.line_num)
    except csv.Error as error:
        raise DifflrError(f"Line {table.line_num} of {path}: {error}.", _REMEDY) from None
    return found
