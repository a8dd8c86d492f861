"""How the product, the warm process and its children talk, and how much of an answer is looked at.

A child handled hostile bytes and may have been taken over by them, so its answer is data to be checked, never an object
to be revived: no pickle, and every part bounded before it is parsed.
"""

import json
import struct
from dataclasses import dataclass
from typing import Any

REQUEST = struct.Struct("<qq")
"""What the product sends for a child: bytes of address space, seconds of processor time. With it come three
descriptors: the input, the pipe for the answer, and the pipe for two records."""
RECORD = struct.Struct("<i")
"""The child's number, then its exit code (negative: a signal)."""
READY = b"R"
"""Written by itself when the child is sealed. An end before it is no fault of the input."""
STARVED = 75
"""Exit code of a child whose work failed while no thread could be started: no fault of the input (EX_TEMPFAIL)."""
MAX_HEAD = 256 * 1024
"""Bytes of JSON in an answer. The largest honest one has about 150 KiB: a splice list as long as it may be."""
# Lists, objects and their entries: each costs 100 bytes or more, whatever it holds. An honest answer has 10,000.
_MAX_PARTS = 20_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use: `memory` bytes of address space, `cpu_seconds`, `wall_seconds` from start to answer, and
    `answer` bytes that its parent reads at most."""

    memory: int = 1024**3
    cpu_seconds: int = 40
    wall_seconds: float = 60.0
    answer: int = 24 * 1024 * 1024


class Garbled(ValueError):
    """What came through the pipe is not an answer."""


def frame(head: object) -> bytes:
    """`head` as JSON behind its length."""
    encoded = json.dumps(head, ensure_ascii=False).encode()
    return struct.pack(">I", len(encoded)) + encoded


def split(raw: bytes | bytearray) -> tuple[Any, memoryview]:
    """The head of an answer (all that came through the pipe, READY included), parsed, and what follows it.

    Raises Garbled when there is none, or it is larger than an honest child's.
    """
    body = memoryview(raw)
    try:
        (length,) = struct.unpack_from(">I", raw, len(READY))
        at = len(READY) + struct.calcsize(">I")
        if length > MAX_HEAD:
            raise Garbled("the head is too large")
        head = bytes(body[at : at + length])
        if sum(map(head.count, (b"[", b"{", b",", b":"))) > _MAX_PARTS:
            raise Garbled("the head has too many parts")
        return json.loads(head.decode()), body[at + length :]
    except (struct.error, ValueError, RecursionError, OverflowError, MemoryError) as error:
        raise Garbled(str(error)) from error
