"""File names that every system can extract, made from what people called their photos.

The rules come from Windows (reserved characters and devices: Microsoft, "Naming Files, Paths, and Namespaces"), from
macOS and Linux (hidden files, bytes per name), and from attacks on extractors and eyes: path traversal, bidirectional
overrides (Unicode TR 36), names that differ only by case or by normal form and overwrite each other.
"""

import re
import unicodedata
from collections.abc import Iterable

MAX_BYTES = 200
"""Longest name in UTF-8 bytes: file systems stop at 255, and " (2).part" must still fit."""

_SEPARATORS = "\u2044\u2215\u29f8\uff0f\uff3c\ufe68"  # look like / or \ and turn into them under best-fit conversion
# unzip takes ";" and digits at the end for a version of VMS and drops them.
_FORBIDDEN = re.compile(rf'[<>:;"/\\|?*{_SEPARATORS}]')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])", re.IGNORECASE)
_HARMLESS = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9]{1,10}")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}$")
_LONGEST = " (999999)"
_JOINERS = "\u200c\u200d"  # Persian spelling and emoji families need them


def safe_names(names: Iterable[str], *, reserved: Iterable[str] = ()) -> list[str]:
    """A safe name for each of `names`, in their order, no two alike under NFC and case folding.

    The first to ask for a name gets it, a later one gets " (2)" and so on; `reserved` names are taken already.
    """
    taken = {_folded(name) for name in reserved}
    # By what is left of a name beside the longest number: names that numbers make alike count on together, and none of
    # them tries all that the others have got.
    numbers: dict[str, int] = {}
    result = []
    for raw in names:
        wanted = name = safe_name(raw)
        if (key := _folded(name)) in taken:
            alike = _folded(_shortened(wanted, _LONGEST))
            number = numbers.get(alike, 2)
            while (key := _folded(name)) in taken:
                name = _shortened(wanted, f" ({number})")
                number += 1
            numbers[alike] = number
        taken.add(key)
        result.append(name)
    return result


def safe_name(raw: str) -> str:
    """One name: no path, control or invisible character, nothing hidden or reserved, at most 200 bytes in UTF-8.

    The extension is kept; a name of which nothing remains becomes "photo". The result is in NFC.
    """
    if _HARMLESS.fullmatch(raw) and len(raw) <= MAX_BYTES and not _DEVICE.match(raw):
        return raw  # what a camera writes: nearly all of them
    # Removing a character can bring a letter and its accent together, hence the second normalisation.
    text = unicodedata.normalize("NFC", _visible(unicodedata.normalize("NFC", raw)))
    text = _FORBIDDEN.sub("_", text)
    text = re.sub(r"\.{2,}", ".", re.sub(r" {2,}", " ", text)).strip(" ")
    stem, extension = _split(text)
    stem = stem.lstrip(" .").rstrip(" .")
    if stem.startswith("-"):
        stem = "_" + stem[1:]  # an extracted "-rf.jpg" is an option to the next command
    return _no_device(_shortened(_no_device((stem or "photo") + extension), ""))  # cutting can bare a device's name


def _no_device(name: str) -> str:
    return "_" + name if _DEVICE.fullmatch(name.partition(".")[0].rstrip(" ")) else name


def _visible(text: str) -> str:
    out = []
    for index, char in enumerate(text):
        category = unicodedata.category(char)
        if char in _JOINERS:
            inside = 0 < index < len(text) - 1 and not (text[index - 1].isascii() or text[index + 1].isascii())
            out.append(char if inside else "")
        elif category in ("Zs", "Zl", "Zp") or char in "\t\n\r":
            out.append(" ")
        elif category in ("Cn", "Cs"):
            out.append("_")  # unassigned: its normal form may change; surrogate: not a character at all
        elif category not in ("Cc", "Cf"):
            out.append(char)
    return "".join(out)


def _split(name: str) -> tuple[str, str]:
    match = _EXTENSION.search(name)
    return (name[: match.start()], match.group()) if match else (name, "")


def _shortened(name: str, suffix: str) -> str:
    """`name` with `suffix` before its extension, the stem cut so that all fits into MAX_BYTES."""
    stem, extension = _split(name)
    room = MAX_BYTES - len((suffix + extension).encode())
    if len(stem.encode()) > room:
        kept = stem.encode()[:room].decode(errors="ignore")
        while kept and _clings(stem[len(kept)]):
            kept = kept[:-1]  # never half of a letter: drop the base together with its marks
        stem = kept.rstrip(" ." + _JOINERS) or "photo"
    return stem + suffix + extension


def _clings(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) in ("Mn", "Mc", "Me")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
