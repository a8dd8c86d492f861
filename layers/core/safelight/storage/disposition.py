"""Content-Disposition for downloads: any file name, safely, in every browser."""

import re
import unicodedata
from urllib.parse import quote

_ATTR_CHAR = "!#$&+-.^_`|~"  # RFC 8187 §3.2.1, besides letters and digits
_UNSAFE_ASCII = re.compile(r'[^\x20-\x7e]|["\\%/]')  # "%" because some browsers decode it in the plain form
_CONTROL = ("Cc", "Cs", "Zl", "Zp")
# Marks that turn the direction of text, and the byte order mark. The joiners stay: Persian and emoji need them.
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_LONGEST = 180  # characters: below every file system's limit once encoded, and the URL stays short


def attachment(filename: str) -> str:
    """`attachment` with the name twice: a plain ASCII form for old clients, and the exact one in UTF-8.

    Directories are dropped; control, bidirectional and unpaired characters too, so that no name can break the header
    or disguise its extension. Source: RFC 6266 §4.3 and appendix D, RFC 8187 §3.2.
    """
    name = _clean(filename)
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = _UNSAFE_ASCII.sub("_", plain)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"


def _clean(filename: str) -> str:
    name = re.split(r"[/\\]", filename)[-1]
    name = "".join(char for char in name if char not in _BIDIRECTIONAL and unicodedata.category(char) not in _CONTROL)
    name = unicodedata.normalize("NFC", name).strip(" .")
    if len(name) > _LONGEST:
        stem, dot, extension = name.rpartition(".")
        ending = dot + extension if stem and len(extension) <= 16 else ""
        name = name[: _LONGEST - len(ending)].rstrip(" .") + ending
    return name or "download"
