"""Archives streamed from a store: ours, nginx as a relay, three Python libraries, and a direct download of the bytes.

`python -m bench.archives` takes about three minutes; `--full` uses the sizes of the budgets. All cases of a comparison
run in turns in one run, on servers started for it; figures are medians. nginx serves the objects (it is far faster than
any store, so the server is what limits), and a store with the latency of S3 (30 ms to the first byte, 80 MB/s a
connection) the second part. The client is curl for all. "One after another" asks for photo after photo on one
connection: the bytes and the requests of an archive that nobody makes. Memory by size: `bench.archive_memory`.
"""

import argparse
import os
import subprocess
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.archive_stage import Server, Stage, download, download_each, download_parallel
from bench.measure import MIB, cpu_seconds, interleaved, median, peak_rss, reset_peak, rss, verdict

USUAL = "zipstream-ng + boto3"
LIBRARIES = (USUAL, "zipstream-ng, 1 MiB", "stream-zip, 1 MiB", "zipfile, 1 MiB")
ONE_FILE, ONE_BY_ONE = "nginx relay, one file", "nginx relay, one after another"
PARALLEL = {"medium": 32, "small": 50}


def fast_store(stage: Stage, rounds: int) -> None:
    """A store that is never the limit."""
    with stage.store() as store:
        compare_fast(stage, "large", store, rounds)
        compare_fast(stage, "small", store, rounds * 3)
        with stage.server("ours", store) as ours:
            stage.check(ours, "tiny")
            many_clients(ours)


def compare_fast(stage: Stage, name: str, store: int, rounds: int) -> None:
    """Time, CPU and memory of one set, each case against the direct download."""
    size, keys, slack = stage.bytes[name], stage.keys(name), stage.slack(name)
    stage.write_archive(name)
    with ExitStack() as stack:
        servers = {case: stack.enter_context(stage.server(case, store)) for case in ("ours", *LIBRARIES)}
        for server in servers.values():
            stage.check(server, "tiny")
        for case in (ONE_FILE, ONE_BY_ONE):
            servers[case] = stack.enter_context(stage.relay(store))
            download(servers[case].port, "tiny.zip", stage.bytes["tiny"])
        idle = {case: rss(server.pid) for case, server in servers.items()}
        for server in servers.values():
            reset_peak(server.pid)
        spent: dict[str, list[float]] = {case: [] for case in servers}

        def timed(case: str) -> float:
            port, pid = servers[case]
            before = cpu_seconds(pid)
            if case == ONE_BY_ONE:
                seconds = download_each(port, keys, size, slack)
            else:
                path = f"{name}.zip" if case == ONE_FILE else name
                seconds = download(port, path, size, 0 if case in ("ours", ONE_FILE) else slack)
            spent[case].append(cpu_seconds(pid) - before)
            return seconds

        cases = {case: partial(timed, case) for case in ("ours", ONE_FILE, ONE_BY_ONE, *LIBRARIES)}
        times = interleaved({"direct": partial(download, store, f"{name}.zip", size), **cases}, rounds)
        above = {case: peak_rss(server.pid) - idle[case] for case, server in servers.items()}
    cpu = {case: median(spent[case][1:]) / size * 1e9 for case in servers}
    report_fast(stage, name, {case: median(taken) for case, taken in times.items()}, cpu, above)


def report_fast(stage: Stage, name: str, times: dict[str, float], cpu: dict[str, float], above: dict[str, int]) -> None:
    """Print one set: seconds, CPU seconds a GB and bytes of memory above idle, by case."""
    size, photos = stage.bytes[name], stage.sets[name]
    print(f"\nfast store, {photos.count} x {photos.size / 1e6:g} MB{'':15} ms     MB/s  of direct  CPU s/GB  RSS +MiB")
    for case, seconds in times.items():
        figures = f"{cpu[case]:9.2f} {above[case] / MIB:9.1f}" if case in cpu else ""
        print(
            f"  {case:30} {seconds * 1000:9.1f} {size / seconds / 1e6:8.0f} {times['direct'] / seconds:9.2f} {figures}"
        )
    slower = times["ours"] / times["direct"]
    if name == "large":
        print(f"  speed over direct: {1 / slower:.2f}, {verdict(1 / slower, least=0.65)}")
    else:
        print(f"  time over direct: {slower:.2f}, {verdict(slower, most=2.5)}")
    less = cpu[USUAL] / cpu["ours"]
    print(f"  server CPU: 1/{less:.1f} of {USUAL}, {verdict(less, least=7)}")


def many_clients(server: Server) -> None:
    """Peak memory above an idle server, with one client and with eight, and of eight that read slowly."""
    idle = rss(server.pid)
    print()
    for clients, limit in ((1, None), (8, None), (8, "20M")):
        reset_peak(server.pid)
        command = ["curl", "-s", "-o", "/dev/null", *(["--limit-rate", limit] if limit else []), "-m", "6"]
        url = f"http://127.0.0.1:{server.port}/large"
        processes = [subprocess.Popen([*command, url]) for _ in range(clients)]
        for process in processes:
            process.wait()
        above = (peak_rss(server.pid) - idle) / MIB
        slow = ", 20 MB/s each" if limit else ""
        print(f"  RSS above idle, {clients} client(s){slow}: {above:.1f} MiB, {verdict(above, most=24)}")


def distant_store(stage: Stage, rounds: int) -> None:
    """A store that takes 30 ms to answer and gives 80 MB/s to a connection."""
    with (
        stage.server("distant store") as store,
        stage.server("ours", store.port) as ours,
        stage.server(USUAL, store.port) as usual,
    ):
        for name, connections in PARALLEL.items():
            size, keys, photos = stage.bytes[name], stage.keys(name), stage.sets[name]
            direct = f"direct, {connections} connections"
            times = interleaved(
                {
                    direct: partial(download_parallel, store.port, keys, connections),
                    "ours": partial(download, ours.port, name, size),
                    USUAL: partial(download, usual.port, name, size, stage.slack(name)),
                },
                max(rounds // 2, 2) if name == "medium" else rounds,
            )
            print(f"\nstore like S3, {photos.count} x {photos.size / 1e6:g} MB")
            for case, taken in times.items():
                seconds = median(taken)
                print(f"  {case:30} {seconds * 1000:9.1f} ms {size / seconds / 1e6:8.0f} MB/s")
            speed = size / median(times["ours"]) / 1e6
            gain = median(times[USUAL]) / median(times["ours"])
            meets = verdict(speed, least=400) if name == "medium" else verdict(gain, least=20)
            print(f"  {gain:.1f} x {USUAL}, {speed:.0f} MB/s: {meets}")


def main() -> None:
    """Print all figures."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--full", action="store_true", help="300 x 8 MB, as in the budgets (default: 100 x 8 MB)")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    large = 300 if chosen.full else 100
    sets = {"large": (large, 8_000_000), "medium": (60, 8_000_000), "small": (50, 200_000), "tiny": (3, 1000)}
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, {chosen.rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="bench-archives-") as directory:
        stage = Stage(Path(directory), sets)
        stage.write_archive("tiny")
        fast_store(stage, chosen.rounds)
        distant_store(stage, chosen.rounds)
    print(f"load {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
