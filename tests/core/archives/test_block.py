"""A block hands out batches that are worth a write, and all that came before a failure."""

import asyncio

import pytest

from safelight.archives.block import Block
from safelight.archives.memory import Window, capacity_for
from safelight.errors import ObjectChanged
from tests.core.archives import readers

KIB = 1024
DATA = bytes(range(256)) * 1024  # 256 KiB
PREFIX = b"before" * 20_000  # more than what is worth a write


def block_of(prefix: bytes = b"") -> Block:
    entry = readers.photo("a.jpg", DATA)
    return Block(entry, 0, entry.size, prefix, Window(), capacity_for(entry.size + len(prefix)))


async def pieces(block: Block, seen: list[bytes]) -> None:
    while piece := await block.take():
        seen.append(bytes(piece))


async def delivered(block: Block, sizes: list[int], error: Exception | None = None) -> list[bytes]:
    """What is handed out while pieces of these sizes arrive, the reader coming to its turn after each."""
    seen: list[bytes] = []
    reading = asyncio.create_task(pieces(block, seen))
    await asyncio.sleep(0)
    assert seen == []
    block.begin()
    for size in sizes:
        at = block.position
        block.room()[:size] = DATA[at : at + size]
        block.advance(size)
        for _ in range(3):
            await asyncio.sleep(0)
    block.finish(error)
    if error is None:
        await reading
    else:
        with pytest.raises(type(error)):
            await reading
    return seen


def test_small_pieces_go_out_together_and_the_last_one_at_once() -> None:
    seen = asyncio.run(delivered(block_of(), [16 * KIB] * 16))
    assert [len(piece) for piece in seen] == [64 * KIB] * 4
    assert b"".join(seen) == DATA
    seen = asyncio.run(delivered(block_of(), [250 * KIB, 6 * KIB]))
    assert [len(piece) for piece in seen] == [250 * KIB, 6 * KIB]


def test_what_belongs_before_an_object_waits_for_its_first_byte() -> None:
    seen = asyncio.run(delivered(block_of(PREFIX), [1, 256 * KIB - 1]))
    assert [len(piece) for piece in seen] == [len(PREFIX) + 1, 256 * KIB - 1]
    assert b"".join(seen) == PREFIX + DATA


def test_what_came_before_a_failure_is_handed_out_before_it_is_raised() -> None:
    error = ObjectChanged("originals/a.jpg")
    assert asyncio.run(delivered(block_of(b"before"), [100], error)) == [b"before" + DATA[:100]]
    assert asyncio.run(delivered(block_of(b"before"), [], error)) == []
