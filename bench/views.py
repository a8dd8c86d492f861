"""Views recorded a second on one link with 50 visitors at once: an event a row, against a counter that all update.

`python -m bench.views` takes about half a minute. Every visitor is a process of its own with a connection of its own,
as a Lambda environment is, and runs whole transactions through the product's driver: BEGIN, `visits.record` (or the
peer's UPDATE), COMMIT, on a Postgres that writes to disk before it answers. Both ways take turns in one run. The second
comparison holds each transaction for 5 ms more, as a request does that goes on with other work before it commits. The
visitors share this machine's cores with Postgres, so the figure is a floor of what Postgres could take.
"""

import argparse
import multiprocessing
import os
import time
import uuid
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any

from bench.database import Database, database
from bench.measure import interleaved, median, verdict

VISITORS = 50
LEAST = 1500
HELD = 0.005  # seconds

type Record = Callable[[Any, Any], None]


def append(connection: Any, share: Any) -> None:
    """Ours."""
    from safelight.shares import visits

    visits.record(connection, share, "view", b"\x01" * 16)


def count_up(connection: Any, share: Any) -> None:
    """The peer: one row that everybody changes."""
    connection.run("UPDATE share_links SET views = views + 1 WHERE id = :share", share=share.id)


def visitor(way: Record, reference: str, held: float, seconds: float, start: Barrier, done: Any) -> None:
    """One visitor's process: views until the time is over; how many, and their CPU seconds."""
    from safelight.db import driver
    from safelight.shares import visits

    with driver.connection() as connection:
        share = visits.find(connection, reference)
    start.wait()
    views, end, cpu = 0, time.monotonic() + seconds, time.process_time()
    while time.monotonic() < end:
        with driver.connection() as connection:
            way(connection, share)
            if held:
                time.sleep(held)
        views += 1
    done.put((views, time.process_time() - cpu))
    driver.close()


visitors_cpu: list[float] = []
"""CPU seconds a view of the visitors' own processes, which share the machine with Postgres."""


def rate(base: Database, way: Record, share: uuid.UUID, held: float, seconds: float) -> float:
    """Views a second of all visitors together; every one of them is found in the database afterwards."""
    context = multiprocessing.get_context("fork")
    start, done = context.Barrier(VISITORS + 1), context.SimpleQueue()
    before = recorded(base, share)
    arguments = (way, str(share), held, seconds, start, done)
    processes = [context.Process(target=visitor, args=arguments) for _ in range(VISITORS)]
    for process in processes:
        process.start()
    start.wait()
    began = time.monotonic()
    counted = [done.get() for _ in processes]
    views, taken = sum(views for views, _ in counted), time.monotonic() - began
    visitors_cpu.append(sum(cpu for _, cpu in counted) / views)
    for process in processes:
        process.join()
    found = recorded(base, share) - before
    if found != views:
        raise SystemExit(f"{views} views were recorded, but {found} are in the database")
    return float(views / taken)


def recorded(base: Database, share: uuid.UUID) -> int:
    """The link's exact number of views, however they are kept."""
    [[views]] = base.connection.run(
        f"SELECT views + (SELECT count(*) FROM share_events WHERE share_id = '{share}') FROM share_links"
        f" WHERE id = '{share}'"
    )
    return int(views)


def compare(base: Database, held: float, seconds: float, rounds: int) -> float:
    """Print one comparison; our rate."""
    gallery = base.gallery(base.owner(), 1)
    results = interleaved(
        {
            "an event a row": partial(rate, base, append, base.share(gallery), held, seconds),
            "one hot counter": partial(rate, base, count_up, base.share(gallery), held, seconds),
        },
        rounds,
    )
    print(f"\n{VISITORS} visitors of one link" + (f", each transaction {held * 1000:.0f} ms longer" if held else ""))
    for name, values in results.items():
        print(f"  {name:16} {median(values):7.0f} views a second ({min(values):.0f} to {max(values):.0f})")
    mine, peer = (median(values) for values in results.values())
    print(f"  ratio            {mine / peer:7.1f} x")
    return mine


def main() -> None:
    """Print all figures; exit with 1 when the budget is missed."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=2)
    arguments = options.parse_args()
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, {arguments.rounds} rounds")
    with database(durable=True) as base:
        plain = compare(base, 0, arguments.seconds, arguments.rounds)
        print(f"  of it the visitors' processes: {median(visitors_cpu) * 1000:.2f} ms of CPU a view")
        compare(base, HELD, arguments.seconds, arguments.rounds)
    print(f"\nviews recorded a second: {verdict(plain, least=LEAST)}; load {os.getloadavg()[0]:.2f} at the end")
    raise SystemExit(plain < LEAST)


if __name__ == "__main__":
    main()
