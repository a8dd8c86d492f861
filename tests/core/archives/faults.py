"""What can go wrong with one object of the store, as functions that make it happen."""

from __future__ import annotations

import random
from collections.abc import Callable

from safelight.archives.plan import Entry
from tests.core.archives.faulty import Answer, FaultyStore, Request

type Fault = Callable[[FaultyStore, Entry, random.Random], set[str] | None]
"""Spoils one object of the store. The codes it may be reported as; None when the archive must come out all the same."""


def _first_byte(request: Request) -> int:
    return int(request.headers["range"].removeprefix("bytes=").partition("-")[0])


def gone(store: FaultyStore, victim: Entry, _: random.Random) -> set[str]:
    del store.objects[victim.key]
    return {"object_missing"}


def truncated(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    data, etag = store.objects[victim.key]
    store.objects[victim.key] = (data[: chance.randrange(len(data))], etag)
    return {"object_truncated"}


def ends_early(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    """The store has lost the end and does not know it: it announces all bytes and delivers up to the same one."""
    last = chance.randrange(victim.size)

    def end(request: Request, answer: Answer) -> None:
        answer.cut = max(last - _first_byte(request), 0)

    store.faults[victim.key] = end
    return {"object_truncated"}


def changed(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    store.objects[victim.key] = (chance.randbytes(victim.size), '"another"')
    return {"object_changed"}


def changed_on_the_way(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    """Replaced while it is read: the rest would be of another photo."""
    at = chance.randrange(victim.size)

    def replace(request: Request, answer: Answer) -> None:
        if request.number == 0:
            answer.cut = at
            store.objects[victim.key] = (chance.randbytes(victim.size), '"another"')

    store.faults[victim.key] = replace
    return {"object_changed"}


def changed_unseen(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    """Replaced, in a store that does not know If-Match."""
    body = chance.randbytes(victim.size)

    def deliver(request: Request, answer: Answer) -> None:
        answer.headers["ETag"] = '"another"'
        answer.body = body[_first_byte(request) :][: len(answer.body)]

    store.faults[victim.key] = deliver
    return {"object_changed"}


def grown(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    data, etag = store.objects[victim.key]
    store.objects[victim.key] = (data + chance.randbytes(100), etag)
    return {"object_changed"}


def busy(store: FaultyStore, victim: Entry, _: random.Random) -> set[str]:
    def refuse(_: Request, answer: Answer) -> None:
        answer.status, answer.headers, answer.body = 503, {}, b"<Error><Code>SlowDown</Code></Error>"

    store.faults[victim.key] = refuse
    return {"storage_unavailable"}


def busy_once(store: FaultyStore, victim: Entry, _: random.Random) -> None:
    def refuse(request: Request, answer: Answer) -> None:
        if request.number == 0:
            answer.status, answer.headers, answer.body = 503, {}, b""

    store.faults[victim.key] = refuse


def reset(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    """Every connection is reset, at one byte or another."""

    def break_off(_: Request, answer: Answer) -> None:
        answer.reset, answer.cut = True, chance.randrange(max(len(answer.body), 1))

    store.faults[victim.key] = break_off
    return {"storage_unavailable"}


def reset_once(store: FaultyStore, victim: Entry, chance: random.Random) -> None:
    at = chance.random()

    def break_off(request: Request, answer: Answer) -> None:
        if request.number == 0:
            answer.reset, answer.cut = True, int(at * len(answer.body))

    store.faults[victim.key] = break_off


def cut_once(store: FaultyStore, victim: Entry, chance: random.Random) -> None:
    at = chance.random()

    def cut(request: Request, answer: Answer) -> None:
        if request.number == 0:
            answer.cut = int(at * len(answer.body))

    store.faults[victim.key] = cut


def garbage(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    noise = chance.randbytes(chance.randrange(1, 20_000))

    def blurt(_: Request, answer: Answer) -> None:
        answer.raw = noise

    store.faults[victim.key] = blurt
    return {"storage_unavailable"}


def slow(store: FaultyStore, victim: Entry, _: random.Random) -> None:
    def dawdle(_: Request, answer: Answer) -> None:
        answer.pause = 0.005

    store.faults[victim.key] = dawdle


def silent(store: FaultyStore, victim: Entry, chance: random.Random) -> set[str]:
    """Takes the request and says nothing, or nothing more after the first 16 KiB."""
    midway = chance.random() < 0.5

    def wait(_: Request, answer: Answer) -> None:
        answer.silence, answer.pause = (0, 30) if midway and len(answer.body) > 16384 else (30, 0)

    store.faults[victim.key] = wait
    return {"storage_unavailable"}


CHEAP: list[Fault] = [
    gone,
    truncated,
    ends_early,
    changed,
    changed_on_the_way,
    changed_unseen,
    grown,
    busy,
    busy_once,
    reset,
    reset_once,
    cut_once,
    garbage,
    slow,
]
"""Those that need no time."""
