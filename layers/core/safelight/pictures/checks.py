"""Checks of what a child answers. The type comes first: an operation on a value of another type may cost anything.

`8 * 10**8 * "a"` is a text of 800 MB, `float(10**400)` an OverflowError, and True is an int. All raise `Garbled`.
"""

import re
from collections.abc import Collection
from typing import Any

from safelight.sandbox.wire import Garbled


def whole(value: object, least: int, most: int) -> int:
    """An int from `least` to `most`, no bool."""
    if type(value) is not int or not least <= value <= most:
        raise Garbled("a whole number is out of range")
    return value


def number(value: object, least: float, most: float) -> int | float:
    """An int or a float from `least` to `most`: no bool, no NaN, no infinity."""
    # Python compares an int with a float exactly, so an int of any size is safe here.
    if (type(value) is not int and type(value) is not float) or not least <= value <= most:
        raise Garbled("a number is out of range")
    return value


def text(value: object, shape: re.Pattern[str]) -> str:
    """A text that has this shape from its first to its last character."""
    if type(value) is not str or not shape.fullmatch(value):
        raise Garbled("a text has another shape")
    return value


def items(value: object, least: int, most: int) -> list[Any]:
    """A list of `least` to `most` entries."""
    if type(value) is not list or not least <= len(value) <= most:
        raise Garbled("a list is missing, or has another length")
    return value


def members(value: object, names: Collection[str]) -> dict[str, Any]:
    """An object that has these members and no other."""
    if type(value) is not dict or value.keys() != set(names):
        raise Garbled("an object is missing, or has other members")
    return value
