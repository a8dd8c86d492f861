"""A photographer's lists of what was picked, as files for other programs; inert, whatever visitors and cameras wrote.

`txt` is one line for the search field of Lightroom Classic's Library filter (Text, Filename, Contains): names separated
by commas, any of which may match. Extensions are left out, because the gallery's JPEGs are raw files over there.

`csv` follows RFC 4180, in UTF-8 with a byte order mark, without which Excel would guess another encoding. Spreadsheets
run what looks like a formula, so an apostrophe goes before whatever begins like one (OWASP, "CSV Injection"): in ASCII
or full width, after spaces too, and after a separator inside a text, for programs that divide at semicolons.
"""

import csv
import io
import re
from collections.abc import Iterable

BYTE_ORDER_MARK = "\ufeff"
# Letters and digits, a letter first: "v1.2" has no extension.
_EXTENSION = re.compile(r"(?<=.)\.[A-Za-z][A-Za-z0-9]{1,4}$")
_BETWEEN = re.compile(r"[,\s\x00-\x1f\x7f-\x9f]+")
# It takes a run of spaces and line ends whole, formula or not: looked through anew from each of them, a visitor's note
# of two thousand would cost two million steps.
_BEGINNING = re.compile(r"((?:^|[,;|\t\r\n\"])[\s\u200b\ufeff]*+)([=+\-@\uff1d\uff0b\uff0d\uff20]?)")
_LEADING = ("\t", "\r", "\n")


def lightroom(filenames: Iterable[str]) -> str:
    """The names without extensions, each once, in their order, separated by commas."""
    stems = (_BETWEEN.sub(" ", _EXTENSION.sub("", name)).strip() for name in filenames)
    return ",".join(dict.fromkeys(stem for stem in stems if stem))


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV, every field quoted; None is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([inert("" if value is None else str(value)) for value in row] for row in rows)
    return BYTE_ORDER_MARK + out.getvalue()


def inert(value: str) -> str:
    """The text, with an apostrophe wherever a spreadsheet would take it for a formula."""
    guarded = _BEGINNING.sub(lambda found: f"{found[1]}'{found[2]}" if found[2] else found[1], value)
    return f"'{guarded}" if guarded.startswith(_LEADING) else guarded
