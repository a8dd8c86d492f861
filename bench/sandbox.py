"""What the sandbox costs a picture: processor time of a child with and without it, in turns within one run.

`python -m bench.sandbox` takes a minute. Each figure is the time (user + system) of a fork that renders a picture, or
nothing, and ends, as `wait4` counts it; both kinds of child come from one process that has everything loaded and has
assembled the filter, as the warm process of a worker has. The peer is the same child without a wall.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.measure import ROOT, interleaved, median, verdict
from safelight.pictures.environment import environment
from safelight.sandbox import privileges, seal
from safelight.sandbox.profiles import PICTURE
from safelight.sandbox.wire import Limits

SIZES = {"24 MP": (6000, 4000), "96 px": (96, 64)}


def draw(folder: Path) -> None:
    """The pictures that are rendered, as files."""
    from bench import scenes  # Pillow, which the measuring process must not load

    picture = scenes.scene(1)
    for name, size in SIZES.items():
        (folder / f"{name}.jpg").write_bytes(scenes.jpeg(picture.resize(size), 90))


def spent(work: Callable[[], object], program: bytes | None) -> float:
    """Seconds of a child that does the work, sealed with `program` or, without one, not at all."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            if program is not None:
                seal.give_up(Limits(), parent, privileges.OWN_IDS[0], required=True)
                seal.shut(program, required=True)
            work()
        except BaseException:  # noqa: BLE001 - whatever it was, the fork must not go on as the benchmark
            os._exit(1)
        os._exit(0)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError(f"the child ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


def measure(folder: Path, rounds: int) -> None:
    """Print the figures; in a process that is set up as a warm one."""
    from safelight.pictures.render import render

    privileges.drop_bounding_set()
    program = PICTURE.program()
    if program is None:
        raise SystemExit("There is no filter for this machine: run the benchmark on x86-64 or aarch64.")
    work: dict[str, tuple[Callable[[], object], int]] = {"nothing": (lambda: None, 20 * rounds)}
    for name in reversed(SIZES):
        data = (folder / f"{name}.jpg").read_bytes()
        work[name] = (partial(render, data, hashed=False), rounds * (5 if name == "96 px" else 1))
    for name, (one, turns) in work.items():
        cases = {"no wall": partial(spent, one, None), "sandbox": partial(spent, one, program)}
        found = interleaved(cases, turns)
        without, within = (median(found[case]) for case in cases)
        paired = [(a - b) * 1000 for a, b in zip(found["sandbox"], found["no wall"], strict=True)]
        low, _, high = statistics.quantiles(paired)
        print(f"\n{name}, {turns} pairs")
        print(f"  no wall {without * 1000:8.2f} ms CPU\n  sandbox {within * 1000:8.2f} ms CPU")
        print(f"  paired difference {median(paired):+.2f} ms (quartiles {low:+.2f}, {high:+.2f})")
        if name == "nothing":
            print(f"  ms of the wall: {verdict(median(paired), most=2)}")
        else:
            print(f"  CPU over no wall: {within / without:.3f}, {verdict(within / without, most=1.05)}")


def main() -> None:
    """Print all figures."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.folder:
        measure(given.folder, given.rounds)
        return
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-sandbox-") as folder:
        draw(Path(folder))
        command = [sys.executable, "-m", "bench.sandbox", "--folder", folder, "--rounds", str(given.rounds)]
        paths = [str(ROOT), str(ROOT / "layers" / "core"), *sys.path]
        subprocess.run(command, env=environment(paths), cwd=ROOT, check=True)
    print(f"load {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
